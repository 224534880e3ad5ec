"""The one place where speech, emotion and life become a face. Speech has priority on the lips.

Rules, in order: an expression may open the lips only where speech opens them or in a pause, so closures
keep their jawOpen - mouthClose, lip raise and lower exactly; while speaking, each lip-critical shape and
their sum have a budget; what presses the lips together yields to open vowels, a raised chin half; mouth corners yield to
rounding; what still parts the lips at a closure (a wrinkled nose lifts the lip) is eased and made
good by the chin. Lids belong to blinks, gaze and expression alone.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import (
    ARKIT_INDEX,
    FRAME_RATE_HZ,
    HEAD_SLICE,
    N_CHANNELS,
    N_SHAPES,
    shape_indices,
)
from animaface.robot.face.facial_actions import SNEER_PARTS, SNEER_WAITS
from animaface.robot.face.gaze import LOOK_INDEX, look_shapes
from animaface.speech.emotion import EmotionFrames
from animaface.speech.life import LifeFrames

Array = NDArray[np.float64]


def _row(**by_stem: float) -> Array:
    """[52] a value for the shapes whose names begin so, 0 for the others."""
    out = np.zeros(N_SHAPES)
    for stem, value in by_stem.items():
        out[shape_indices(stem)] = value
    return out


_JAW, _CLOSE = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthClose"]
_PUCKER, _FUNNEL = ARKIT_INDEX["mouthPucker"], ARKIT_INDEX["mouthFunnel"]
_LIPS_APART = shape_indices("mouthUpperUp", "mouthLowerDown")
_SPEAKS = 1.0 - _row(eye=1.0, brow=1.0)
_SHRUG = ARKIT_INDEX["mouthShrugLower"]
_LOOK = np.array(LOOK_INDEX)
_SNEER = shape_indices("noseSneer")
_ARTICULATED = _row(
    jawOpen=1.0, mouthClose=1.0, mouthUpperUp=1.0, mouthLowerDown=1.0, mouthFunnel=1.0, mouthPucker=1.0
)
OPENERS: Final = shape_indices("jawOpen", "mouthUpperUp", "mouthLowerDown", "mouthFunnel", "mouthShrugUpper")
CLOSERS: Final = shape_indices("mouthPress", "mouthRoll", "mouthShrugLower", "mouthClose")
SPEECH_BUDGET: Final[dict[str, float]] = {
    "jawOpen": 0.14, "mouthUpperUp": 0.30, "mouthLowerDown": 0.25, "mouthFunnel": 0.10, "mouthShrugUpper": 0.10,
    "mouthPress": 0.35, "mouthRoll": 0.15, "mouthShrugLower": 0.50, "mouthClose": 0.0,
}  # fmt: skip
"""The most that an expression may add to a lip-critical shape while somebody speaks."""
TOTAL_BUDGET: Final = 1.3
"""And to all of them together."""
_LIMIT = _row(**SPEECH_BUDGET)
_IS_LIPS = np.isin(np.arange(N_SHAPES), np.concatenate([OPENERS, CLOSERS]))
_IN_ROOM = _row(
    jawOpen=1.0,
    mouthUpperUp=1.0,
    mouthLowerDown=1.0,
    mouthFunnel=1.0,
    mouthShrugUpper=1.0,
    noseSneer=SNEER_WAITS,
)
"""Share of an expression that waits until speech opens the lips."""
_YIELDING = _row(mouthPress=0.9, mouthRoll=0.9, mouthShrugLower=0.5, mouthClose=0.9)
"""Share that open vowels take away."""
_ROUNDED = _row(
    mouthSmile=0.6, mouthFrown=0.6, mouthDimple=0.6, mouthStretch=0.6, mouthLeft=0.6, mouthRight=0.6
)
"""Share that rounding takes away."""
SEALED: Final = 0.03
"""Lips are sealed while jawOpen - mouthClose and the lips' raise and lower are below this."""
_OPEN = 0.22
_PARTED = 0.12
"""From so much opening on, an expression may part the lips further as far as it likes."""
_HEAD_LIMIT_RAD = 0.45


def _bounded(x: Array, low: float = 0.0, high: float = 1.0) -> Array:
    """np.clip at a quarter of its price: a live stream comes frame by frame."""
    return np.asarray(np.minimum(np.maximum(x, low), high))


def _smooth(x: Array, low: float, high: float) -> Array:
    s = _bounded((x - low) / (high - low))
    return np.asarray(s * s * (3.0 - 2.0 * s))


def lip_opening(values: Array) -> Array:
    """[...] how far speech opens the lips, in units of jawOpen; values[..., >= 52]."""
    raised = np.maximum.reduce(values[..., _LIPS_APART], axis=-1)
    return np.asarray(np.maximum(values[..., _JAW] - values[..., _CLOSE], 0.0) + 0.5 * raised)


def mix(speech: Array, touch: Array, pause: Array, mood: EmotionFrames, life: LifeFrames) -> Array:
    """[K, 55] a face: shapes within 0..1, head in rad.

    speech[K, 55]: curves of the voice; their eyes, brows and head are not used (a network learns one
    speaker's resting brows, accents come with the prosody). touch[K]: likelihood of a phone
    that wants the lips to meet or the lip to touch the teeth. pause[K]: 1 where nobody speaks and nobody
    will within the anticipation.
    """
    opening = lip_opening(speech)
    apart = 1.0 - _bounded(1.5 * touch)
    spoken = _smooth(opening, SEALED, _OPEN) * apart
    room = np.maximum(_smooth(opening, 1.5 * SEALED, _PARTED) * apart, pause * apart)
    out = np.empty((len(speech), N_CHANNELS))
    face = out[:, :N_SHAPES]
    face[:] = _bounded(speech[:, :N_SHAPES]) * _SPEAKS
    face *= 1.0 + ((mood.articulation - 1.0) * spoken)[:, None] * _ARTICULATED
    felt = _bounded(mood.shapes + mood.spoken * (spoken * (1.0 - pause))[:, None])
    shapes = _with_lip_priority(felt, speech, opening, room, pause)
    face += shapes * (1.0 - _bounded(face))
    needed = (1.0 - room) * SNEER_PARTS * (shapes[:, _SNEER[0]] + shapes[:, _SNEER[1]])
    face[:, _SHRUG] = np.maximum(face[:, _SHRUG], needed)
    if life.brow.any():
        _brows(face, life.brow)
    _eyes(face, shapes, life)
    face[:] = _bounded(face)
    out[:, HEAD_SLICE] = _bounded(mood.head_rad + life.head_rad, -_HEAD_LIMIT_RAD, _HEAD_LIMIT_RAD)
    return out


def _with_lip_priority(shapes: Array, speech: Array, opening: Array, room: Array, pause: Array) -> Array:
    """What of an expression[K, 52] may be added to the speech of that moment."""
    talk = np.minimum(shapes, _LIMIT)  # 0 off the lips
    talk *= np.minimum(1.0, TOTAL_BUDGET / np.maximum(talk.sum(axis=1, keepdims=True), 1e-9))
    shapes = np.where(_IS_LIPS, talk + pause[:, None] * (shapes - talk), shapes)
    yielding = _smooth(opening, 0.04, 0.18)
    rounding = _bounded(speech[:, _PUCKER] + 0.8 * speech[:, _FUNNEL])
    kept = 1.0 - (1.0 - room)[:, None] * _IN_ROOM
    kept -= yielding[:, None] * _YIELDING
    kept -= rounding[:, None] * _ROUNDED  # no shape is in two of the three
    return np.asarray(shapes * kept)


_SIDES: Final = tuple(
    tuple(
        ARKIT_INDEX[name + side] for name in ("browDown", "browOuterUp", "eyeBlink", "eyeWide", "eyeSquint")
    )
    for side in ("Left", "Right")
)
_INNER_UP = ARKIT_INDEX["browInnerUp"]


def _brows(face: Array, accent: Array) -> None:
    """Accents raise the brows; brows drawn down by an expression are drawn further instead."""
    for down_at, up_at, *_ in _SIDES:
        down = face[:, down_at].copy()
        face[:, up_at] += accent * (1.0 - down)
        face[:, down_at] += 0.4 * accent * down
        face[:, _INNER_UP] += 0.4 * accent * (1.0 - down)


def _eyes(face: Array, shapes: Array, life: LifeFrames) -> None:
    """Lids: a blink closes what an expression left open, wins over wide eyes and eases a squint; looking
    down lowers the lid by itself, so a blink needs less then."""
    looks = look_shapes(life.gaze_rad[:, 0], life.gaze_rad[:, 1])
    face[:, _LOOK] = looks
    for (_, _, blink, wide, squint), look_down in zip(_SIDES, (looks[:, 6], looks[:, 7]), strict=True):
        droop = shapes[:, blink]
        face[:, blink] = (droop + (1.0 - droop) * life.blink) * (1.0 - 0.25 * look_down)
        face[:, wide] *= 1.0 - life.blink
        face[:, squint] *= 1.0 - 0.6 * life.blink


class PauseGate:
    """0 while somebody speaks or is about to, 1 in a pause; comes slowly, goes before the voice."""

    def __init__(self, most: float) -> None:
        """`most`: how far it opens. Below 1 where the next word can't be seen coming."""
        self._most, self._value = most, 0.0

    def advance(self, quiet: NDArray[np.bool_]) -> Array:
        """quiet[K] -> [K]."""
        out = np.zeros(len(quiet))
        for k, target in enumerate(quiet.tolist()):
            step = 1.0 / (0.35 * FRAME_RATE_HZ) if target else -1.0 / (0.12 * FRAME_RATE_HZ)
            self._value = min(1.0, max(0.0, self._value + step))
            out[k] = self._most * self._value
        return out


class RestGate:
    """1 while somebody speaks, 0 at rest: in silence the mouth comes to rest and is exactly still, whatever
    the network makes of the noise. It leaves slowly and is back within four frames."""

    def __init__(self) -> None:
        self._level = 0.0

    def advance(self, resting: NDArray[np.bool_]) -> Array:
        """resting[K] -> [K] factor on the curves of the voice."""
        out = np.zeros(len(resting))
        for k, rests in enumerate(resting.tolist()):
            step = -1.0 / (0.4 * FRAME_RATE_HZ) if rests else 0.25
            self._level = min(1.0, max(0.0, self._level + step))
            out[k] = self._level * self._level * (3.0 - 2.0 * self._level)
        return out

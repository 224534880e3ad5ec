"""A person's own expressions from their captures: `animaface train expressions --data CAPTURES -o anna`.

The additive model of speech/emotion.py, fitted anew: captured curves = rest + speech basis x the network's curves of the same sound
+ expression basis x the emotions' intensities. Both bases are sparse off their domain: speech moves the upper face, and an
expression moves what the lips need for speech, only where the captures insist (an L1 penalty, then least squares on what is
left: the relaxed lasso of Meinshausen, Computational Statistics & Data Analysis 52, 2007; minimised by FISTA, Beck and Teboulle,
SIAM J. Imaging Sciences 2, 2009). Numpy only.

A recording's emotion is told by NAME.emotion.txt beside it ('happy:0.7'), or by a word of its path (anna/happy/01.wav,
anna_sad.wav). Recordings of the neutral face are needed, since an expression is what is added to it.
"""

import logging
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES, FRAME_RATE_HZ, HEAD_NAMES, N_SHAPES
from animaface.robot.face.errors import InputError
from animaface.robot.face.facial_actions import ALIASES, EXPRESSIVE, PROTOTYPES
from animaface.speech.emotion import EmotionMix, parse_emotion
from animaface.speech.expressions import OwnExpression, keep_expressions
from animaface.speech.layers import SPEECH_BUDGET
from animaface.speech.sound import read_sound
from animaface.speech.stream import predict
from animaface.speech.train.recordings import Recording, VideoReader, recordings

log = logging.getLogger(__name__)
Array = NDArray[np.float64]
_EDGE_S: Final = 0.4
"""Left out at both ends, where an expression comes and goes."""
_NEEDED_S: Final = 2.0
_MOVES: Final = 0.02
"""Standard deviation from which a curve of the network explains anything."""
_NEGLIGIBLE_EXPRESSION, _NEGLIGIBLE_SPEECH = 0.06, 0.12
"""Off its domain, an entry of a basis below about this is none."""
_BLINK: Final = 0.3
_LEAST, _MOST = -0.5, 1.0
_LEAST_ARTICULATION, _MOST_ARTICULATION = 0.6, 1.4
_MOST_HEAD_RAD: Final = np.radians(12.0)
_LIDS: Final = np.array([n.startswith(("eyeBlink", "eyeSquint", "eyeWide")) for n in ARKIT_NAMES])
_BLINKS: Final = [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]
_LIPS: Final = np.array([n.startswith(tuple(SPEECH_BUDGET)) for n in ARKIT_NAMES])
_SPOKEN: Final = np.array([n.startswith(("jaw", "mouth", "tongue")) for n in ARKIT_NAMES])


@dataclass(frozen=True)
class Shown:
    """One recording at 60 frames a second: captured[T, 52] and known[T, 52], head_rad[T, 3] (NaN: not captured), spoken[T, 55] by the
    network, intensities[7] of its emotion."""

    name: str
    captured: Array
    known: NDArray[np.bool_]
    head_rad: Array
    spoken: Array
    intensities: Array

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.captured) / FRAME_RATE_HZ


@dataclass(frozen=True)
class Fitted:
    """expressions by emotion; speech[52, 52] basis (row: what a curve of the network moves), rest[52]; explained: share of the captured
    variance."""

    expressions: dict[str, OwnExpression]
    speech: Array
    rest: Array
    explained: float


def main(data: Path, out: Path | None, video: VideoReader | None = None) -> Path:
    """Fit the expressions in a folder of recordings and keep them under the name `out`; returns the file."""
    if out is None or out.name != str(out):
        raise InputError(
            f"expressions are kept under a name, found {out}", next_step="-o anna, then --emotion happy@anna"
        )
    fitted = fit([shown(r, data) for r in recordings(data, video)])
    for emotion, e in fitted.expressions.items():
        main_shapes = sorted(e.as_dict()["shapes"].items(), key=lambda kv: -abs(kv[1]))[:4]
        log.info("%s: %.0f s; %s", emotion, e.seconds, ", ".join(f"{n} {v:.2f}" for n, v in main_shapes))
    left = [n for n in EXPRESSIVE if n not in fitted.expressions]
    log.info(
        "%.0f %% of the motion explained; as shipped: %s", 100 * fitted.explained, ", ".join(left) or "none"
    )
    return keep_expressions(fitted.expressions, out.name)


def emotion_of(sound: Path, folder: Path | None = None) -> EmotionMix:
    """What a recording shows, by the file beside it or a word of its path below `folder`. Raises InputError where neither tells."""
    told = sound.with_suffix(".emotion.txt")
    if told.is_file():
        return parse_emotion(told.read_text(encoding="utf-8").strip())
    words = re.split(
        r"[^a-z]+", str(sound.with_suffix("").relative_to(folder) if folder else sound.stem).lower()
    )
    named = {ALIASES.get(w, w) for w in words} & PROTOTYPES.keys()
    if len(named) != 1:
        raise InputError(
            f"{sound}: wanted one emotion in its name, found {' and '.join(sorted(named)) or 'none'}; valid: {', '.join(PROTOTYPES)}",
            next_step=f"write it into {told.name}, for example: happy:0.7",
        )
    return parse_emotion(named.pop())


def shown(recording: Recording, folder: Path | None = None) -> Shown:
    """A recording beside what the network makes of its sound."""
    mix = emotion_of(recording.sound, folder)
    if mix.heard or mix.by:
        raise InputError(f"{recording.sound}: wanted emotions with intensities, found {mix}")
    spoken = np.asarray(predict(read_sound(recording.sound).samples).values, dtype=np.float64)
    at_s = np.arange(len(spoken)) / FRAME_RATE_HZ
    first_s, end_s = max(_EDGE_S, recording.time_s[0]), min(at_s[-1] - _EDGE_S, recording.time_s[-1])
    taken = np.flatnonzero((at_s >= first_s) & (at_s <= end_s))
    columns = np.full((len(taken), N_SHAPES + len(HEAD_NAMES)), np.nan)
    for i, name in enumerate((*ARKIT_NAMES, *HEAD_NAMES)):
        if name in recording.columns:
            columns[:, i] = np.interp(at_s[taken], recording.time_s, recording.columns[name])
    captured = columns[:, :N_SHAPES]
    known = np.isfinite(captured)
    lids = np.nan_to_num(captured[:, _BLINKS])
    if len(lids):
        blinks = (lids > np.median(lids, axis=0) + _BLINK).any(axis=1)
        known &= ~(blinks[:, None] & _LIDS)
    intensities = np.array([mix.intensities.get(name, 0.0) for name in EXPRESSIVE])
    return Shown(
        recording.sound.stem,
        np.nan_to_num(captured),
        known,
        columns[:, N_SHAPES:],
        spoken[taken],
        intensities,
    )


def fit(captures: list[Shown]) -> Fitted:
    """The two bases of all recordings together. Raises InputError where there is too little of neutral or of any emotion."""
    seconds = _seconds(captures)
    emotions = [k for k, name in enumerate(EXPRESSIVE) if seconds.get(name, 0.0) >= _NEEDED_S]
    captures = [c for c in captures if not np.delete(c.intensities, emotions).any()]
    asked = np.concatenate([np.repeat(c.intensities[None], len(c.captured), axis=0) for c in captures])[
        :, emotions
    ]
    spoken = np.concatenate([c.spoken for c in captures])[:, :N_SHAPES]
    drivers = np.flatnonzero(spoken.std(axis=0) > _MOVES)
    x = np.concatenate([spoken[:, drivers], asked], axis=1)
    captured, known = (np.concatenate([getattr(c, n) for c in captures]) for n in ("captured", "known"))
    weights, rest = np.zeros((x.shape[1], N_SHAPES)), np.zeros(N_SHAPES)
    for shape in np.flatnonzero(known.sum(axis=0) / FRAME_RATE_HZ >= _NEEDED_S):
        seen = known[:, shape]
        off = np.where(np.arange(x.shape[1]) < len(drivers), _NEGLIGIBLE_SPEECH, _NEGLIGIBLE_EXPRESSION)
        domain = np.concatenate([drivers == shape if _SPOKEN[shape] else np.zeros(len(drivers), bool),
                                 np.full(len(emotions), not _LIPS[shape])])  # fmt: skip
        weights[:, shape], rest[shape] = sparse_fit(
            x[seen], captured[seen, shape], np.where(domain, 0.0, off)
        )
    left = ((captured - x @ weights - rest) * known)[known.any(axis=1)]
    moved = ((captured - np.median(captured, axis=0)) * known)[known.any(axis=1)]
    speech = np.zeros((N_SHAPES, N_SHAPES))
    speech[drivers] = weights[: len(drivers)]
    shapes = np.clip(weights[len(drivers) :], _LEAST, _MOST)
    own = {
        EXPRESSIVE[k]: OwnExpression(
            shapes[i], _head(captures, k), _articulation(captures, k), seconds[EXPRESSIVE[k]]
        )
        for i, k in enumerate(emotions)
    }
    return Fitted(own, speech, rest, float(1.0 - (left**2).sum() / max((moved**2).sum(), 1e-12)))


def _seconds(captures: list[Shown]) -> dict[str, float]:
    """By emotion, and of the neutral face; checked."""
    seconds = dict.fromkeys(("neutral", *EXPRESSIVE), 0.0)
    for c in captures:
        for name in [n for n, i in zip(EXPRESSIVE, c.intensities, strict=True) if i > 0.0] or ["neutral"]:
            seconds[name] += c.seconds
    found = ", ".join(f"{s:.1f} s of {n}" for n, s in seconds.items() if s) or "nothing"
    enough = [n for n, s in seconds.items() if s >= _NEEDED_S]
    if "neutral" not in enough or len(enough) < 2:
        raise InputError(
            f"wanted {_NEEDED_S:g} s and more of the neutral face and of one emotion at least, found {found}",
            next_step="record the same sentences neutrally, too",
        )
    return seconds


def sparse_fit(x: Array, y: Array, negligible: Array) -> tuple[Array, float]:
    """x[N, P], y[N] -> weights[P] and offset of least squares in which entries of size `negligible`[P] and below tend to nothing;
    0 there: no penalty. Columns that don't move get 0."""
    mean, y_mean = x.mean(axis=0), float(y.mean())
    centred = x - mean
    variance = (centred**2).mean(axis=0)
    moving = np.flatnonzero(variance > 1e-8)
    scaled = centred[:, moving] / np.sqrt(variance[moving])
    gram = scaled.T @ scaled / len(x)
    towards = scaled.T @ (y - y_mean) / len(x)
    threshold = negligible[moving] * np.sqrt(variance[moving])
    found = _fista(gram, towards, threshold)
    support = (found != 0.0) | (threshold == 0.0)
    weights = np.zeros(x.shape[1])
    if support.any():
        part = gram[np.ix_(support, support)] + 1e-6 * np.eye(int(support.sum()))
        weights[moving[support]] = np.linalg.solve(part, towards[support]) / np.sqrt(
            variance[moving[support]]
        )
    return weights, y_mean - float(mean @ weights)


def _fista(gram: Array, towards: Array, threshold: Array, steps: int = 500) -> Array:
    """argmin w'Gw / 2 - t'w + threshold'|w|."""
    rate = 1.0 / max(float(np.linalg.norm(gram, 2)), 1e-9)
    w = ahead = np.zeros(len(towards))
    pace = 1.0
    for _ in range(steps):
        free = ahead - rate * (gram @ ahead - towards)
        new = np.sign(free) * np.maximum(np.abs(free) - rate * threshold, 0.0)
        next_pace = (1.0 + np.sqrt(1.0 + 4.0 * pace * pace)) / 2.0
        ahead = new + (pace - 1.0) / next_pace * (new - w)
        w, pace = new, next_pace
    return w


def _head(captures: list[Shown], emotion: int) -> Array:
    """[3] rad: how the head is held at intensity 1, beside how it is held neutrally; 0 where nobody saw."""
    neutral, alone = _neutral_and_alone(captures, emotion)
    if not neutral or not alone:
        return np.zeros(3)
    straight = np.concatenate([c.head_rad for c in neutral]).mean(axis=0)
    held = np.concatenate([(c.head_rad - straight) / c.intensities[emotion] for c in alone]).mean(axis=0)
    return np.asarray(np.clip(np.nan_to_num(held), -_MOST_HEAD_RAD, _MOST_HEAD_RAD))


def _neutral_and_alone(captures: list[Shown], emotion: int) -> tuple[list[Shown], list[Shown]]:
    """Recordings of the neutral face, and of this emotion and no other."""
    neutral = [c for c in captures if not c.intensities.any()]
    return neutral, [
        c for c in captures if c.intensities[emotion] > 0.0 and np.count_nonzero(c.intensities) == 1
    ]


def _articulation(captures: list[Shown], emotion: int) -> float:
    """How far the mouth moves with the network's at intensity 1, as a factor on how far it does neutrally."""
    neutral, alone = _neutral_and_alone(captures, emotion)
    usual = _opening_gain(neutral) if neutral else 0.0
    if not alone or usual < 0.1:
        return 1.0
    intensity = float(np.mean([c.intensities[emotion] for c in alone]))
    factor = 1.0 + (_opening_gain(alone) / usual - 1.0) / intensity
    return float(np.clip(factor, _LEAST_ARTICULATION, _MOST_ARTICULATION))


def _opening_gain(captures: list[Shown]) -> float:
    """Slope of the captured gap of the jaw on the network's, each recording about its own mean."""
    done, said = (
        np.concatenate([_gap(getattr(c, which)) for c in captures]) for which in ("captured", "spoken")
    )
    return float(done @ said / max(said @ said, 1e-9))


def _gap(values: Array) -> Array:
    gap = values[:, ARKIT_INDEX["jawOpen"]] - values[:, ARKIT_INDEX["mouthClose"]]
    return np.asarray(gap - gap.mean())

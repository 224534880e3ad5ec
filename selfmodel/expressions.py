"""Plausible ARKit values to learn and to try an inverse on: shapes, pairs, emotions, visemes, spoken takes.

Made from seeds, no recording needed. Visemes and timing follow JALI (Edwards et al., SIGGRAPH 2016): m b p
close the lips for 60-120 ms, f v bring the lower lip to the teeth, rounded sounds start early, l n t d g k
leave the lips to their neighbours. Emotions follow the facial actions of EMFACS (Ekman and Friesen).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import (
    ARKIT_INDEX,
    FRAME_RATE_HZ,
    HEAD_SLICE,
    N_CHANNELS,
    N_SHAPES,
    mirrored,
    shape_indices,
)
from animaface.robot.face.facial_actions import EXPRESSIVE, PROTOTYPES, SNEER_PARTS, SNEER_WAITS, shapes_of

Array = NDArray[np.float64]

_BOTH: Final = {
    "smile": "mouthSmile", "stretch": "mouthStretch", "press": "mouthPress", "lowerDown": "mouthLowerDown",
    "upperUp": "mouthUpperUp",
}  # fmt: skip

VISEMES: Final[dict[str, dict[str, float]]] = {
    "AA": {"jawOpen": 0.45, "lowerDown": 0.15},
    "AE": {"jawOpen": 0.38, "stretch": 0.2, "lowerDown": 0.2, "upperUp": 0.1},
    "AH": {"jawOpen": 0.28, "lowerDown": 0.12},
    "EH": {"jawOpen": 0.28, "stretch": 0.12, "lowerDown": 0.2, "smile": 0.08},
    "IY": {"jawOpen": 0.12, "smile": 0.2, "stretch": 0.15, "lowerDown": 0.25, "upperUp": 0.08},
    "OW": {"jawOpen": 0.25, "mouthFunnel": 0.45, "mouthPucker": 0.2},
    "UW": {"jawOpen": 0.12, "mouthPucker": 0.55, "mouthFunnel": 0.25},
    "AO": {"jawOpen": 0.36, "mouthFunnel": 0.35},
    "ER": {"jawOpen": 0.16, "mouthFunnel": 0.3, "mouthPucker": 0.1},
    "M": {"jawOpen": 0.08, "mouthClose": 0.08, "press": 0.15, "mouthRollUpper": 0.1, "mouthRollLower": 0.1},
    "F": {"jawOpen": 0.07, "mouthRollLower": 0.35, "upperUp": 0.15, "mouthShrugLower": 0.1},
    "T": {"jawOpen": 0.1, "lowerDown": 0.12},
    "S": {"jawOpen": 0.04, "stretch": 0.15, "lowerDown": 0.15, "upperUp": 0.06},
    "SH": {"jawOpen": 0.07, "mouthFunnel": 0.45, "mouthPucker": 0.15},
    "K": {"jawOpen": 0.16, "lowerDown": 0.08},
    "SIL": {"jawOpen": 0.02},
}
_VOWELS: Final = ("AA", "AE", "AH", "EH", "IY", "OW", "UW", "AO", "ER")
_CONSONANTS: Final = ("M", "M", "F", "T", "S", "SH", "K")
_PARTING: Final = shape_indices("mouthLowerDown", "mouthUpperUp", "mouthFunnel")
_SNEER: Final = shape_indices("noseSneer")
_LIP_CRITICAL: Final = np.append(_PARTING, shape_indices("jawOpen", "mouthPress", "mouthRoll", "mouthShrug"))


def pose(parts: dict[str, float]) -> Array:
    """[55] values from shape names, or the short names of shapes that both sides share."""
    out = np.zeros(N_CHANNELS)
    for name, value in parts.items():
        for full in (f"{_BOTH[name]}Left", f"{_BOTH[name]}Right") if name in _BOTH else (name,):
            out[ARKIT_INDEX[full]] += value
    return out


def _emotion(name: str, *, spoken: bool = False) -> Array:
    """[55] one emotion at intensity 1; `spoken`: as it shows in a mouth that speaks."""
    p = PROTOTYPES[name]
    shapes = shapes_of(p.actions) + (shapes_of(p.spoken) if spoken else 0.0)
    return np.concatenate([np.clip(shapes, 0.0, 1.0), np.zeros(N_CHANNELS - N_SHAPES)])


EMOTIONS: Final = {name: _emotion(name) for name in EXPRESSIVE}
"""[55] of each, at intensity 1."""


@dataclass(frozen=True)
class SpokenTake:
    """values[T, 55] at 60 Hz; phones: (name, start_s, end_s) that the lips were meant to show."""

    values: Array
    phones: tuple[tuple[str, float, float], ...]

    @property
    def time_s(self) -> Array:
        """[T] time of each frame, s."""
        return np.arange(len(self.values)) / FRAME_RATE_HZ


def spoken_take(seed: int, duration_s: float = 4.0, *, emotion: bool | None = None) -> SpokenTake:
    """Syllables at the speed of speech, with blinks, gaze, head and (by chance, or asked) an emotion."""
    random = np.random.default_rng([seed, 52])
    phones = _syllables(random, duration_s)
    frames = round(duration_s * FRAME_RATE_HZ)
    time_s = np.arange(frames) / FRAME_RATE_HZ
    loud = random.uniform(0.6, 1.25)
    values = np.zeros((frames, N_CHANNELS))
    weight = np.zeros(frames)
    for name, start, end in phones:
        reach = 0.5 * min(0.09, 0.6 * (end - start) + 0.02)  # neighbours share the moment between them
        w = _ramp(time_s, start, reach) * (1.0 - _ramp(time_s, end, reach))
        p = pose(VISEMES[name]) * (1.0 if name in ("M", "F") else loud * random.uniform(0.85, 1.15))
        values += w[:, None] * p
        weight += w
    values /= np.maximum(weight, 1e-6)[:, None]
    if emotion if emotion is not None else random.random() < 0.5:
        feeling = _emotion(str(random.choice(EXPRESSIVE)), spoken=True) * random.uniform(0.3, 1.0)
        feeling[_LIP_CRITICAL] *= random.uniform(0.1, 0.5)  # lips and jaw belong to speech
        values += feeling
    _seal_where_closed(values, time_s, phones)
    values += _living(random, time_s)
    values[:, :N_SHAPES] = np.clip(values[:, :N_SHAPES], 0.0, 1.0)
    return SpokenTake(values, tuple(phones))


def random_expressions(n: int, seed: int) -> Array:
    """[n, 55] single shapes, sided and both-sided pairs, sparse mixtures, emotions, visemes; gaze and head."""
    random = np.random.default_rng([seed, 478])
    out = np.zeros((n, N_CHANNELS))
    emotions, visemes = list(EMOTIONS.values()), list(VISEMES.values())
    for row, kind in zip(out, random.choice(5, n, p=[0.3, 0.15, 0.22, 0.1, 0.23]), strict=True):
        if kind == 0:
            row[random.integers(N_SHAPES)] = min(1.0, 1.3 * random.random() ** 0.7)
        elif kind == 1:
            _add_shapes(row, random, 1, both_sides=True)
        elif kind == 2:
            _add_shapes(row, random, int(random.integers(2, 6)), both_sides=bool(random.random() < 0.6))
        else:
            row += (
                emotions[random.integers(len(emotions))]
                * random.random()
                * (kind == 3 or random.random() < 0.5)
            )
            if kind == 4:
                row += pose(visemes[random.integers(len(visemes))]) * random.uniform(0.3, 1.5)
        if random.random() < 0.25:
            a = random.uniform(0.0, 0.45)  # closed lips on an opening jaw, as at m b p
            row[ARKIT_INDEX["jawOpen"]], row[ARKIT_INDEX["mouthClose"]] = a, a
        if random.random() < 0.5:
            row += _gaze(random.uniform(-1, 1), random.uniform(-1, 1))
        if random.random() < 0.5:
            row[HEAD_SLICE] = random.normal(0.0, [0.2, 0.12, 0.08])
    out[:, :N_SHAPES] = np.clip(out[:, :N_SHAPES], 0.0, 1.0)
    return out


def shapes_alone(strengths: Sequence[float] = (0.25, 0.5, 0.75, 1.0)) -> Array:
    """[K, 55] every shape and every emotion by itself, at each strength."""
    whole = np.concatenate([np.eye(N_SHAPES, N_CHANNELS), list(EMOTIONS.values())])
    return np.concatenate([strength * whole for strength in strengths])


def _add_shapes(row: Array, random: np.random.Generator, count: int, *, both_sides: bool) -> None:
    names = list(ARKIT_INDEX)
    for i in random.integers(N_SHAPES, size=count):
        value = random.random()
        row[i] = value
        if both_sides:
            row[ARKIT_INDEX[mirrored(names[int(i)])]] = value


def _syllables(random: np.random.Generator, duration_s: float) -> list[tuple[str, float, float]]:
    phones: list[tuple[str, float, float]] = []
    t = float(random.uniform(0.15, 0.35))
    phones.append(("SIL", 0.0, t))
    while t < duration_s - 0.5:
        consonant, vowel = str(random.choice(_CONSONANTS)), str(random.choice(_VOWELS))
        for name, low, high in ((consonant, 0.06, 0.12), (vowel, 0.09, 0.22)):
            end = t + float(random.uniform(low, high))
            phones.append((name, t, end))
            t = end
        if random.random() < 0.12:
            end = t + float(random.uniform(0.15, 0.4))
            phones.append(("SIL", t, end))
            t = end
    phones.append(("SIL", t, max(duration_s, t + 0.2)))
    return phones


def _ramp(time_s: Array, at_s: float, half_s: float) -> Array:
    return np.asarray(0.5 - 0.5 * np.cos(np.pi * np.clip((time_s - at_s + half_s) / (2 * half_s), 0.0, 1.0)))


def _seal_where_closed(values: Array, time_s: Array, phones: list[tuple[str, float, float]]) -> None:
    """Within m b p the lips are sealed whatever neighbours and feeling want: mouthClose follows the jaw, what parts the
    lips goes, and the chin makes good what a wrinkled nose would part."""
    jaw, close, chin = (ARKIT_INDEX[n] for n in ("jawOpen", "mouthClose", "mouthShrugLower"))
    for name, start, end in phones:
        if name == "M":
            w = _ramp(time_s, start, 0.03) * (1.0 - _ramp(time_s, end, 0.03))
            values[:, close] += w * (values[:, jaw] - values[:, close])
            values[:, _PARTING] *= (1.0 - w)[:, None]
            values[:, _SNEER] *= (1.0 - SNEER_WAITS * w)[:, None]
            values[:, chin] = np.maximum(values[:, chin], SNEER_PARTS * w * values[:, _SNEER].sum(axis=1))


def _living(random: np.random.Generator, time_s: Array) -> Array:
    """Blinks, saccades and slow head movement."""
    out = np.zeros((len(time_s), N_CHANNELS))
    t = float(random.uniform(0.3, 2.0))
    while t < time_s[-1]:
        lid = _ramp(time_s, t, 0.035) * (1.0 - _ramp(time_s, t + 0.14, 0.06)) * random.choice([0.6, 1.0])
        out[:, [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]] += lid[:, None]
        t += float(random.uniform(0.8, 4.0))
    t, gaze = 0.0, np.zeros(N_CHANNELS)
    while t < time_s[-1]:
        new = _gaze(random.normal(0, 0.3), random.normal(0, 0.2))
        out += _ramp(time_s, t, 0.02)[:, None] * (new - gaze)
        gaze = new
        t += float(random.uniform(0.3, 2.0))
    for axis, sd in zip(range(N_CHANNELS - 3, N_CHANNELS), (0.05, 0.04, 0.03), strict=True):
        for hz in random.uniform(0.2, 2.0, 3):
            out[:, axis] += 0.6 * sd * np.sin(2 * np.pi * (hz * time_s + random.random()))
    return out


def _gaze(left: float, up: float) -> Array:
    """[55] eyeLook shapes of a gaze to the subject's left and up, -1..1."""
    out = np.zeros(N_CHANNELS)
    x, y = float(np.clip(left, -1, 1)), float(np.clip(up, -1, 1))
    out[ARKIT_INDEX["eyeLookOutLeft" if x > 0 else "eyeLookInLeft"]] = abs(x)
    out[ARKIT_INDEX["eyeLookInRight" if x > 0 else "eyeLookOutRight"]] = abs(x)
    for side in ("Left", "Right"):
        out[ARKIT_INDEX[f"eyeLook{'Up' if y > 0 else 'Down'}{side}"]] = abs(y)
    return out

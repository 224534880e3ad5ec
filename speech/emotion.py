"""Emotions as an additive layer over the whole face: what was asked, how it comes and goes; what each adds stands in
expressions.py.

Speech and expression add up; what the lips need for speech keeps its priority in the mixing
(animaface.speech.layers).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ, N_SHAPES
from animaface.robot.face.errors import InputError, unknown_name
from animaface.robot.face.facial_actions import ALIASES, EXPRESSIVE, PROTOTYPES
from animaface.speech.expressions import WIDTH, basis_of, parts
from animaface.speech.prosody import ProsodyFrames

Array = NDArray[np.float64]
EMOTIONS: Final = tuple(PROTOTYPES)
AUTO: Final = "auto"
"""Stands for the emotions that are heard in the voice."""
_DT_S: Final = 1.0 / FRAME_RATE_HZ
_REST_SHARE: Final = 0.92
"""Share of the expression that stays between accents; the rest swells with the voice."""


@dataclass(frozen=True)
class EmotionMix:
    """Emotions with their intensities 0..1; nothing in it is the neutral face. heard: 0..1, how strongly the
    emotions that are heard in the voice are shown besides. by: the name of whose expressions they are, "" for the shipped ones."""

    intensities: Mapping[str, float] = field(default_factory=dict)
    heard: float = 0.0
    by: str = ""

    def __post_init__(self) -> None:
        if not 0.0 <= self.heard <= 1.0:
            raise InputError(f"emotion {AUTO}: wanted an intensity of 0 to 1, found {self.heard:g}")
        for name, intensity in self.intensities.items():
            if name not in PROTOTYPES:
                raise InputError(unknown_name("emotion", name, (*EMOTIONS, *ALIASES)))
            if not 0.0 <= intensity <= 1.0:  # NaN falls out here too
                raise InputError(f"emotion {name}: wanted an intensity of 0 to 1, found {intensity:g}")
        basis_of(self.by)

    def __str__(self) -> str:
        parts = [f"{n}:{i:g}" for n, i in self.intensities.items()]
        mix = ",".join([f"{AUTO}:{self.heard:g}"] * (self.heard > 0.0) + parts) or "neutral"
        return f"{mix}@{self.by}" if self.by else mix


NEUTRAL: Final = EmotionMix()


def parse_emotion(spec: str) -> EmotionMix:
    """'happy', 'happy:0.7', 'happy:0.5,surprise:0.3' or 'auto' -> a mix; a missing intensity is 1; '@anna' behind it: as
    Anna shows them.

    Raises InputError for an unknown name (with the valid ones), a doubled one, or an intensity that is
    not a number from 0 to 1.
    """
    out: dict[str, float] = {}
    what, _, by = spec.partition("@")
    for part in what.split(","):
        name, colon, amount = (p.strip() for p in part.partition(":"))
        known = ALIASES.get(name.lower(), name.lower())
        if known not in PROTOTYPES and known != AUTO:
            valid = (*EMOTIONS, AUTO, *(a for a in ALIASES if a not in ("none", "calm")))
            raise InputError(unknown_name("emotion", name, valid), next_step="--emotion happy:0.7")
        if known in out:
            raise InputError(f"emotion {spec!r}: {known} is named twice", next_step="name it once")
        try:
            out[known] = float(amount) if colon else 1.0
        except ValueError as e:
            raise InputError(
                f"emotion {spec!r}: wanted a number from 0 to 1 after {name!r}, found {amount!r}",
                next_step="--emotion happy:0.7",
            ) from e
    heard = out.pop(AUTO, 0.0)
    return EmotionMix(out, heard, by.strip())


@dataclass(frozen=True)
class EmotionFrames:
    """What the emotions ask for: shapes[K, 52], spoken[K, 52] to add where speech opens the mouth, head_rad[K, 3], gaze_rad[K, 2] (yaw, pitch), and factors
    [K] on articulation, tempo and blink rate (1 = as it is)."""

    shapes: Array
    spoken: Array
    head_rad: Array
    gaze_rad: Array
    articulation: Array
    tempo: Array
    blink_rate: Array


def _unmoved(n: int) -> EmotionFrames:
    """[n] frames in which no emotion asks for anything."""
    shapes, one = np.zeros((n, N_SHAPES)), np.ones(n)
    return EmotionFrames(shapes, shapes, np.zeros((n, 3)), np.zeros((n, 2)), one, one, one)


class EmotionLayer:
    """Brings the asked emotions in and out in 300-500 ms and lets them swell with the voice."""

    def __init__(self, mix: EmotionMix = NEUTRAL) -> None:
        self._coming = {mix.by: _Coming(mix.by)}
        self._swell = 0.0
        self._mix = mix

    def set(self, mix: EmotionMix) -> None:
        """From the next frame on, ask for `mix`. What another person's expressions had shown fades."""
        self._mix = mix
        self._coming = {by: c for by, c in self._coming.items() if c.shows or by == mix.by}
        self._coming.setdefault(mix.by, _Coming(mix.by))

    @property
    def mix(self) -> EmotionMix:
        """What is asked for at present."""
        return self._mix

    def advance(self, prosody: ProsodyFrames, felt: Array | None = None) -> EmotionFrames:
        """[K] frames of prosody -> what the emotions ask for on them. felt[K, 7]: intensities heard in the
        voice, in the order of EMOTIONS without neutral; they count as far as the mix asks for it."""
        accents = zip(prosody.slow.tolist(), prosody.stress.tolist(), strict=True)
        shares = [self._share(*accent) for accent in accents]
        asked = self._asked(len(shares), felt)
        shown = [c.advance(asked if by == self._mix.by else None, shares) for by, c in self._coming.items()]
        out = np.sum(shown, axis=0)
        if not out.any():
            return _unmoved(len(prosody))
        shapes, spoken, head, gaze, factors = parts(out)
        factors = np.maximum(0.3, 1.0 + factors)
        return EmotionFrames(shapes, spoken, head, gaze, factors[:, 0], factors[:, 1], factors[:, 2])

    def _asked(self, n: int, felt: Array | None) -> list[list[float]]:
        """[n][7] intensities."""
        asked = [self._mix.intensities.get(name, 0.0) for name in EXPRESSIVE]
        if felt is None or self._mix.heard == 0.0:
            return [asked] * n
        return [
            [max(a, self._mix.heard * f) for a, f in zip(asked, row, strict=True)] for row in felt.tolist()
        ]

    def _share(self, slow: float, stress: float) -> float:
        """How much of the expression shows on the next frame."""
        asked = min(1.0, 1.3 * slow) + 0.5 * stress
        self._swell += (min(1.0, asked) - self._swell) * (1.0 - math.exp(-_DT_S / 0.15))
        if asked == 0.0 and self._swell < 1e-3:
            self._swell = 0.0
        return _REST_SHARE + (1.0 - _REST_SHARE) * self._swell


class _Coming:
    """One person's expressions as they come and go."""

    def __init__(self, by: str) -> None:
        self._basis = basis_of(by)
        self._activation = [0.0] * len(EXPRESSIVE)
        self._half = [0.0] * len(EXPRESSIVE)

    @property
    def shows(self) -> bool:
        """Is anything of it left?"""
        return any(self._activation) or any(self._half)

    def advance(self, asked: list[list[float]] | None, shares: list[float]) -> Array:
        """asked[K][7] intensities (None: no longer wanted), shares[K] -> [K, WIDTH]."""
        wanted = asked if asked is not None else [[0.0] * len(EXPRESSIVE)] * len(shares)
        activation = np.array([self._step(*now) for now in zip(wanted, shares, strict=True)])
        if not activation.any():
            return np.zeros((len(shares), WIDTH))
        # summed row by row, so that a frame's bits do not depend on the size of its chunk
        return np.asarray((activation[:, :, None] * self._basis[None]).sum(axis=1))

    def _step(self, wanted: list[float], share: float) -> list[float]:
        for i, name in enumerate(EXPRESSIVE):
            rising = wanted[i] > self._activation[i]
            time_s = PROTOTYPES[name].rise_s if rising else PROTOTYPES[name].fall_s
            rate = 1.0 - math.exp(-_DT_S * 4.7 / time_s)  # two equal lags: 95 % after time_s
            self._half[i] = _ease(self._half[i], wanted[i], rate)
            self._activation[i] = _ease(self._activation[i], self._half[i], rate)
        return [a * share for a in self._activation]


def _ease(value: float, target: float, rate: float) -> float:
    new = value + (target - value) * rate
    return target if abs(target - new) < 2e-4 else new

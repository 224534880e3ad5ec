"""Small head movement of a talker: sway, the low band of the voice, beats on stressed syllables, posture.

Head motion follows loudness and pitch below a few hertz and beats mark prominence (Munhall et al.,
"Visual prosody and speech intelligibility", Psychol. Sci. 15, 2004). Out of speech the head is exactly
still between changes of posture: idle motion on a servo grid looks like a fault.
"""

import math
from typing import Final

import numpy as np

from animaface.speech.life.curves import lag_share, min_jerk, stroke

_DEG = math.pi / 180.0
SWAY_DEG: Final = (1.0, 0.35, 0.72)
VOICE_DEG: Final = (1.5, 1.2, 0.9)
"""Turn for the whole swing of the slow loudness."""
POSTURE_DEG: Final = (0.85, 0.60, 0.55)
BEAT_DEG: Final = 2.7
BEAT_RISE_S: Final = 0.11
_BEAT_FALL_S = 0.30
_SWAY_TAU_S = 0.5
_POSTURE_EVERY_S = 6.0

Angles = tuple[float, float, float]


class Head:
    """Yaw, pitch, roll in rad around the straight head."""

    def __init__(self, rng: np.random.Generator, rate_hz: float) -> None:
        self._rng, self._dt_s = rng, 1.0 / rate_hz
        self._gate = 0.0
        self._sway1, self._sway2 = [0.0] * 3, [0.0] * 3
        share = lag_share(self._dt_s, _SWAY_TAU_S)
        # variance of two equal lags driven by white noise: share^2 (1 + q^2) / (1 - q^2)^3, q = 1 - share
        q = 1.0 - share
        self._noise = math.sqrt((1.0 - q * q) ** 3 / (1.0 + q * q)) / (share * share)
        self._share = share
        self._mean_slow = 0.35
        self._side = (1.0, 1.0)
        self._beat_s, self._beat = 10.0, (0.0, 0.0, 0.0)
        self._from, self._to = [0.0] * 3, [0.0] * 3
        self._posture_s, self._posture_lasts_s = 10.0, 0.8
        self._next_posture_s = float(rng.gamma(3.0, _POSTURE_EVERY_S / 3.0))

    def step(self, *, talking: bool, slow: float, stress: float, phrase_start: bool, tempo: float) -> Angles:
        """The next frame; `slow` is the loudness below about 2 Hz, `tempo` scales size and pace."""
        self._gate += ((1.0 if talking else 0.0) - self._gate) * lag_share(self._dt_s, 0.35)
        if not talking and self._gate < 1e-3:
            self._gate = 0.0
        if talking:
            self._mean_slow += (slow - self._mean_slow) * lag_share(self._dt_s, 2.5)
        if phrase_start:
            self._side = tuple(1.0 if self._rng.random() < 0.5 else -1.0 for _ in range(2))  # type: ignore[assignment]
        sway, beat, posture = self._swaying(), self._beating(stress), self._posing(phrase_start)
        swing = slow - self._mean_slow
        voice = (
            self._side[0] * VOICE_DEG[0] * swing,
            VOICE_DEG[1] * swing,
            self._side[1] * VOICE_DEG[2] * swing,
        )
        size = tempo * _DEG
        out = [
            size * (self._gate * (sway[i] * SWAY_DEG[i] + voice[i]) + beat[i] + posture[i]) for i in range(3)
        ]
        return out[0], out[1], out[2]

    def _swaying(self) -> list[float]:
        if self._gate == 0.0:
            return [0.0] * 3
        for i in range(3):
            white = float(self._rng.standard_normal()) * self._noise
            self._sway1[i] += (white - self._sway1[i]) * self._share
            self._sway2[i] += (self._sway1[i] - self._sway2[i]) * self._share
        return self._sway2

    def _beating(self, stress: float) -> Angles:
        self._beat_s += self._dt_s
        if stress > 0.0 and self._beat_s > BEAT_RISE_S + 0.12 and self._rng.random() < 0.6 + 0.5 * stress:
            size = BEAT_DEG * (0.5 + stress) * float(self._rng.uniform(0.6, 1.3))
            side = float(self._rng.normal(0.0, 0.45))
            self._beat, self._beat_s = (size * side, size, 0.4 * size * side), 0.0
        if self._beat_s >= BEAT_RISE_S + _BEAT_FALL_S:
            return 0.0, 0.0, 0.0
        now = stroke(self._beat_s, BEAT_RISE_S, 0.0, _BEAT_FALL_S)
        return self._beat[0] * now, self._beat[1] * now, self._beat[2] * now

    def _posing(self, phrase_start: bool) -> list[float]:
        self._posture_s += self._dt_s
        self._next_posture_s -= self._dt_s
        if self._posture_s > self._posture_lasts_s + 0.4 and (
            self._next_posture_s <= 0.0 or (phrase_start and self._rng.random() < 0.6)
        ):
            self._from = self._posture()
            self._to = [float(self._rng.normal(0.0, sd)) for sd in POSTURE_DEG]
            self._posture_s, self._posture_lasts_s = 0.0, float(self._rng.uniform(0.5, 0.9))
            self._next_posture_s = float(self._rng.gamma(3.0, _POSTURE_EVERY_S / 3.0))
        return self._posture()

    def _posture(self) -> list[float]:
        s = min_jerk(self._posture_s / self._posture_lasts_s)
        return [a + (b - a) * s for a, b in zip(self._from, self._to, strict=True)]

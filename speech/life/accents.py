"""Brows that follow accents, and breath drawn in the pauses of speech."""

from typing import Final

import numpy as np

from animaface.speech.life.curves import lag_share, stroke

BROW_RISE_S: Final = 0.11
_BROW_HOLD_S, _BROW_FALL_S = 0.06, 0.30
_BROW_REST_S = 0.7
INHALE_S: Final = 0.45


class BrowAccents:
    """Brow raise 0..1 on some of the stressed syllables, the strong ones rather than the weak."""

    def __init__(self, rng: np.random.Generator, rate_hz: float) -> None:
        self._rng, self._dt_s = rng, 1.0 / rate_hz
        self._since_s, self._size = 10.0, 0.0

    def step(self, *, stress: float, tempo: float) -> float:
        """Raise of the next frame."""
        self._since_s += self._dt_s
        if stress > 0.0 and self._since_s > _BROW_REST_S and self._rng.random() < 0.2 + 0.6 * stress:
            self._size = min(0.5, tempo * (0.12 + 0.2 * stress) * float(self._rng.uniform(0.7, 1.3)))
            self._since_s = 0.0
        if self._since_s >= BROW_RISE_S + _BROW_HOLD_S + _BROW_FALL_S:
            return 0.0
        return self._size * stroke(self._since_s, BROW_RISE_S, _BROW_HOLD_S, _BROW_FALL_S)


class Breathing:
    """Breath 0..1: drawn quickly when a phrase has ended, given back while the next one is spoken.

    Quiet breathing would move a face by less than a servo's dead band and is left out: in silence the
    level returns to 0 once and stays.
    """

    def __init__(self, rng: np.random.Generator, rate_hz: float) -> None:
        self._rng, self._dt_s = rng, 1.0 / rate_hz
        self._level, self._drawn = 0.0, 0.0
        self._target, self._tau_s = 0.0, 1.0

    def step(self, *, talking: bool, voice: bool, phrase_end: bool) -> float:
        """Level of the next frame."""
        if phrase_end:
            self._target, self._tau_s = float(self._rng.uniform(0.6, 1.0)), INHALE_S / 3.0
        elif voice:
            self._target, self._tau_s = 0.0, 1.6
        elif not talking:
            self._target, self._tau_s = 0.0, 0.7
        # two lags: the chest starts and stops gently
        share = lag_share(self._dt_s, self._tau_s)
        self._drawn += (self._target - self._drawn) * share
        self._level += (self._drawn - self._level) * lag_share(self._dt_s, 0.12)
        if self._target == 0.0 and self._level < 2e-3 and self._drawn < 2e-3:
            self._drawn = self._level = 0.0
        return self._level

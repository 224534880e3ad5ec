"""Blinks: their rate by what the person does, at the ends of phrases rather than within them.

Rates after Bentivoglio et al., "Analysis of blink rate patterns in normal subjects", Mov. Disord. 12
(1997): 26 a minute talking, 17 at rest, 4.5 reading. Closing is quicker than opening; half are partial.
"""

from typing import Final

import numpy as np

from animaface.speech.life.curves import stroke

BLINKS_PER_MIN: Final = {"talking": 26.0, "listening": 17.0, "reading": 4.5}
CLOSING_S: Final = (0.063, 0.080)
QUICKER: Final = (0.40, 0.47)
"""By how much closing is shorter than opening."""
_HOLD_S = (0.010, 0.030)
_PARTIAL = (0.45, 0.85)
_REFRACTORY_S = 0.35
_LARGE_SHIFT_RAD = 0.14


class Blinks:
    """One lid curve for both eyes, 0 open to 1 closed.

    The wish to blink grows with the rate of the moment up to a drawn threshold. The end of a phrase or a
    large gaze shift may bring a blink early, which is then taken off the next wish: the rate stays.
    """

    def __init__(self, rng: np.random.Generator, rate_hz: float) -> None:
        self._rng, self._dt_s = rng, 1.0 / rate_hz
        self._threshold = self._draw_threshold()
        self._wish = self._threshold * float(rng.uniform(0.0, 0.8))
        self._since_s = 10.0
        self._closing_s, self._hold_s, self._opening_s, self._depth = 0.07, 0.02, 0.13, 0.0

    def step(self, state: str, *, rate_factor: float, phrase_end: bool, gaze_shift_rad: float) -> float:
        """Lid closure of the next frame; `state` is a name of BLINKS_PER_MIN."""
        self._since_s += self._dt_s
        self._wish += BLINKS_PER_MIN[state] / 60.0 * rate_factor * self._dt_s
        done_s = self._closing_s + self._hold_s + self._opening_s
        if self._since_s > done_s + _REFRACTORY_S:
            early = (phrase_end and self._rng.random() < 0.75) or (
                gaze_shift_rad > _LARGE_SHIFT_RAD and self._rng.random() < 0.25
            )
            if self._wish >= self._threshold or (early and self._wish > 0.2 * self._threshold):
                self._start()
        if self._since_s >= self._closing_s + self._hold_s + self._opening_s:
            return 0.0
        return self._depth * stroke(self._since_s, self._closing_s, self._hold_s, self._opening_s)

    def _start(self) -> None:
        rng = self._rng
        self._wish -= self._threshold
        self._threshold = self._draw_threshold()
        self._since_s = float(rng.uniform(0.0, self._dt_s))
        self._closing_s = float(rng.uniform(*CLOSING_S))
        self._opening_s = self._closing_s / (1.0 - float(rng.uniform(*QUICKER)))
        self._hold_s = float(rng.uniform(*_HOLD_S))
        self._depth = 1.0 if rng.random() < 0.5 else float(rng.uniform(*_PARTIAL))

    def _draw_threshold(self) -> float:
        return float(self._rng.gamma(2.2, 1.0 / 2.2))

"""When a sample is heard: the sound card's own clock, mapped to CLOCK_MONOTONIC and followed as they drift.

Two crystals differ by up to some hundred parts in a million, and single readings of PortAudio's times jump
by milliseconds. A tracking loop of second order (offset and rate; Gardner, "Phaselock Techniques", 2005)
averages the readings and follows the drift.
"""

import math
import threading
from typing import Final

_FIRST_S: Final = 2.0
"""Time constant at the beginning; it grows with what has been seen."""
_LAST_S: Final = 20.0
_MOST_DRIFT: Final = 1e-3
_JUMP_S: Final = 0.08
"""A reading so far off is a fault once, and a new beginning when others follow it."""
_JUMPS: Final = 5


class SampleClock:
    """Position in samples <-> monotonic time in s. Thread-safe: a sound callback observes, others ask."""

    def __init__(self, rate_hz: float) -> None:
        self.rate_hz = rate_hz
        self.restarts = 0
        self._lock = threading.Lock()
        self._position, self._at_s = 0.0, math.nan
        self._drift = 0.0
        self._since_s = 0.0
        self._jumps = 0

    @property
    def known(self) -> bool:
        """Whether anything has been observed."""
        return not math.isnan(self._at_s)

    @property
    def drift_ppm(self) -> float:
        """By how much a second of the card is longer than one of ours, parts in a million."""
        return 1e6 * self._drift

    def observe(self, position: float, at_s: float) -> None:
        """Sample `position` is heard at `at_s`."""
        if not (math.isfinite(position) and math.isfinite(at_s)):
            return
        with self._lock:
            if not self.known:
                self._begin(position, at_s)
                return
            elapsed_s = (position - self._position) / self.rate_hz
            if elapsed_s <= 0.0:
                return
            predicted_s = self._at_s + elapsed_s * (1.0 + self._drift)
            error_s = at_s - predicted_s
            if abs(error_s) > _JUMP_S:
                self._jumps += 1
                if self._jumps >= _JUMPS:  # the stream really stopped for a while
                    self.restarts += 1
                    self._begin(position, at_s)
                return
            self._jumps = 0
            self._since_s += elapsed_s
            tau_s = min(max(_FIRST_S, 0.5 * self._since_s), _LAST_S)
            share = 1.0 - math.exp(-elapsed_s / tau_s)
            self._position = position
            self._at_s = predicted_s + min(2.0 * share, 1.0) * error_s
            if self._since_s > _FIRST_S:  # a rate can't be told from the first moments
                drift = self._drift + share * error_s / tau_s
                self._drift = min(max(drift, -_MOST_DRIFT), _MOST_DRIFT)

    def at_s(self, position: float) -> float:
        """Monotonic time of a sample; NaN while nothing is known."""
        with self._lock:
            return self._at_s + (position - self._position) / self.rate_hz * (1.0 + self._drift)

    def position_at(self, at_s: float) -> float:
        """The sample that is heard at `at_s`, a fraction; NaN while nothing is known."""
        with self._lock:
            return self._position + (at_s - self._at_s) / (1.0 + self._drift) * self.rate_hz

    def _begin(self, position: float, at_s: float) -> None:
        self._position, self._at_s = position, at_s
        self._since_s, self._jumps = 0.0, 0


def card_time_s(now_s: float, ahead_s: float, counted_s: float, latency_s: float) -> tuple[float, bool]:
    """(when the first sample of a block is heard or was captured, whether the card's own word was used).

    `ahead_s`: DAC (or ADC, negative) time less the present time as PortAudio tells them. Zero, NaN, more
    than half a second, or farther than 100 ms from `counted_s` (by counted samples, NaN unknown) is
    implausible: then the device's stored latency is taken instead.
    """
    plausible = (
        math.isfinite(ahead_s) and ahead_s != 0.0 and abs(ahead_s) < 0.5 and ahead_s * latency_s >= 0.0
    )
    if plausible and math.isfinite(counted_s):
        plausible = abs(now_s + ahead_s - counted_s) < 0.1
    return now_s + (ahead_s if plausible else latency_s), plausible

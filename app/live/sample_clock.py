"""When a sample is heard: the sound card's own clock, mapped to CLOCK_MONOTONIC and followed as they drift.

Two crystals differ by up to some hundred parts in a million, and single readings of PortAudio's times jump
by milliseconds. A tracking loop of second order (offset and rate; Gardner, "Phaselock Techniques", 2005)
averages the readings and follows the drift.
"""

import logging
import math
import threading
from collections import deque
from typing import Final

_FIRST_S: Final = 2.0
"""Time constant at the beginning; it grows with what has been seen."""
_LAST_S: Final = 20.0
_MOST_DRIFT: Final = 1e-3
_JUMP_S: Final = 0.08
"""A reading so far off is a fault once, and a new beginning when others follow it."""
_JUMPS: Final = 5
_STEP_S, _STEPPED = 0.008, 24
"""So many readings in a row that are off by more, all to the same side: the card ran dry without telling, and everything
comes that much later. A loop that is slow enough to average would need half a minute for it."""
_OFF_S: Final = 0.03
"""So far from the delay that was measured a card's word is not believed."""
_FILLING, _MOST_BAD, _MOST_GOOD, _AVERAGED = 8, 25, 300, 100
log = logging.getLogger("animaface.live")


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
        self._readings = 1
        self._broken = False
        self._recent: deque[tuple[float, float]] = deque(maxlen=_STEPPED)
        """(error s, drift before) of the last readings."""

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
            if abs(error_s) > _JUMP_S or self._broken:
                self._jumps += 1
                if self._jumps >= _JUMPS or self._broken:  # the stream really stopped for a while
                    self.restarts += 1
                    self._begin(position, at_s)
                return
            self._jumps = 0
            predicted_s += self._step_s(error_s)
            error_s = at_s - predicted_s
            self._since_s += elapsed_s
            self._readings += 1
            tau_s = min(max(_FIRST_S, 0.5 * self._since_s), _LAST_S)
            share = 1.0 - math.exp(-elapsed_s / tau_s)
            self._position = position
            # the first readings are averaged, so that one that came late does not count for seconds
            gain = max(2.0 * share, 1.0 / self._readings) if self._since_s <= _FIRST_S else 2.0 * share
            self._at_s = predicted_s + min(gain, 1.0) * error_s
            if self._since_s > _FIRST_S:  # a rate can't be told from the first moments
                drift = self._drift + share * error_s / tau_s
                self._drift = min(max(drift, -_MOST_DRIFT), _MOST_DRIFT)

    def broke(self) -> None:
        """The stream lost or inserted samples just now: the next reading begins anew, the drift stays."""
        with self._lock:
            self._broken = self.known

    def at_s(self, position: float) -> float:
        """Monotonic time of a sample; NaN while nothing is known."""
        with self._lock:
            return self._at_s + (position - self._position) / self.rate_hz * (1.0 + self._drift)

    def position_at(self, at_s: float) -> float:
        """The sample that is heard at `at_s`, a fraction; NaN while nothing is known."""
        with self._lock:
            return self._position + (at_s - self._at_s) / (1.0 + self._drift) * self.rate_hz

    def _step_s(self, error_s: float) -> float:
        """By how much the stream was found to have stepped just now; 0 almost always."""
        self._recent.append((error_s, self._drift))
        errors = [e for e, _ in self._recent]
        if self._since_s < _FIRST_S or len(errors) < _STEPPED or not min(errors) * max(errors) > 0.0:
            return 0.0
        step_s = min(errors, key=abs)  # readings come late now and then, and never early
        if abs(step_s) < _STEP_S:
            return 0.0
        self._drift = self._recent[0][1]
        self._recent.clear()
        self.restarts += 1
        return step_s

    def _begin(self, position: float, at_s: float) -> None:
        self._position, self._at_s = position, at_s
        self._since_s, self._jumps, self._readings = 0.0, 0, 1
        self._recent.clear()
        self._broken = False


class CardTimes:
    """What a card tells about its blocks, judged and handed to its clock.

    PortAudio's word is checked against counted samples and, where `doctor --audio-loop` has measured one, against
    the device's stored delay. Where it can't be true the delay (else the latency that the card states) is taken,
    and that is said once.
    """

    def __init__(
        self, clock: SampleClock, device: str, *, output: bool, stored_s: float | None = None
    ) -> None:
        """`output`: blocks are heard later than now; else they were captured before. `stored_s`: above 0."""
        self._clock, self._device = clock, device
        self._sign = 1.0 if output else -1.0
        self._stored_s = stored_s
        self.readings = self._good = self._bad = 0
        self._ahead_s = 0.0
        self._told = False
        self.replaced = False
        """Whether the card's word was found wanting again and again, and the delay is used in its place."""

    @property
    def delay_s(self) -> float:
        """Between the call for a block and its being heard (or from its capture to the call), as it was believed."""
        return self._sign * self._ahead_s

    def observe(self, position: float, now_s: float, told_s: float, latency_s: float) -> None:
        """A block that begins at sample `position`: `told_s` is DAC (or ADC) time less the present time, `latency_s`
        what the card states."""
        self.readings += 1
        counted_s = self._clock.at_s(position) if self._clock.known else math.nan
        believed_s = self._sign * (max(abs(latency_s), 1e-3) if self._stored_s is None else self._stored_s)
        if self._stored_s is not None and abs(told_s - believed_s) > _OFF_S:
            told_s = math.nan
        at_s, plausible = card_time_s(now_s, told_s, counted_s, believed_s)
        if self.readings > _FILLING:  # a card that fills its buffer first tells little
            self._good, self._bad = (self._good + 1, 0) if plausible else (0, self._bad + 1)
            self.replaced = self._bad >= _MOST_BAD or (self.replaced and self._good < _MOST_GOOD)
            if self.replaced:
                at_s = now_s + believed_s
            if self.replaced and not self._told:
                self._told = True
                log.warning(
                    "%s: the times that this sound device tells can't be true; samples are counted instead, %.0f ms "
                    "after it asks (%s)", self._device, 1e3 * abs(believed_s),
                    "as doctor --audio-loop measured" if self._stored_s is not None else
                    "as it states itself; animaface doctor --audio-loop measures it",
                )  # fmt: skip
        self._ahead_s += (at_s - now_s - self._ahead_s) / min(self.readings, _AVERAGED)
        self._clock.observe(position, at_s)


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

"""Time is injected: the loop, the drivers' timeouts and the simulation share one clock.

*Real* time is CLOCK_MONOTONIC, which all processes of one machine share. *Lock-step* time moves
only when somebody waits; everything that lives in it (virtual devices, the simulated face) is
advanced on the way, so a run is bit-identical from one machine to the next.
"""

import time
from collections.abc import Callable
from typing import Protocol


class Clock(Protocol):
    """What a driver may know about time, in seconds."""

    def now_s(self) -> float:
        """Monotonic time, s."""
        ...

    def sleep_until_s(self, due_s: float) -> None:
        """Return at `due_s` or, when that is past, at once. Absolute deadlines, no drift."""
        ...


class RealClock:
    """CLOCK_MONOTONIC."""

    def now_s(self) -> float:
        """Monotonic time, s."""
        return time.monotonic()

    def sleep_until_s(self, due_s: float) -> None:
        """Sleep until the absolute time `due_s`."""
        while (left := due_s - time.monotonic()) > 0.0:
            time.sleep(left)


class LockStepClock:
    """Virtual time that advances its participants when somebody waits.

    A participant is a callable `advance(to_s)`: it must bring itself to `to_s` (monotonic,
    never called with a smaller time) and must not wait on the clock itself.
    """

    def __init__(self, start_s: float = 0.0) -> None:
        self._now_s = start_s
        self._participants: list[Callable[[float], None]] = []

    def attach(self, advance: Callable[[float], None]) -> None:
        """Register a participant; it is advanced in the order of registration."""
        self._participants.append(advance)

    def now_s(self) -> float:
        """Virtual time, s."""
        return self._now_s

    def sleep_until_s(self, due_s: float) -> None:
        """Advance virtual time, and every participant with it, to `due_s`."""
        if due_s <= self._now_s:
            return
        self._now_s = due_s
        for advance in self._participants:
            advance(due_s)

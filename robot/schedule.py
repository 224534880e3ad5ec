"""What is to be done when: trajectories of u with due times."""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from animaface.robot.ring import Ring

Array = NDArray[np.float64]
STARVED_S = 0.1
"""After so long without a frame the next one is led to from now, not from the last frame's due time."""
_MOST_A_TICK = 64
"""Frames taken in at one tick; a trajectory pushed far ahead comes in over several."""


class Schedule(Protocol):
    """Where u[N] should be at a time. Counters tell what was of no use."""

    late: int
    """Frames that came after their due time."""
    dropped: int
    """Frames that were never used: overtaken by a newer one, out of order, or overwritten."""

    def at(self, now_s: float) -> Array | None:
        """u[N] at `now_s`, linear between due times, held after the last; None: nothing asked yet."""
        ...


class TrajectorySchedule:
    """A trajectory known beforehand: due_s[T] rising, u[T, N]."""

    def __init__(self, due_s: Array, u: Array) -> None:
        self._due_s, self._u = np.asarray(due_s, dtype=np.float64), np.asarray(u, dtype=np.float64)
        self.late = self.dropped = 0

    def at(self, now_s: float) -> Array | None:
        """u[N] at `now_s`; None before the first due time."""
        k = int(np.searchsorted(self._due_s, now_s + 1e-9, side="right"))
        if k == 0:
            return None
        if k == len(self._due_s):
            return np.asarray(self._u[-1])
        share = (now_s - self._due_s[k - 1]) / (self._due_s[k] - self._due_s[k - 1])
        return np.asarray(self._u[k - 1] + min(max(share, 0.0), 1.0) * (self._u[k] - self._u[k - 1]))


class RingSchedule:
    """Frames as `push_frame` puts them into a ring, in the order of their due times. A frame that replaces wipes
    out what was to come: it is led to from wherever the way is now."""

    def __init__(self, ring: Ring, *, from_row: int = 0) -> None:
        """`from_row`: what a process before this one has read is not read again."""
        self._ring = ring
        self._read = from_row
        self._pending: deque[_Frame] = deque()
        self._last: _Frame | None = None
        self._next: _Frame | None = None
        self.late = self.dropped = 0

    def at(self, now_s: float) -> Array | None:
        """u[N] at `now_s`."""
        self._take_in(now_s)
        passed = 0
        while self._next is None or self._next.due_s <= now_s:
            if self._next is not None:
                if passed and self._last is not None and self._last.late:
                    self.dropped += 1  # a newer one is due already: nobody ever saw it
                self._last, self._next = self._next, None
                passed += 1
            if not self._pending:
                break
            self._next = self._pending.popleft()
            if self._last is not None and now_s - self._last.due_s > STARVED_S and self._next.due_s > now_s:
                self._last = _Frame(now_s, self._last.u, late=False)
        return self._between(now_s)

    def _between(self, now_s: float) -> Array | None:
        if self._last is None or self._next is None:
            return None if self._last is None else self._last.u
        share = (now_s - self._last.due_s) / (self._next.due_s - self._last.due_s)
        return self._last.u + min(max(share, 0.0), 1.0) * (self._next.u - self._last.u)

    def _take_in(self, now_s: float) -> None:
        """What is new in the ring, in its order."""
        for _ in range(_MOST_A_TICK):
            newest = self._ring.count
            if self._read >= newest:
                return
            oldest = newest - self._ring.slots + 1
            if self._read + 1 < oldest:
                self.dropped += oldest - self._read - 1
                self._read = oldest - 1
            row = self._ring.get(self._read + 1)
            if row is None and self._read + 1 > self._ring.count - self._ring.slots:
                return  # not wholly visible yet: next time
            self._read += 1
            if row is not None and row[1] < 0.0:
                self._replace(now_s)
            if row is None or not row[0] > self._newest_due_s():
                self.dropped += 1
                continue
            frame = _Frame(float(row[0]), row[2:], late=bool(abs(row[1]) > row[0]))
            self.late += frame.late
            self._pending.append(frame)

    def _newest_due_s(self) -> float:
        newest = self._pending[-1] if self._pending else self._next or self._last
        return newest.due_s if newest is not None else -np.inf

    def _replace(self, now_s: float) -> None:
        u = self._between(now_s)
        self._pending.clear()
        self._next = None
        if u is not None and self._last is not None and self._last.due_s < now_s:
            self._last = _Frame(now_s, u, late=False)


@dataclass(frozen=True)
class _Frame:
    due_s: float
    u: Array
    late: bool


def frame_width(n: int) -> int:
    """Width of a row of a frame ring for N actuators: due time, time of pushing (negative: replaces), u[N]."""
    return n + 2


def push_frame(ring: Ring, due_s: float, now_s: float, u: Array, *, replace: bool = False) -> None:
    """Put u[N] due at `due_s` into the ring; `now_s` (above 0) tells the reader whether it came in time.

    `replace`: frames pushed before that are not due yet are forgotten.
    """
    row = np.empty(len(u) + 2)
    row[0], row[1], row[2:] = due_s, -now_s if replace else now_s, u
    ring.append(row)

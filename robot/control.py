"""The control loop: absolute deadlines, interpolate, gate, write, and take what came in. The same code
in lock-step and in real time; no inference, no logging, no waiting for a line."""

from collections.abc import Callable
from dataclasses import astuple, dataclass

import numpy as np

from animaface.robot.bus import Steps
from animaface.robot.face.clock import Clock
from animaface.robot.faults import RESPONSES, Fault
from animaface.robot.limits import Array
from animaface.robot.ring import Ring
from animaface.robot.robot import RATE_HZ, Robot
from animaface.robot.schedule import Schedule

APPLIED_HEAD = ("time_s", "tick_s", "late_s")
"""Columns before applied[N], requested[N], position[N], reasons[N] in the ring of what was applied."""
FEEDBACK_HEAD = (
    "time_s", "ticks", "missed", "tick_p50_s", "tick_p99_s", "tick_max_s", "late_p99_s", "late_max_s",
    "late_frames", "dropped_frames",
)  # fmt: skip
"""Columns before temperature_c[N], current_a[N], voltage_v[N], faulty[N] in the ring of feedback."""
FEEDBACK_EVERY = 10
"""Ticks from one row of feedback to the next."""
_BIN_S, _BINS = 1e-5, 5000
_LATE_FRAMES, _IN_TIME_S = 5, 2.0
"""So many late frames are worth a word; after so long without one they come in time again."""


def applied_width(n: int) -> int:
    """Width of a row of the applied ring for N actuators."""
    return len(APPLIED_HEAD) + 4 * n


def feedback_width(n: int) -> int:
    """Width of a row of the feedback ring for N actuators."""
    return len(FEEDBACK_HEAD) + 4 * n


@dataclass(frozen=True)
class ControlStats:
    """Ticks from first ARM on. A deadline is missed when the tick's last byte is written after the next
    deadline, or when its turn was passed over because an earlier tick took too long."""

    ticks: int
    missed: int
    tick_p50_s: float
    tick_p99_s: float
    tick_max_s: float
    late_p99_s: float
    late_max_s: float
    late_frames: int
    dropped_frames: int

    @property
    def missed_share(self) -> float:
        """Missed deadlines over all ticks."""
        return self.missed / self.ticks if self.ticks else 0.0


class _Histogram:
    """Durations in bins of 10 us: constant memory for any length of a run."""

    def __init__(self) -> None:
        self._counts = np.zeros(_BINS, dtype=np.int64)
        self.max_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self._counts[min(int(max(seconds, 0.0) / _BIN_S), _BINS - 1)] += 1
        if seconds > self.max_s:
            self.max_s = seconds

    def quantile(self, q: float) -> float:
        """The duration (s) that a share q of all stays below; 0 of none."""
        total = int(self._counts.sum())
        if not total:
            return 0.0
        k = int(np.searchsorted(self._counts.cumsum(), q * total))
        return min((k + 1) * _BIN_S, self.max_s)


class ControlLoop:
    """One tick after another on absolute deadlines. `arm` and `rest` take effect from the next tick on."""

    def __init__(
        self,
        robot: Robot,
        schedule: Schedule,
        clock: Clock,
        *,
        rate_hz: float = RATE_HZ,
        applied: Ring | None = None,
        feedback: Ring | None = None,
    ) -> None:
        self.robot = robot
        self.schedule = schedule
        self.poses: dict[str, float] = {}
        self._clock = clock
        self._period_s = 1.0 / rate_hz
        self._applied = applied
        self._feedback = feedback
        self._since_feedback = 0
        self._ticks = self._missed = 0
        self._durations, self._lateness = _Histogram(), _Histogram()
        self._arming: Steps[dict[str, float]] | None = None
        self._arming_due_s = 0.0
        self._path: Callable[[float], Array] | None = None
        self._path_ends_s = 0.0
        self._request = robot.neutral_u.copy()
        self._late_before = self._late_seen = schedule.late
        self._late_last_s = 0.0
        self._late_told = False

    def arm(self) -> None:
        """Begin to switch on, one piece a tick."""
        self._arming = self.robot.arm_steps()
        self._arming_due_s = 0.0
        self._path = None

    def rest(self) -> None:
        """Begin the way to neutral; whatever is scheduled is left alone until `play`."""
        self._path, duration_s = self.robot.rest_path()
        self._path_ends_s = self._clock.now_s() + duration_s

    def play(self) -> None:
        """Follow the schedule again after a `rest`."""
        self._path = None

    @property
    def arming(self) -> bool:
        """Whether actuators are still being switched on."""
        return self._arming is not None

    @property
    def resting(self) -> bool:
        """Whether the way to neutral is still under way."""
        return self._path is not None and self._clock.now_s() < self._path_ends_s

    def run(self, until: Callable[[float], bool]) -> None:
        """Tick until `until(now_s)` is true. Raises what arming raises."""
        start_s = self._clock.now_s()
        tick = 0
        while True:
            due_s = start_s + tick * self._period_s
            self._clock.sleep_until_s(due_s)
            began_s = self._clock.now_s()
            if until(began_s):
                return
            counted = self.robot.armed or self._arming is not None
            self._tick(began_s, began_s - due_s)
            ended_s = self._clock.now_s()
            # every deadline that has passed meanwhile is lost, this tick's own and those never begun
            lost = int((ended_s - due_s) / self._period_s + 1e-6)
            if counted:
                self._ticks += max(lost, 1)
                self._missed += lost
                self._durations.add(ended_s - began_s)
                self._lateness.add(began_s - due_s)
            tick += max(lost, 1)

    def stats(self) -> ControlStats:
        """Numbers so far."""
        return ControlStats(
            self._ticks,
            self._missed,
            self._durations.quantile(0.5),
            self._durations.quantile(0.99),
            self._durations.max_s,
            self._lateness.quantile(0.99),
            self._lateness.max_s,
            self.schedule.late,
            self.schedule.dropped,
        )

    def _tick(self, now_s: float, late_s: float) -> None:
        if self._arming is not None:
            self._arm_step(now_s)
            return
        if not self.robot.armed:
            return
        asked = self._path(now_s) if self._path is not None else self.schedule.at(now_s)
        if asked is not None:
            self._request = asked
        self._mind_late(now_s)
        done = self.robot.send(self._request, now_s)
        if self._applied is not None:
            n = len(done.u)
            row = np.empty(applied_width(n))
            row[0], row[1], row[2] = now_s, self._clock.now_s() - now_s, late_s
            row[3 : 3 + n], row[3 + n : 3 + 2 * n] = done.u, self._request
            row[3 + 2 * n : 3 + 3 * n] = self.robot.position_u()
            row[3 + 3 * n :] = done.reasons
            self._applied.append(row)
        self._since_feedback += 1
        if self._feedback is not None and self._since_feedback >= FEEDBACK_EVERY:
            self._since_feedback = 0
            self._feedback.append(self._feedback_row(now_s))

    def _mind_late(self, now_s: float) -> None:
        """Tell once when frames begin to come too late (a few are not worth a word), once when they are in time again."""
        late = self.schedule.late
        if late > self._late_seen:
            self._late_seen, self._late_last_s = late, now_s
            if not self._late_told and late - self._late_before >= _LATE_FRAMES:
                self._late_told = True
                self.robot.tell(f"{RESPONSES[Fault.LATE].tell} ({Fault.LATE}: {late} frames so far)")
        elif late > self._late_before and now_s - self._late_last_s > _IN_TIME_S:
            if self._late_told:
                self.robot.tell(f"motion comes in time again ({late - self._late_before} frames were late)")
            self._late_before, self._late_told = late, False

    def _feedback_row(self, now_s: float) -> Array:
        n = len(self.robot.names)
        state = self.robot.latest()
        row = np.empty(feedback_width(n))
        row[0], row[1 : len(FEEDBACK_HEAD)] = now_s, astuple(self.stats())
        columns = row[len(FEEDBACK_HEAD) :].reshape(4, n)
        columns[0], columns[1], columns[2] = state.temperature_c, state.current_a, state.voltage_v
        columns[3] = [name in state.faults for name in self.robot.names]
        return row

    def _arm_step(self, now_s: float) -> None:
        if self._arming is None or now_s < self._arming_due_s:
            return
        try:
            self._arming_due_s = now_s + next(self._arming)
        except StopIteration as end:
            self._arming = None
            self.poses = end.value
            self._request = self.robot.neutral_u.copy()


def run_control(
    robot: Robot,
    schedule: Schedule,
    clock: Clock,
    *,
    rate_hz: float = RATE_HZ,
    until: float | Callable[[float], bool],
    applied: Ring | None = None,
) -> ControlStats:
    """Play `schedule` on an armed robot until a time of the clock or until `until(now_s)` is true."""
    loop = ControlLoop(robot, schedule, clock, rate_hz=rate_hz, applied=applied)
    loop.run(until if callable(until) else lambda now_s: now_s >= until - 1e-9)
    return loop.stats()

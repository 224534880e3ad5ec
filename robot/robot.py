"""The robot: all buses of one face behind u[N], with the gate in between.

Faults degrade: a lost servo, board or line takes its group with it, the rest of the face goes on, and
what comes back is armed again at its measured pose and eased in.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from animaface.robot.bus import DeviceInfo, Steps, finish
from animaface.robot.config import FaceConfig
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import AnimafaceError, DeviceError, InputError
from animaface.robot.faults import Fault, response_to
from animaface.robot.gate import WARM, GateState, Reason, Reasons, gate, with_heat
from animaface.robot.lane import Lane
from animaface.robot.limits import Array, GateLimits
from animaface.robot.report import Applied, ConnectReport, Event, RobotState
from animaface.robot.transport import OpenTransport

log = logging.getLogger("animaface.robot")
RATE_HZ = 100.0
EASE_S = 0.6
"""After arming, an actuator is led from where it stood to what is asked in this time."""
REST_S = 0.8
_PAUSE_S = 0.05  # after so long without a command every servo stands still at its last goal
_COOL_C, _PER_C = 20.0, 1.0 / 50.0  # heat 0 at 20 C, .8 (back off) at 60 C, 1 (too hot) at 70 C
_RAMP, _ABSENT, _FAULT = (np.uint16(int(r)) for r in (Reason.RAMP, Reason.ABSENT, Reason.FAULT))


class Robot:
    """connect, arm, send ... rest, release, close; as a context manager it rests and releases by itself."""

    def __init__(self, config: FaceConfig, open_transport: OpenTransport, clock: Clock) -> None:
        self.config = config
        self.names = config.names
        self.limits = GateLimits.of(config)
        self.neutral_u = self.limits.neutral.copy()
        self.lanes = [Lane(config, name, open_transport, clock) for name in config.buses]
        self.events: deque[Event] = deque(maxlen=200)
        self.armed = False
        self._clock = clock
        n = len(self.names)
        self._gate = GateState.at(self.neutral_u)
        self._answered = np.zeros(n, dtype=bool)
        self._present = self._answered.copy()
        self._ease_from, self._ease_since_s = self.neutral_u.copy(), np.full(n, -np.inf)
        self._easing_until_s = -np.inf
        self._last_s = -np.inf
        self._faults: dict[str, str] = {}
        self._lost = np.zeros(n, dtype=bool)
        self._down = np.zeros(n, dtype=bool)
        self._mates = _mates(config)

    # ---- start

    def connect(self) -> ConnectReport:
        """Connect every bus. Absent actuators and their groups are dropped with one warning.

        Raises the first bus' TransportError or DeviceError when nothing at all answers.
        """
        devices: list[DeviceInfo] = []
        errors: list[AnimafaceError] = []
        for lane in self.lanes:
            try:
                devices += lane.connect()
            except AnimafaceError as e:
                errors.append(e)
                devices += [DeviceInfo(self.names[i], False, problem=e.message) for i in lane.own]
        there = {d.actuator for d in devices if d.present}
        self._answered[:] = [name in there for name in self.names]
        if not there:
            if errors:
                raise errors[0]
            raise DeviceError(
                "no actuator of this face answers: " + "; ".join(sorted({d.problem for d in devices})),
                next_step="check the servos' power; animaface doctor",
            )
        self._present = ~self._with_mates(~self._answered)
        dropped = tuple(n for n, there in zip(self.names, self._present, strict=True) if not there)
        warning = self._warning(devices, dropped)
        if warning:
            log.warning(warning)
            self.tell(warning)
        missing = {d.actuator: d.problem for d in devices if not d.present}
        self._faults = {name: f"{Fault.ABSENT}: {problem}" for name, problem in missing.items()}  # told
        return ConnectReport(devices, dropped, warning)

    def arm(self) -> dict[str, float]:
        """Torque on, one actuator after another, at the pose where each is -> that pose.

        Buses that are on already are kept alive meanwhile. Raises DeviceError when nothing comes on.
        """
        return finish(self.arm_steps(), self._clock)

    def arm_steps(self) -> Steps[dict[str, float]]:
        """`arm` in pieces of one transfer each."""
        on: list[Lane] = []
        poses: dict[int, float] = {}
        errors: list[AnimafaceError] = []
        self.armed = False
        self._gate = GateState.at(self.neutral_u, self._gate.heat)
        for lane in self.lanes:
            if not lane.connected:
                lane.seek()
                continue
            try:
                poses |= yield from self._arm_lane(lane, on)
            except AnimafaceError as e:
                errors.append(e)
                self.tell(e.message)
                lane.seek(e.message)
            else:
                on.append(lane)
                self._resume(poses)
        if not on:
            raise errors[0] if errors else DeviceError("nothing to arm", next_step="connect first")
        self._resume(poses)
        self.armed = True
        self._last_s = self._clock.now_s()
        return {self.names[i]: u for i, u in poses.items()}

    def _arm_lane(self, lane: Lane, on: list[Lane]) -> Steps[dict[int, float]]:
        """The steps of one bus; the watchdogs of those that are `on` want to hear from us meanwhile."""
        steps = lane.enable_steps()
        heard_s = self._clock.now_s()
        while True:
            try:
                wait_s = next(steps)
            except StopIteration as end:
                poses: dict[int, float] = end.value
                return poses
            yield wait_s
            if self._clock.now_s() - heard_s > 0.02:
                heard_s = self._clock.now_s()
                for other in on:
                    other.collect()
                    other.write(self._gate.position)

    # ---- one tick

    def send(self, request_u: ArrayLike, now_s: float | None = None) -> Applied:
        """One command u[N], N as in `names`; call it 20 to 200 times a second.

        Takes what came in, lets the gate decide, writes, asks for the next feedback; waits for nothing
        longer than 1 ms a bus. Never raises for a fault of a line: see `faults` and `events`.
        """
        request = np.asarray(request_u, dtype=np.float64)
        if request.shape != self.neutral_u.shape:
            raise InputError(
                f"wanted u[{len(self.names)}] for face {self.config.id!r}, found {request.shape}"
            )
        if not self.armed:
            raise DeviceError("the robot is not armed: nothing was sent", next_step="call arm() first")
        now = self._clock.now_s() if now_s is None else now_s
        self._listen(now)
        dt_s = now - self._last_s
        self._last_s = now
        if dt_s > _PAUSE_S:
            self._gate = replace(self._gate, speed=np.zeros_like(self._gate.speed))
            dt_s = 1.0 / RATE_HZ
        extra = np.zeros(len(request), dtype=np.uint16)
        eased = self._eased(request, now, extra)
        held = ~self._present | self._down
        if held.any():
            eased = np.where(held, self._gate.position, eased)
            extra[~self._present] |= _ABSENT
            extra[self._down] |= _FAULT
        self._gate, applied, why = gate(self._gate, eased, self.limits, dt_s)
        for lane in self.lanes:
            lane.write(applied)
        return Applied(applied, why | extra, self.names)

    def _listen(self, now: float) -> None:
        resumed: dict[int, float] = {}
        for lane in self.lanes:
            resumed |= lane.collect()
            resumed |= lane.step_back(now)
        if resumed:
            self._resume(resumed)
        self._judge(now)
        heat = np.full(len(self.names), np.nan)
        for lane in self.lanes:
            if lane.state is not None and len(lane.state.temperature_c) == len(lane.index):
                heat[lane.index] = (lane.state.temperature_c - _COOL_C) * _PER_C
        if np.isfinite(heat).any():
            self._gate = with_heat(self._gate, heat)

    def _judge(self, now: float) -> None:
        """Which actuators are down, with their groups where the fault's response says so; tell what is new."""
        found: dict[str, str] = {}
        down = np.zeros(len(self.names), dtype=bool)
        with_group = down.copy()
        for lane in self.lanes:
            for i, text in lane.faults().items():
                found[self.names[i]] = text
                down[i] = True
                with_group[i] = response_to(text).takes_group
        for i in np.flatnonzero(self._gate.heat > WARM).tolist():
            found.setdefault(self.names[i], f"{Fault.HOT}: {self._gate.heat[i]:.0%} of what it may take")
        if found.keys() != self._faults.keys() or (down & ~self._lost).any():
            self._tell(found, now)
            self._lost = down
            self._down = down | self._with_mates(with_group)
            mates = self._down & ~down  # they hold where they are
            self._gate = replace(self._gate, speed=np.where(mates, 0.0, self._gate.speed))
        self._faults = found

    def _tell(self, found: dict[str, str], now: float) -> None:
        new: dict[str, list[str]] = {}
        for name, text in found.items():
            if name not in self._faults:
                new.setdefault(text, []).append(name)
        for text, names in new.items():
            who = ", ".join(names)
            self.events.append(Event(now, f"{response_to(text).tell.format(where=who)} ({text})"))
        back = [n for n in self._faults if n not in found]
        if back:
            self.events.append(Event(now, f"back again: {', '.join(back)}"))

    def _resume(self, poses: dict[int, float]) -> None:
        """These stand at these u, whatever the gate believed: go on from there, eased."""
        position, speed = self._gate.position.copy(), self._gate.speed.copy()
        request = self._gate.request.copy()
        now = self._clock.now_s()
        self._answered[list(poses)] = True
        self._present = ~self._with_mates(~self._answered)
        for i, u in poses.items():
            position[i] = request[i] = self._ease_from[i] = u
            speed[i] = 0.0
            self._ease_since_s[i] = now
        self._easing_until_s = now + EASE_S
        self._gate = replace(self._gate, position=position, speed=speed, request=request)

    def _eased(self, request: Array, now: float, extra: Reasons) -> Array:
        if now >= self._easing_until_s:
            return request
        share = np.clip((now - self._ease_since_s) / EASE_S, 0.0, 1.0)
        share = share * share * (3.0 - 2.0 * share)
        extra[(share < 1.0) & (np.abs(request - self._ease_from) > 1e-6)] |= _RAMP
        start = np.clip(self._ease_from, 0.0, 1.0)
        return np.where(np.isfinite(request), start + share * (request - start), request)

    # ---- state

    def tell(self, text: str) -> None:
        """Something the person should hear of, among the robot's own `events`."""
        self.events.append(Event(self._clock.now_s(), text))

    def read(self) -> RobotState:
        """Fresh feedback of everything; waits some milliseconds for it."""
        for lane in self.lanes:
            lane.refresh()
        return self.latest()

    def latest(self) -> RobotState:
        """Newest feedback without asking."""
        n = len(self.names)
        rows = np.full((4, n), np.nan)
        stale = np.ones(n, dtype=bool)
        voltage = np.full(n, np.nan)
        for lane in self.lanes:
            s = lane.state
            if s is not None and len(s.position_u) == len(lane.index):
                if s.voltage_v is not None:
                    voltage[lane.index] = s.voltage_v
                rows[:, lane.index] = s.position_u, s.velocity_u_s, s.current_a, s.temperature_c
                stale[lane.index] = s.stale
        now = self._clock.now_s()
        position, velocity, current, temperature = rows
        return RobotState(
            now, position, velocity, current, temperature, voltage, stale, self.applied_u, dict(self._faults)
        )

    def position_u(self) -> Array:
        """[N] newest measured u, NaN where nobody can tell."""
        out = np.full(len(self.names), np.nan)
        for lane in self.lanes:
            if lane.state is not None and len(lane.state.position_u) == len(lane.index):
                out[lane.index] = lane.state.position_u
        return out

    @property
    def applied_u(self) -> Array:
        """[N] what was last sent."""
        return self._gate.position.copy()

    @property
    def present(self) -> NDArray[np.bool_]:
        """[N] driven: answered, and no member of its group is missing."""
        return self._present.copy()

    # ---- moves

    def follow(
        self, target: Callable[[float], ArrayLike], until_s: float, rate_hz: float = RATE_HZ
    ) -> Applied | None:
        """Send target(t) at `rate_hz` on absolute deadlines until `until_s` of the clock -> the last Applied."""
        start_s = self._clock.now_s()
        tick, last = 0, None
        while (due_s := start_s + tick / rate_hz) < until_s - 1e-9:
            self._clock.sleep_until_s(due_s)
            now = self._clock.now_s()
            last = self.send(target(now), now)
            tick = max(tick + 1, int((now - start_s) * rate_hz) + 1)
        self._clock.sleep_until_s(until_s)
        return last

    def settle(self, u: ArrayLike, seconds: float, rate_hz: float = RATE_HZ) -> Applied | None:
        """Hold the request u[N] for `seconds`, keeping every watchdog fed."""
        return self.follow(lambda _: u, self._clock.now_s() + seconds, rate_hz)

    def rest(self) -> None:
        """Back to neutral, smoothly, in the time the slowest actuator needs."""
        if self.armed:
            path, duration_s = self.rest_path()
            self.follow(path, self._clock.now_s() + duration_s)

    def rest_path(self) -> tuple[Callable[[float], Array], float]:
        """(u[N] at a time, seconds it takes): minimum jerk from the last command to neutral, from now."""
        start_s, start = self._clock.now_s(), self._gate.position.copy()
        way = np.where(self._present & ~self._down, np.abs(self.neutral_u - start), 0.0)
        duration_s = max(REST_S, float((2.0 * way / self.limits.speed).max(initial=0.0)))

        def path(now: float) -> Array:
            s = min(max((now - start_s) / duration_s, 0.0), 1.0)
            return start + (self.neutral_u - start) * (s * s * s * (10.0 - 15.0 * s + 6.0 * s * s))

        return path, duration_s + 0.05

    # ---- end

    def release(self) -> None:
        """Torque off everywhere; a bus that fails does not keep the others on."""
        self.armed = False
        for lane in self.lanes:
            lane.release()

    def close(self) -> None:
        """Close all lines."""
        for lane in self.lanes:
            with contextlib.suppress(AnimafaceError):
                lane.bus.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.rest()
        finally:
            try:
                self.release()
            finally:
                self.close()

    # ---- inside

    def _with_mates(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        out = mask.copy()
        for members in self._mates:
            if mask[members].any():
                out[members] = True
        return out

    def _warning(self, devices: list[DeviceInfo], dropped: tuple[str, ...]) -> str:
        if not dropped:
            return ""
        problems = {d.actuator: d.problem for d in devices if not d.present}
        told = [f"{n} ({problems[n]})" if n in problems else f"{n} (with its group)" for n in dropped]
        return f"face {self.config.id!r}: {len(dropped)} actuators are not driven: " + "; ".join(told)


def _mates(config: FaceConfig) -> list[NDArray[np.int_]]:
    index = {name: i for i, name in enumerate(config.names)}
    return [np.array([index[m] for m in g.members]) for g in config.groups.values()]

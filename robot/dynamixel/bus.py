"""A line of Dynamixel servos as a Bus: u in, u out, and nothing waits longer than it must.

In a control loop the line is never waited for: goals go out in one sync write, a question for a share
of the servos follows behind it, and the answers are taken when they are there (`request`, `collect`).
Most ticks ask for feedback, every fourth for health: torque, hardware error, watchdog, goal. A servo
that misses is asked alone until it answers; one that restarted is set up again in pieces.
"""

from collections import deque
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from animaface.robot.bus import BusState, DeviceInfo, Steps, finish
from animaface.robot.config import FaceConfig
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.health import Health
from animaface.robot.dynamixel.line import DynamixelLine, Reply
from animaface.robot.dynamixel.registers import FEEDBACK_BLOCK, HEALTH_BLOCK
from animaface.robot.dynamixel.servo import Servo
from animaface.robot.dynamixel.setup import STAGGER_S, set_up, switch_on
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError, TransportError
from animaface.robot.faults import Fault
from animaface.robot.transport import OpenTransport

WATCHDOG_S = 0.2
_SILENCE_S = 0.15  # after so long without a write the watchdogs may have tripped
_PATIENCE_S = 0.03  # an adapter whose latency timer was left at 16 ms answers late, not never
_LINE_SHARE = 0.5  # of a 10 ms tick that one tick's bytes may fill
_HEALTH_EVERY = 4
_PLAIN_S = 2.0  # a fast reply loses all that is behind one bad byte: where one did, plain ones for so long
_PACKETS_LOST = 8  # so many goals in a row are not lost by noise


class DynamixelBus:
    """All servos of one Dynamixel bus of the face. Not connected until `connect`."""

    names: Sequence[str]
    _health: Health

    def __init__(self, config: FaceConfig, bus: str, open_transport: OpenTransport, clock: Clock) -> None:
        self.bus = bus
        self.baud = config.buses[bus].baud
        self._open = open_transport
        self._clock = clock
        self._all = [Servo(a) for a in config.on_bus(bus)]
        self.names = tuple(s.name for s in self._all)
        self._line: DynamixelLine | None = None
        self._use(self._all)

    # ---- connect and enable

    def connect(self) -> list[DeviceInfo]:
        """Verify and configure every servo. TransportError when the line can't be opened."""
        return finish(self.connect_steps(), self._clock)

    def connect_steps(self) -> Steps[list[DeviceInfo]]:
        """`connect` in pieces."""
        self.close()
        self._line = line = DynamixelLine(self._open(self.bus), self._clock)
        for line.patient in (False, True):
            for servo in self._all:
                if line.patient and (servo.online or not servo.silent):
                    continue
                if (yield from line.ping_steps(servo.servo_id)) is None:
                    servo.online, servo.silent = False, True
                    servo.problem = f"no answer under id {servo.servo_id}"
                else:
                    yield from set_up(line, servo)
        line.patient = False
        online = [s for s in self._all if s.online]
        if len(online) > 1:
            position = reg.PRESENT_POSITION
            ids = tuple(s.servo_id for s in online)
            fast = yield from line.fast_steps(ids, position.address, position.size)
            for servo in online:
                servo.fast = fast
        self._use(self._all)
        for i, servo in enumerate(self._servos):
            if not servo.online:  # asked for until it is there
                self._health.lose(i, servo.why_not, servo.problem)
        return [s.info() for s in self._all]

    def enable(self) -> Mapping[str, float]:
        """Torque on, one after another, at the measured pose."""
        return finish(self.enable_steps(), self._clock)

    def enable_steps(self) -> Steps[Mapping[str, float]]:
        """`enable` in pieces. A servo that refuses is left out and shows as a fault."""
        out: dict[str, float] = {}
        for i, servo in enumerate(self._servos):
            if not servo.online:
                continue
            try:
                began_s = self._clock.now_s()
                out[servo.name] = yield from switch_on(self._lined, servo)
                yield max(STAGGER_S - (self._clock.now_s() - began_s), 0.0)
            except DeviceError as e:
                self._health.lose(i, Fault.SILENT, e.message)
        self._guard([s for s in self._servos if s.enabled])
        self._last_write_s = self._clock.now_s()
        self._armed = True
        return out

    # ---- one tick: collect, write, request

    def write(self, u: NDArray[np.float64]) -> None:
        """Goals to every servo that is on, in one packet."""
        line = self._lined
        raw = np.rint(self._zero + np.asarray(u, dtype=np.float64) * self._per_u)
        self._goals = np.clip(raw, self._low, self._high).astype(np.int64)
        self._told.append(self._goals)
        goals = {i: g for i, g, on in zip(self._ids, self._goals.tolist(), self._on(), strict=True) if on}
        if goals:
            line.sync_write(reg.GOAL_POSITION, goals)
        self._last_write_s = self._clock.now_s()

    def request(self) -> None:
        """Ask for the next share, or do the next piece of mending a servo."""
        now_s = self._clock.now_s()
        if self._asked or self._health.mend(self._lined, now_s, self._guard):
            return
        self._turn += 1
        urgent = self._health.urgent()
        alone = self._health.alone(now_s) if self._turn % 2 else ()
        if urgent or self._turn % _HEALTH_EVERY == 0:
            self._ask(urgent or self._share(self._health_size, "health"), HEALTH_BLOCK)
        elif alone:
            self._ask(alone, FEEDBACK_BLOCK)
        else:
            self._ask(self._share(self._feedback_size, "feedback"), FEEDBACK_BLOCK)

    def collect(self) -> BusState:
        """What has come in. After a silence of the host: where the servos stand now, as `resumed`."""
        self._lined.poll()
        late = self._clock.now_s() - self._asked_s > _PATIENCE_S
        if self._asked and (late or not self._lined.busy):
            self._take()
        state = self._state()
        state.resumed = self._health.take_resumed()
        if self._armed and self._clock.now_s() - self._last_write_s > _SILENCE_S:
            state.resumed |= self._after_silence()
        return state

    def read(self) -> BusState:
        """Fresh feedback of every servo; about 8 ms for 25 servos at 1 Mbaud."""
        if self._asked:
            self._take(0.01)
        before = self._seen_s.copy()
        with self._lined.set_aside():  # an answer to a servo that is being mended may be on its way
            ids = self._health.together()
            for start in range(0, len(ids), 13):
                block = tuple(ids[start : start + 13])
                self._update(block, self._lined.sync_read(block, *FEEDBACK_BLOCK))
        state = self._state()
        state.resumed = self._health.take_resumed()
        state.stale = self._seen_s == before
        return state

    def counters(self) -> Mapping[str, int]:
        """Replies with a wrong CRC, questions asked a second time."""
        line = self._line
        return {
            "bad_crc": line.packets.crc_errors if line else 0,
            "retries": line.retries if line else 0,
        }

    def release(self) -> None:
        """Torque off, twice, because a sync write has no answer."""
        self._armed = False
        if self._line is None:
            return
        ids = [s.servo_id for s in self._all if s.online]
        for servo in self._all:
            servo.enabled = False
        for _ in range(2 if ids else 0):
            self._line.sync_write(reg.BUS_WATCHDOG, dict.fromkeys(ids, 0))
            self._line.sync_write(reg.TORQUE_ENABLE, dict.fromkeys(ids, 0))

    def close(self) -> None:
        """Close the line."""
        if self._line is not None:
            self._line.close()
            self._line = None

    # ---- inside

    @property
    def _lined(self) -> DynamixelLine:
        if self._line is None:
            raise TransportError(f"bus {self.bus!r} is not connected", next_step="connect it first")
        return self._line

    def _use(self, servos: list[Servo]) -> None:
        """Arrays over the servos in use, in the order of u."""
        self._servos = servos
        self.names = tuple(s.name for s in servos)
        n = len(servos)
        self._ids = [s.servo_id for s in servos]
        self._index = {sid: i for i, sid in enumerate(self._ids)}
        per_count = np.array([s.u_per_count for s in servos])
        self._per_u = 1.0 / per_count if n else per_count
        self._zero = np.array([s.config.u_to_raw(0.0) / reg.DEG_PER_COUNT for s in servos])
        self._low = np.array([s.limits_counts[0] for s in servos])
        self._high = np.array([s.limits_counts[1] for s in servos])
        self._amps = np.array([s.amps_per_count for s in servos])
        self._per_deg = per_count / reg.DEG_PER_COUNT
        self._feedback = np.full((5, n), np.nan)  # position u, speed u/s, current A, temperature C, supply V
        self._seen_s = np.full(n, -np.inf)
        self._goals = np.zeros(n, dtype=np.int64)
        self._asked_goals = self._goals
        self._told: deque[NDArray[np.int64]] = deque([self._goals], maxlen=_PACKETS_LOST)
        self._asked: tuple[int, ...] = ()
        self._asked_s = 0.0
        self._asked_health = False
        self._plain_until_s = -np.inf
        self._armed = False
        self._turn = 0
        self._last_write_s = -np.inf
        self._at = {"feedback": 0, "health": 0}
        self._health = Health(servos)
        room = _LINE_SHARE * 0.01 * self.baud / 10.0 - (14 + 5 * n) - 14
        self._feedback_size = int(min(max(room // (12 + FEEDBACK_BLOCK[1]), 1), max(-(-n // 3), 1)))
        self._health_size = int(min(max(room // (12 + HEALTH_BLOCK[1]), 1), 4))

    def _on(self) -> list[bool]:
        return [s.enabled for s in self._servos]

    def _guard(self, servos: list[Servo]) -> None:
        """Bus watchdogs on: from now on the servos notice when the host is gone."""
        count = round(WATCHDOG_S / reg.WATCHDOG_S_PER_COUNT)
        if servos:
            self._lined.sync_write(reg.BUS_WATCHDOG, {s.servo_id: count for s in servos})

    def _share(self, size: int, what: str) -> tuple[int, ...]:
        """The next `size` ids in turn, of those that answer in groups; every round begins with the first.

        (It once went round modulo their number and cut the last share: the first servos were read 3 times a second.)
        """
        ids = self._health.together()
        start = self._at[what] if self._at[what] < len(ids) else 0
        self._at[what] = start + size
        return tuple(ids[start : start + size])

    def _ask(self, ids: tuple[int, ...], block: tuple[int, int]) -> None:
        if not ids:
            return
        self._asked, self._asked_health = ids, block is HEALTH_BLOCK
        self._asked_goals, self._asked_s = self._goals, self._clock.now_s()
        calm = self._asked_s > self._plain_until_s
        self._lined.request(ids, *block, fast=calm and all(self._servos[self._index[i]].fast for i in ids))

    def _take(self, wait_s: float = 0.0) -> None:
        asked, self._asked = self._asked, ()
        self._update(asked, self._lined.collect(wait_s))

    def _update(self, asked: tuple[int, ...], replies: Mapping[int, Reply]) -> None:
        now_s = self._clock.now_s()
        for sid in asked:
            i = self._index[sid]
            reply = replies.get(sid)
            if reply is None:
                self._plain_until_s = now_s + _PLAIN_S
                self._health.missed(i, now_s)
                continue
            self._health.answered(i, reply.alert, now_s)
            if len(reply.data) == FEEDBACK_BLOCK[1]:
                self._feedback[:, i] = self._decode(reply.data, i)
                self._seen_s[i] = now_s
                self._mind_stuck(i, reply.data, now_s)
            elif self._asked_health:
                told = [int(goals[i]) for goals in self._told] if self._armed else []
                self._health.examine(i, reply.data, told, now_s)

    def _mind_stuck(self, i: int, data: bytes, now_s: float) -> None:
        """A shaft that something holds, or whose sensor died: its goal goes to where it says it is."""
        position = reg.PRESENT_POSITION.decode(data, FEEDBACK_BLOCK[0])
        goal = int(self._asked_goals[i])
        if self._armed and self._servos[i].enabled and self._health.stuck(i, position, goal, now_s):
            here = min(max(position, int(self._low[i])), int(self._high[i]))
            self._lined.sync_write(reg.GOAL_POSITION, {self._ids[i]: here})

    def _decode(self, data: bytes, i: int) -> tuple[float, ...]:
        start = FEEDBACK_BLOCK[0]
        position = reg.PRESENT_POSITION.decode(data, start)
        return (
            (position - self._zero[i]) / self._per_u[i],
            reg.PRESENT_VELOCITY.decode(data, start) * reg.DEG_S_PER_COUNT * self._per_deg[i],
            reg.PRESENT_CURRENT.decode(data, start) * self._amps[i],
            float(reg.PRESENT_TEMPERATURE.decode(data, start)),
            reg.PRESENT_VOLTAGE.decode(data, start) * reg.VOLT_PER_COUNT,
        )

    def _state(self) -> BusState:
        now_s = self._clock.now_s()
        position, velocity, current, temperature, voltage = self._feedback.copy()
        stale, faults = now_s - self._seen_s > 0.1, self._health.faults()
        return BusState(now_s, position, velocity, current, temperature, stale, faults, voltage_v=voltage)

    def _after_silence(self) -> dict[str, float]:
        """The watchdogs may have tripped: clear them, and say where every servo stands."""
        ids = [s.servo_id for s in self._servos if s.enabled]
        self._lined.sync_write(reg.BUS_WATCHDOG, dict.fromkeys(ids, 0))
        state = self.read()
        self._guard([s for s in self._servos if s.enabled])
        self._last_write_s = self._clock.now_s()
        fresh = ~state.stale & np.isfinite(state.position_u)
        return {n: float(u) for n, u, ok in zip(self.names, state.position_u, fresh, strict=True) if ok}

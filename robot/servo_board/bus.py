"""A servo board as a Bus. Its hobby servos tell nothing: positions are NaN, faults are the board's.

Goals go out as SET with a time to live; the board answers each, and the answers are taken on the next
tick. A board that trips or restarts says so in its next answer: `BusState.stopped`. `enable` then greets,
configures and arms it again, and tells at which pulse every channel stands, so that nothing jumps.
"""

import binascii
import struct
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from animaface.robot.bus import BusState, DeviceInfo, Steps, finish
from animaface.robot.config import ActuatorConfig, FaceConfig
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError, TransportError
from animaface.robot.faults import Fault
from animaface.robot.servo_board import frames
from animaface.robot.servo_board.frames import Ack, BoardState, ChannelFlag, Command, Frame, Hello, Status
from animaface.robot.servo_board.line import BoardLine
from animaface.robot.transport import OpenTransport

LIFE_MS = 200
STAGGER_MS = 50
_GREET_S = 2.5  # an Arduino restarts when its port is opened and sits in its boot loader for a while
_ARM_TRIES = 3
_SILENT_S = 0.25
_STATUS_EVERY = 10
_ENABLING = 4  # flag in the answer to READ
_SPEED_MARGIN = 1.25  # the gate is the limit; the board's ramp is the net below it
_ENABLE_AGAIN_S = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
_PARK_HEAVY_DEG_S = 15.0
"""The neck's rods turn 1 rad of a shaft into 1.5 rad of the head: .39 rad/s, below the .5 that counts as falling."""
_HEAVY = ("jaw", "neck")
_FLAG_FAULTS = {ChannelFlag.OVER_DUTY: "over its duty ceiling", ChannelFlag.LOST: "let go by the board"}


class ServoBoardBus:
    """All channels of one board of the face. Not connected until `connect`."""

    names: Sequence[str]
    _faults: dict[str, str]

    def __init__(self, config: FaceConfig, bus: str, open_transport: OpenTransport, clock: Clock) -> None:
        self.bus = bus
        self.board_id = config.buses[bus].board_id
        self.hello: Hello | None = None
        self.clamped = 0
        self._open = open_transport
        self._clock = clock
        self._actuators = config.on_bus(bus)
        self._line: BoardLine | None = None
        self._use(self._actuators)

    # ---- connect and enable

    def connect(self) -> list[DeviceInfo]:
        """Greet, verify and configure. TransportError: no line; DeviceError: no or another board."""
        return finish(self.connect_steps(), self._clock)

    def connect_steps(self) -> Steps[list[DeviceInfo]]:
        """`connect` in pieces."""
        self.close()
        self._line = BoardLine(self._open(self.bus), self._clock, self._on_answer)
        yield from self._greet_and_configure()
        hello = self.hello
        firmware = hello.firmware if hello else ""
        there = hello.n_channels if hello else 0
        self._use(tuple(a for a in self._actuators if _channel(a) < there))
        return [
            DeviceInfo(a.name, True, a.model, firmware)
            if _channel(a) < there
            else DeviceInfo(a.name, False, problem=f"the board has {there} channels, not {_channel(a)}")
            for a in self._actuators
        ]

    def enable(self) -> Mapping[str, float]:
        """Arm; pulses on, one channel after another, at the pose the board remembers."""
        return finish(self.enable_steps(), self._clock)

    def enable_steps(self) -> Steps[Mapping[str, float]]:
        """`enable` in pieces; greets and configures anew a board that restarted, arms once more one that let go because
        this computer stood still in between."""
        self._armed = False
        for _ in range(_ARM_TRIES):
            if (status := (yield from self._switch_on())) is not None:
                break
        else:
            raise DeviceError(
                f"bus {self.bus!r}: the board heard nothing for {LIFE_MS} ms while its channels came on, "
                f"{_ARM_TRIES} times",
                next_step="close what keeps this computer busy: animaface doctor",
            )
        self._lined.send(Command.SET, frames.targets(LIFE_MS, {}))
        self._answered_s = self._clock.now_s()
        self._stopped, self._armed, self._faults = "", True, {}
        pulses = dict(enumerate(status.pulses_us, status.first))
        return {a.name: a.raw_to_u(pulses[_channel(a)]) for a in self._used}

    def _switch_on(self) -> Steps[Status | None]:
        """ARM, and ENABLE until every channel is on. None: the board let go, because it heard nothing in time."""
        line = self._lined
        arm = LIFE_MS.to_bytes(2, "little")
        refused = Ack.of((yield from line.ask_steps(Command.ARM, arm))).status
        if refused in (frames.NOT_GREETED, frames.NOT_CONFIGURED):
            yield from self._greet_and_configure()
        yield from line.order_steps(Command.ARM, arm)
        enable = struct.pack("<BH", frames.ALL_CHANNELS, STAGGER_MS)
        if (yield from line.order_steps(Command.ENABLE, enable, tolerated=frames.NOT_ARMED)).status:
            return None
        deadline_s = self._clock.now_s() + 1.0 + 2e-3 * STAGGER_MS * len(self._actuators)
        while True:
            line.send(Command.SET, frames.targets(LIFE_MS, {}))  # keeps it alive, moves nothing
            status = yield from self._status()
            if not status.flags & _ENABLING and self._all_on(status):
                return status
            if status.state == BoardState.TRIPPED:
                if status.reason == frames.NO_COMMAND:
                    return None
                why = frames.REASON_TEXT.get(status.reason, str(status.reason))
                raise DeviceError(f"bus {self.bus!r}: the board tripped while its channels came on: {why}")
            if self._clock.now_s() > deadline_s:
                raise DeviceError(f"bus {self.bus!r}: the board does not switch its channels on")
            yield 0.02

    def _greet_and_configure(self) -> Steps[None]:
        line = self._lined
        deadline_s = self._clock.now_s() + _GREET_S
        while True:
            try:
                answer = yield from line.ask_steps(Command.HELLO, frames.hello(self.board_id))
                self.hello = hello = Hello.of(answer)
                break
            except (DeviceError, struct.error):
                if self._clock.now_s() > deadline_s:
                    raise DeviceError(
                        f"bus {self.bus!r}: no servo board answers",
                        next_step="check power, port and baud rate; animaface flash puts the firmware on",
                    ) from None
                yield 0.02
        if hello.status or hello.protocol != frames.PROTOCOL_VERSION:
            raise DeviceError(
                f"bus {self.bus!r}: wanted board id {self.board_id} with protocol {frames.PROTOCOL_VERSION}, "
                f"found id {hello.board_id} with protocol {hello.protocol}, firmware {hello.firmware}",
                next_step="correct board_id in the face config, or animaface flash",
            )
        wanted = {_channel(a): channel_config(a) for a in self._actuators if _channel(a) < hello.n_channels}
        if hello.config_crc == binascii.crc_hqx(b"".join(wanted[c] for c in sorted(wanted)), 0xFFFF):
            return  # the board remembers: a host that comes back need not let go
        yield from line.order_steps(Command.RELEASE, bytes((frames.ALL_CHANNELS,)))
        for channel in sorted(wanted):
            yield from line.order_steps(Command.CONFIG, wanted[channel])

    # ---- one tick: collect, write, request

    def write(self, u: NDArray[np.float64]) -> None:
        """One SET with every channel."""
        raw = np.rint(self._zero + np.asarray(u, dtype=np.float64) * self._per_u)
        pulses = np.clip(raw, self._low, self._high).astype(np.int64).tolist()
        payload = frames.targets(LIFE_MS, dict(zip(self._channels, pulses, strict=True)))
        self._lined.send(Command.SET, payload)

    def request(self) -> None:
        """Every tenth time: ask for the state of all channels."""
        self._turn += 1
        if self._turn % _STATUS_EVERY == 0:
            self._lined.send(Command.READ, bytes((0, max(self._channels, default=0) + 1)))

    def collect(self) -> BusState:
        """What the board said since. TransportError when it has said nothing for .25 s."""
        self._lined.poll()
        now_s = self._clock.now_s()
        if self._armed and now_s - self._answered_s > _SILENT_S:
            self._lined.poll(0.002)  # after a pause of the host its answers may lie there unread
            if now_s - self._answered_s > _SILENT_S:
                self._answered_s = now_s
                raise TransportError(
                    f"bus {self.bus!r}: the servo board is silent", next_step="check its power"
                )
        return self._state()

    def read(self) -> BusState:
        """Ask for the state and wait for it."""
        self._see(finish(self._status(), self._clock))
        return self._state()

    def counters(self) -> Mapping[str, int]:
        """Broken frames that came in, questions asked a second time, targets the board had to clamp."""
        line = self._line
        return {
            "bad_frames": line.bad_frames if line else 0,
            "retries": line.retries if line else 0,
            "clamped": self.clamped,
        }

    def release(self) -> None:
        """True low on every channel, at once."""
        self._armed = False
        if self._line is not None:
            finish(self._line.order_steps(Command.RELEASE, bytes((frames.ALL_CHANNELS,))), self._clock)

    def close(self) -> None:
        """Close the line."""
        self._armed = False
        if self._line is not None:
            self._line.close()
            self._line = None

    # ---- inside

    @property
    def _lined(self) -> BoardLine:
        if self._line is None:
            raise TransportError(f"bus {self.bus!r} is not connected", next_step="connect it first")
        return self._line

    def _use(self, actuators: tuple[ActuatorConfig, ...]) -> None:
        self._used = actuators
        self.names = tuple(a.name for a in actuators)
        self._channels = [_channel(a) for a in actuators]
        self._zero = np.array([a.u_to_raw(0.0) for a in actuators])
        self._per_u = np.array([a.u_to_raw(1.0) - a.u_to_raw(0.0) for a in actuators])
        self._low = np.array([a.limits[0] for a in actuators])
        self._high = np.array([a.limits[1] for a in actuators])
        self._faults = {}
        self._resumed: dict[str, float] = {}
        self._again: dict[str, tuple[float, int]] = {}  # channels that are off: when to try, how often tried
        self._stopped = ""
        self._armed = False
        self._turn = 0
        self._answered_s = 0.0
        self._supply_v = np.nan  # of a board that has a sensor for it

    def _status(self) -> Steps[Status]:
        count = max(self._channels, default=0) + 1
        return Status.of((yield from self._lined.ask_steps(Command.READ, bytes((0, count)))))

    def _all_on(self, status: Status) -> bool:
        flags = dict(enumerate(status.channel_flags, status.first))
        return all(flags.get(c, 0) & ChannelFlag.ON for c in self._channels)

    def _on_answer(self, frame: Frame) -> None:
        """Answers nobody waited for: to SET and to the READ of `request`."""
        if not frame.type & 0x80 or len(frame.payload) < 5:
            return
        self._answered_s = self._clock.now_s()
        if frame.type == Command.READ | 0x80 and len(frame.payload) > 17:
            self._see(Status.of(frame.payload))
        elif frame.type == Command.SET | 0x80 and self._armed:
            ack = Ack.of(frame.payload)
            self.clamped += ack.count
            if ack.status == frames.NOT_GREETED:
                self._stop(Fault.BOARD_RESET, "the board restarted")
            elif ack.status or ack.state != BoardState.ARMED:
                self._stop(Fault.TRIPPED, frames.REASON_TEXT.get(ack.reason, str(ack.reason)))

    def _stop(self, fault: Fault, detail: str) -> None:
        self._armed = False
        self._stopped = f"{fault}: {detail}"

    def _see(self, status: Status) -> None:
        self._supply_v = status.supply_mv * 1e-3 if status.supply_mv else np.nan
        if not self._armed:
            return
        if status.state == BoardState.TRIPPED:
            self._stop(Fault.TRIPPED, frames.REASON_TEXT.get(status.reason, str(status.reason)))
            return
        flags = dict(enumerate(status.channel_flags, status.first))
        for name, channel in zip(self.names, self._channels, strict=True):
            told = [text for flag, text in _FLAG_FAULTS.items() if flags.get(channel, 0) & flag]
            if told or (name in self._faults and not flags.get(channel, 0) & ChannelFlag.ON):
                self._faults.setdefault(name, f"{Fault.CHANNEL}: {', '.join(told)}")
                self._try_again(name, channel)
            elif self._faults.pop(name, None) is not None:
                pulse = status.pulses_us[channel - status.first]
                self._resumed[name] = self._used[self._channels.index(channel)].raw_to_u(pulse)

    def _try_again(self, name: str, channel: int) -> None:
        """An output that went off is asked to come on after longer and longer pauses."""
        now_s = self._clock.now_s()
        due_s, tries = self._again.get(name, (now_s + _ENABLE_AGAIN_S[0], 0))
        if now_s >= due_s:
            self._lined.send(Command.ARM, LIFE_MS.to_bytes(2, "little"))  # takes the mark of loss off
            self._lined.send(Command.ENABLE, struct.pack("<BH", channel, STAGGER_MS))
            tries += 1
            due_s = now_s + _ENABLE_AGAIN_S[min(tries, len(_ENABLE_AGAIN_S) - 1)]
        self._again[name] = due_s, tries

    def _state(self) -> BusState:
        n = len(self.names)
        nan = np.full((4, n), np.nan)
        stale = np.zeros(n, dtype=bool)
        resumed, self._resumed = self._resumed, {}
        return BusState(
            self._clock.now_s(),
            nan[0],
            nan[1],
            nan[2],
            nan[3],
            stale,
            dict(self._faults),
            resumed,
            self._stopped,
            np.full(n, self._supply_v),
        )


def _channel(actuator: ActuatorConfig) -> int:
    return int(actuator.channel or 0)


def channel_config(a: ActuatorConfig) -> bytes:
    """The 20 bytes of CONFIG that `connect` and bring-up send for one channel.

    Acceleration 0: targets come every 10 ms, and a board that could stop at each of them would lag behind all.
    """
    low, high = a.limits
    neutral = round(a.u_to_raw(a.neutral_u))
    span_us = high - low
    speed = min(max(round(a.speed_per_s * span_us * _SPEED_MARGIN), 1), 65535)
    us_per_deg = span_us / a.travel_deg
    park_deg_s = _PARK_HEAVY_DEG_S if a.region in _HEAVY else 60.0
    duty = min(round(255 * a.duty_ceiling * a.servo.speed_deg_s * us_per_deg / speed), 255)
    return struct.pack(
        "<BBHHHHHHHHBB", _channel(a), frames.ON_LOSS[a.effective_on_loss], round(low), round(high), neutral,
        neutral, speed, 0, max(round(park_deg_s * us_per_deg), 1), round(a.servo.frame_hz), duty, 0,
    )  # fmt: skip

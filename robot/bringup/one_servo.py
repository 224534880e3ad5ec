"""One actuator alone on its line, moved slowly in its own unit (deg or us), for bring-up by hand.

The device guards itself all the while: a Dynamixel by its bus watchdog, a board by the life of its
outputs, so that a killed host ends every motion within .2 s.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from animaface.robot.bus import finish
from animaface.robot.config import ActuatorConfig, FaceConfig
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.line import DynamixelLine
from animaface.robot.dynamixel.servo import Servo
from animaface.robot.dynamixel.setup import set_up, switch_on
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import AnimafaceError, DeviceError
from animaface.robot.servo_board import frames
from animaface.robot.servo_board.bus import channel_config
from animaface.robot.servo_board.frames import Ack, BoardState, ChannelFlag, Command, Hello, Status
from animaface.robot.servo_board.line import BoardLine
from animaface.robot.transport import Transport

SLOW_SHARE_PER_S: Final = 0.25
"""Ranges a second while a person is at it."""
LIFE_MS: Final = 200
_ENABLE_S: Final = 1.0
_BOOT_S: Final = 2.5
_LOAD_NONE: Final = float("nan")

Window = tuple[float, float]
"""(low, high) in deg or us that the device itself enforces."""


@dataclass(frozen=True)
class Reading:
    """Where it stands, deg or us. A hobby servo cannot tell: `raw` is then the pulse that goes out."""

    raw: float
    measured: bool
    load_a: float = _LOAD_NONE
    temperature_c: float = _LOAD_NONE
    on: bool = True
    problem: str = ""


class OneServo(Protocol):
    """The two kinds of line behind one face. Methods raise TransportError or DeviceError."""

    def prepare(self, window: Window) -> Reading:
        """Verify and configure; torque is off after it."""
        ...

    def start(self) -> Reading:
        """Torque on where it stands (or at the pose the board remembers); again after `relax`."""
        ...

    def move(self, raw: float) -> None:
        """A new goal, deg or us, inside the window; the device goes there slowly."""
        ...

    def keep(self) -> Reading:
        """Say that the host lives, and read; at least every .1 s while on."""
        ...

    def hold(self) -> None:
        """Stand still where it is, torque on."""
        ...

    def relax(self) -> None:
        """Torque off at once."""
        ...

    def close(self) -> None:
        """Torque off and close the line; never raises."""
        ...


def open_one(config: FaceConfig, name: str, transport: Transport, clock: Clock) -> OneServo:
    """The actuator `name` on its (open) line."""
    actuator = config.actuators[name]
    bus = config.buses[actuator.bus]
    if bus.kind == "dynamixel":
        return OneDynamixel(actuator, transport, clock)
    return OneChannel(actuator, bus.board_id, transport, clock)


def hard_window(actuator: ActuatorConfig) -> Window:
    """What the servo itself could do, deg or us."""
    if actuator.servo.bus_kind == "dynamixel":
        return 0.0, (reg.COUNTS_PER_TURN - 1) * reg.DEG_PER_COUNT
    return actuator.servo.pulse_us


def slowed(actuator: ActuatorConfig, window: Window) -> ActuatorConfig:
    """The same servo with `window` as its limits and the speed of a person's patience."""
    low, high = actuator.limits
    slow_raw_s = SLOW_SHARE_PER_S * (high - low)
    unit = "deg" if actuator.servo.bus_kind == "dynamixel" else "us"
    changes = {
        f"limits_{unit}": window,
        f"neutral_{unit}": min(max(actuator.u_to_raw(actuator.neutral_u), window[0]), window[1]),
        "max_speed_per_s": min(slow_raw_s / (window[1] - window[0]), actuator.speed_per_s),
        "on_loss": "hold" if actuator.effective_on_loss == "hold" else "relax",
    }
    return actuator.model_copy(update=changes)


class OneDynamixel:
    """A Dynamixel under its id."""

    def __init__(self, actuator: ActuatorConfig, transport: Transport, clock: Clock) -> None:
        self._actuator = actuator
        self._clock = clock
        self._line = DynamixelLine(transport, clock, patient=True)
        self._id = int(actuator.id or 0)
        self._servo = Servo(actuator)
        self._window = actuator.limits

    def prepare(self, window: Window) -> Reading:
        """`window` is made wide enough for where it stands, so that nothing moves at the start."""
        here = self._read().raw
        bottom, top = hard_window(self._actuator)
        self._window = max(min(window[0], here), bottom), min(max(window[1], here), top)
        self._servo = Servo(slowed(self._actuator, self._window))
        self.relax()
        finish(set_up(self._line, self._servo), self._clock)
        if not self._servo.online:
            raise DeviceError(f"{self._actuator.name}: {self._servo.problem}", next_step="animaface ports")
        return self._read()

    def start(self) -> Reading:
        """Torque on at the measured pose."""
        low, high = self._window
        here = self._read().raw
        if not low <= here <= high:  # moved by hand or by its own weight meanwhile
            self.prepare(self._window)
        finish(switch_on(self._line, self._servo), self._clock)
        self._guard()
        return self._read()

    def move(self, raw: float) -> None:
        """Goal in deg."""
        self._guard()  # a watchdog that tripped in a pause would refuse the goal
        low, high = self._servo.limits_counts
        counts = min(max(round(raw / reg.DEG_PER_COUNT), low), high)
        self._line.write(self._id, reg.GOAL_POSITION, counts)

    def keep(self) -> Reading:
        """A read feeds the watchdog."""
        return self._read()

    def hold(self) -> None:
        """Goal = where it stands."""
        self.move(self._read().raw)

    def relax(self) -> None:
        """Torque off; repeated without an answer when the servo does not confirm."""
        try:
            self._line.write(self._id, reg.TORQUE_ENABLE, 0)
        except DeviceError:
            self._line.write_unanswered(self._id, reg.TORQUE_ENABLE, 0)
            self._line.write_unanswered(self._id, reg.TORQUE_ENABLE, 0)

    def close(self) -> None:
        """Torque off."""
        _quietly(self.relax)
        self._line.close()

    def _guard(self) -> None:
        count = round(LIFE_MS * 1e-3 / reg.WATCHDOG_S_PER_COUNT)
        self._line.write(self._id, reg.BUS_WATCHDOG, 0)
        self._line.write(self._id, reg.BUS_WATCHDOG, count)

    def _read(self) -> Reading:
        start = reg.FEEDBACK_BLOCK[0]
        now = self._line.read(self._id, *reg.FEEDBACK_BLOCK)
        health = self._line.read(self._id, *reg.HEALTH_BLOCK)
        first = reg.HEALTH_BLOCK[0]
        error = reg.HARDWARE_ERROR.decode(health, first)
        return Reading(
            raw=reg.PRESENT_POSITION.decode(now, start) * reg.DEG_PER_COUNT,
            measured=True,
            load_a=reg.PRESENT_CURRENT.decode(now, start) * self._servo.amps_per_count,
            temperature_c=float(reg.PRESENT_TEMPERATURE.decode(now, start)),
            on=reg.TORQUE_ENABLE.decode(health, first) == 1,
            problem=f"hardware error: {reg.hardware_errors(error)}" if error else "",
        )


class OneChannel:
    """A hobby servo on a channel of a servo board; the other channels stay low."""

    def __init__(self, actuator: ActuatorConfig, board_id: int, transport: Transport, clock: Clock) -> None:
        self._actuator = actuator
        self._channel = int(actuator.channel or 0)
        self._clock = clock
        self._board_id = board_id
        self._line = BoardLine(transport, clock, lambda _: None)
        self._window = actuator.limits
        self._life = frames.targets(LIFE_MS, {})
        self._alive = False

    def prepare(self, window: Window) -> Reading:
        """Greet; everything low; configure this channel."""
        self._greet()
        self.relax()
        self._order(Command.CONFIG, channel_config(slowed(self._actuator, window)))
        self._window = window
        return self.keep()

    def start(self) -> Reading:
        """Arm and put this channel's pulse out: it may jump to the remembered pose."""
        self._order(Command.ARM, LIFE_MS.to_bytes(2, "little"))
        self._order(Command.ENABLE, bytes((self._channel, 1, 0)))
        deadline_s = self._clock.now_s() + _ENABLE_S
        self._alive = True
        while not (reading := self.keep()).on:
            if self._clock.now_s() > deadline_s:
                raise DeviceError(
                    f"{self._actuator.name}: the board does not switch channel {self._channel} on",
                    next_step="check the servos' power and the emergency stop",
                )
        return reading

    def move(self, raw: float) -> None:
        """Target in us."""
        low, high = self._window
        target = min(max(round(raw), math.ceil(low)), math.floor(high))
        self._order(Command.SET, frames.targets(LIFE_MS, {self._channel: target}))

    def keep(self) -> Reading:
        """Life, and the pulse that goes out now."""
        if self._alive:
            self._order(Command.SET, self._life)
        status = Status.of(finish(self._line.ask_steps(Command.READ, bytes((self._channel, 1))), self._clock))
        flags, pulse_us = ChannelFlag(status.channel_flags[0]), status.pulses_us[0]
        problem = ""
        if status.state == BoardState.TRIPPED and self._alive:
            problem = f"the board tripped: {frames.REASON_TEXT.get(status.reason, status.reason)}"
        return Reading(float(pulse_us), False, on=bool(flags & ChannelFlag.ON), problem=problem)

    def hold(self) -> None:
        """Stop where the pulse is, then let the board's `on_loss` hold it."""
        self.move(self.keep().raw)
        self._alive = False

    def relax(self) -> None:
        """A true low on this channel."""
        self._alive = False
        self._order(Command.RELEASE, bytes((frames.ALL_CHANNELS,)))

    def close(self) -> None:
        """Everything low."""
        _quietly(self.relax)
        self._line.close()

    def _greet(self) -> None:
        deadline_s = self._clock.now_s() + _BOOT_S
        while True:
            try:
                raw = finish(self._line.ask_steps(Command.HELLO, frames.hello(self._board_id)), self._clock)
                break
            except DeviceError:
                if self._clock.now_s() > deadline_s:
                    raise
        found = Hello.of(raw)
        if found.status or found.protocol != frames.PROTOCOL_VERSION:
            raise DeviceError(
                f"wanted board id {self._board_id} with protocol {frames.PROTOCOL_VERSION}, "
                f"found id {found.board_id} with protocol {found.protocol}, firmware {found.firmware}",
                next_step="correct board_id in the face config, or animaface flash mega",
            )
        if self._channel >= found.n_channels:
            raise DeviceError(f"the board has {found.n_channels} channels, not {self._channel}")

    def _order(self, command: Command, payload: bytes) -> Ack:
        return finish(self._line.order_steps(command, payload), self._clock)


def _quietly(do: Callable[[], None]) -> None:
    try:
        do()
    except AnimafaceError:
        return  # the line is gone: the device's own watchdog has taken over

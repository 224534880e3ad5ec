"""A whole simulated face: virtual devices on every line of the config, and the body they move."""

from collections.abc import Callable

from animaface.robot.config import ActuatorConfig, BusConfig, FaceConfig
from animaface.robot.face.clock import Clock, LockStepClock
from animaface.robot.face.errors import ConfigError, unknown_name
from animaface.robot.transport import MemoryTransport, Transport
from animaface.sim.board import VirtualBoard
from animaface.sim.dynamixel.bus import VirtualDynamixelBus
from animaface.sim.dynamixel.servo import VirtualServo
from animaface.sim.dynamixel.tables import BAUD_RATES, MODELS
from animaface.sim.emulated_board import EmulatedBoard
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.plant import Plant
from animaface.sim.truth import TruthLog
from animaface.sim.wire import Wire

Device = VirtualDynamixelBus | VirtualBoard

PERIOD_S = 0.004
"""Control period of the virtual servos' electronics, and the physics' step for babbling."""


def default_plant(config: FaceConfig, seed: int, timestep_s: float = PERIOD_S) -> Plant:
    """The MuJoCo face or, where the `sim` extra is not installed, devices on a FirstOrderPlant."""
    try:
        from animaface.sim.body.face import SimFace
    except ImportError:
        return FirstOrderPlant(config, seed=seed)
    return SimFace(config, seed=seed, timestep_s=timestep_s)


_BOARD_SUPPLY_V = 6.0


class SimLine(MemoryTransport):
    """A line in memory whose speed the host may change, as when it looks for servos."""

    def __init__(self, device: Device, clock: Clock, baud: int) -> None:
        self._wire = device.wire
        super().__init__(device, clock, baud)

    @property
    def baud(self) -> int:
        """Bits a second."""
        return self._wire.baud

    @baud.setter
    def baud(self, value: int) -> None:
        self._wire.baud = value


class SimWorld:
    """Virtual devices and body in one time.

    In lock-step (the default clock) it is a participant of `clock`: same seed and same bytes at the
    same times give the same bits. With a real clock somebody calls `advance` (see sim.server).
    """

    def __init__(
        self,
        config: FaceConfig,
        *,
        seed: int = 0,
        clock: Clock | None = None,
        plant: Plant | None = None,
        truth: TruthLog | None = None,
        firmware: bool = False,
    ) -> None:
        """`firmware`: servo boards are the Mega's real binary on simavr (sim.emulated_board)."""
        self.config = config
        self.seed = seed
        self.clock: Clock = LockStepClock() if clock is None else clock
        self.plant: Plant = default_plant(config, seed) if plant is None else plant
        self.truth = truth
        self.firmware = firmware
        self._origin_s = self.clock.now_s()
        self._ticks = 0
        self.devices: dict[str, Device] = {
            name: self._build(k, name, bus) for k, (name, bus) in enumerate(config.buses.items())
        }
        if isinstance(self.clock, LockStepClock):
            self.clock.attach(self.advance)

    def _build(self, k: int, name: str, bus: BusConfig) -> Device:
        wire = Wire(name, bus.baud, seed=self.seed * 1009 + k)
        on_line = self.config.on_bus(name)
        if bus.kind == "servo_board":
            boot_id = (self.seed * 7919 + k * 104_729 + 1) & 0xFFFFFFFF
            kind = EmulatedBoard if self.firmware else VirtualBoard
            return kind(wire, bus.board_id, on_line, self.plant, boot_id=boot_id, now_s=self._origin_s)
        return VirtualDynamixelBus(wire, [self._servo(a, bus) for a in on_line])

    def _servo(self, actuator: ActuatorConfig, bus: BusConfig) -> VirtualServo:
        if actuator.id is None:
            raise ConfigError(f"actuator {actuator.name}: a servo on a dynamixel bus needs `id`")
        if bus.baud not in BAUD_RATES:
            rates = ", ".join(str(b) for b in BAUD_RATES)
            raise ConfigError(f"buses.{actuator.bus}.baud: no Dynamixel runs at {bus.baud}. Valid: {rates}")
        return VirtualServo(actuator.name, actuator.model, actuator.id, bus.baud, self.plant)

    def device(self, bus: str) -> Device:
        """The virtual device of a bus. Raises ConfigError on an unknown name."""
        if bus not in self.devices:
            raise ConfigError(unknown_name("bus", bus, self.devices))
        return self.devices[bus]

    def open(self, bus: str) -> Transport:
        """A line in memory to the device of `bus` (robot.transport.OpenTransport)."""
        device = self.device(bus)
        return SimLine(device, self.clock, self.config.buses[bus].baud)

    # --- time ---

    @property
    def now_s(self) -> float:
        """Time of the last control period, on the clock's scale."""
        return self._origin_s + self._ticks * PERIOD_S

    @property
    def simulated_s(self) -> float:
        """How long body and devices have lived."""
        return self._ticks * PERIOD_S

    def advance(self, to_s: float, real_s: float | None = None) -> None:
        """Bring body and devices to `to_s`; `real_s`: what the clock says, where that may be later."""
        target = int((to_s - self._origin_s) / PERIOD_S + 1e-6)
        while self._ticks < target:
            self._ticks += 1
            self.plant.advance(self._ticks * PERIOD_S)
            now_s = self.now_s
            for device in self.devices.values():
                device.advance(now_s, PERIOD_S)
            if self.truth is not None and self.truth.due(now_s):
                self.truth.record(self.plant, now_s, 0.0 if real_s is None else max(0.0, real_s - now_s))

    def skip(self, to_s: float) -> float:
        """Leave time out that could not be simulated (real time only), for body and devices alike.

        Returns how much was left out, s.
        """
        left_out_s = int((to_s - self.now_s) / PERIOD_S) * PERIOD_S
        self._origin_s += left_out_s
        for device in self.devices.values():
            device.postpone(left_out_s)
        return left_out_s

    # --- faults ---

    def _dynamixel(self, actuator: str) -> VirtualServo | None:
        if actuator not in self.config.actuators:
            raise ConfigError(unknown_name("actuator", actuator, self.config.names))
        device = self.devices[self.config.actuators[actuator].bus]
        return device.servo(actuator) if isinstance(device, VirtualDynamixelBus) else None

    def _on_servo(self, actuator: str, do: Callable[[VirtualServo], None]) -> None:
        servo = self._dynamixel(actuator)
        if servo is None:
            raise ConfigError(f"actuator {actuator}: a hobby servo has no electronics that could do this")
        do(servo)

    def _board(self, bus: str) -> VirtualBoard:
        device = self.device(bus)
        if not isinstance(device, VirtualBoard):
            raise ConfigError(f"bus {bus!r} is no servo board")
        return device

    def unplug(self, bus: str) -> None:
        """Pull the host's cable: the devices go on by themselves."""
        self.device(bus).wire.unplug()

    def plug(self, bus: str) -> None:
        """Put it back."""
        self.device(bus).wire.plug()

    def corrupt(self, bus: str, *, lost: float = 0.0, doubled: float = 0.0, flipped: float = 0.0) -> None:
        """Spoil bytes from now on, in both directions: shares 0..1. All zero: clean again."""
        shares = (float(lost), float(doubled), float(flipped))
        self.device(bus).wire.byte_faults = shares if any(shares) else None

    def remove_servo(self, name: str) -> None:
        """A servo loses its cable, power and all."""
        servo = self._dynamixel(name)
        if servo is not None:
            servo.vanish(True)
        else:
            self._board(self.config.actuators[name].bus).vanish(name, True)

    def restore_servo(self, name: str) -> None:
        """It is back; a Dynamixel has just booted."""
        servo = self._dynamixel(name)
        if servo is not None:
            servo.vanish(False)
        else:
            self._board(self.config.actuators[name].bus).vanish(name, False)

    def reboot_servo(self, name: str) -> None:
        """Torque off, RAM cleared, nothing told."""
        self._on_servo(name, lambda s: s.reboot(self.now_s))

    def hardware_error(self, name: str, bits: int) -> None:
        """Hardware Error Status(70): 0x20 overload, 0x04 overheating, 0x01 voltage."""
        self._on_servo(name, lambda s: s.fail(bits))

    def heat_servo(self, name: str, temperature_c: float) -> None:
        """Be that hot now; it cools by itself."""
        self._on_servo(name, lambda s: s.set_temperature(temperature_c))

    def freeze_sensor(self, name: str, frozen: bool) -> None:
        """The position sensor goes on telling the present angle."""
        self._on_servo(name, lambda s: s.freeze_sensor(frozen))

    def block_servo(self, name: str, blocked: bool) -> None:
        """Something holds the shaft where it is: the servo stalls, and overloads where it can tell."""
        servo = self._dynamixel(name)
        if servo is not None:
            servo.block(blocked)
        else:
            self._board(self.config.actuators[name].bus).block(name, blocked)

    def wrong_model(self, name: str, model: str) -> None:
        """Another model answers under this servo's id, as after a repair with what was at hand."""
        if model not in MODELS:
            raise ConfigError(unknown_name("model", model, MODELS))
        self._on_servo(name, lambda s: s.become(model))

    def supply(self, bus: str, volts: float | None) -> None:
        """The servo supply of a line sags or rises; None: as it should be again, for every model."""
        device = self.device(bus)
        if isinstance(device, VirtualDynamixelBus):
            for servo in device.servos:
                servo.set_supply(volts)
        else:
            device.set_supply(_BOARD_SUPPLY_V if volts is None else volts)

    def noise(self, bus: str, size: int) -> None:
        """A burst of `size` random bytes, on both ends of the line."""
        device = self.device(bus)
        device.receive(device.wire.random_bytes(size), self.now_s)
        device.wire.say(device.wire.random_bytes(size), self.now_s)

    def usb_latency(self, bus: str, seconds: float) -> None:
        """Latency timer of the host's USB adapter: 16 ms as it comes, 1 ms as it should be."""
        self.device(bus).wire.usb_latency_s = seconds

    def reset_board(self, bus: str) -> None:
        """The board restarts with another boot id."""
        self._board(bus).reset(self.now_s)

    def hang_board(self, bus: str) -> None:
        """Its main loop stands still until the hardware watchdog bites."""
        self._board(bus).hang(self.now_s)

    def estop(self, bus: str, opened: bool) -> None:
        """The emergency stop at a servo board."""
        self._board(bus).core.set_estop(opened)

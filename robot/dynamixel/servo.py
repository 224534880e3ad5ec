"""One Dynamixel servo: its numbers in counts, its set-up as a list of registers, its health."""

from dataclasses import dataclass, field

from animaface.robot.bus import DeviceInfo
from animaface.robot.config import ActuatorConfig
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.registers import CURRENT_A_PER_COUNT, DEG_PER_COUNT, DEG_S_PER_COUNT, Register
from animaface.robot.faults import Fault

_PROFILE_MARGIN = 1.25  # the gate is the limit; the servo's own profile is the net below it
_POSITION_MODE = 3


@dataclass
class Servo:
    """A servo on the line and what is known of it. Conversions between u and counts live here."""

    config: ActuatorConfig
    online: bool = False
    enabled: bool = False
    silent: bool = False
    wrong: bool = False
    misses: int = 0
    problem: str = ""
    firmware: int = 0
    eeprom: bytes = field(default=b"", repr=False)
    fast: bool = False
    """Answers to Fast Sync Read, as it was found with all others of the line at `connect`."""

    @property
    def name(self) -> str:
        """Actuator name."""
        return self.config.name

    @property
    def why_not(self) -> Fault:
        """What `problem` is a case of, after a set-up that did not end online."""
        if self.silent:
            return Fault.ABSENT
        return Fault.WRONG_MODEL if self.wrong else Fault.HARDWARE

    @property
    def servo_id(self) -> int:
        """Id on the line."""
        return int(self.config.id or 0)

    @property
    def limits_counts(self) -> tuple[int, int]:
        """(low, high) rounded inwards."""
        low, high = self.config.limits
        return -int(-low // DEG_PER_COUNT), min(int(high // DEG_PER_COUNT), reg.COUNTS_PER_TURN - 1)

    @property
    def u_per_count(self) -> float:
        """Change of u for one count, with sign."""
        return self.config.direction * DEG_PER_COUNT / self.config.travel_deg

    @property
    def amps_per_count(self) -> float:
        """Unit of Present Current."""
        return CURRENT_A_PER_COUNT.get(self.config.model, 0.001)

    def counts(self, u: float) -> int:
        """Goal in counts, inside the limits."""
        low, high = self.limits_counts
        return min(max(round(self.config.u_to_raw(u) / DEG_PER_COUNT), low), high)

    def u(self, counts: int) -> float:
        """u of a position in counts; outside 0..1 when outside the limits."""
        return self.config.raw_to_u(counts * DEG_PER_COUNT)

    def wanted_eeprom(self) -> list[tuple[Register, int]]:
        """What must stand in EEPROM; written only where it differs, with torque off."""
        low, high = self.limits_counts
        return [
            (reg.RETURN_DELAY, 0),
            (reg.DRIVE_MODE, 0),
            (reg.OPERATING_MODE, _POSITION_MODE),
            (reg.HOMING_OFFSET, 0),
            (reg.TEMPERATURE_LIMIT, 70),
            (reg.MAX_POSITION, high),
            (reg.MIN_POSITION, low),
        ]

    @property
    def profile_velocity(self) -> int:
        """Profile Velocity, counts: above the gate's speed limit, below what the mechanism can't stand."""
        speed_deg_s = self.config.speed_per_s * self.config.travel_deg * _PROFILE_MARGIN
        return max(1, round(speed_deg_s / DEG_S_PER_COUNT))

    def wanted_ram(self) -> list[tuple[Register, int]]:
        """What is written after every start of the servo."""
        return [
            (reg.BUS_WATCHDOG, 0),
            (reg.PROFILE_ACCELERATION, 0),
            (reg.PROFILE_VELOCITY, self.profile_velocity),
        ]

    def info(self) -> DeviceInfo:
        """What answered."""
        firmware = str(self.firmware) if self.firmware else ""
        return DeviceInfo(
            self.name, self.online, self.config.model if self.online else "", firmware, self.problem
        )

"""The control table of the X series that the product uses, as data. One place turns counts into units.

Addresses and units are the maker's (e-manual of XL330-M288, XL330-M077, XM430-W350).
"""

from dataclasses import dataclass
from typing import Final

COUNTS_PER_TURN: Final = 4096
DEG_PER_COUNT: Final = 360.0 / COUNTS_PER_TURN
DEG_S_PER_COUNT: Final = 0.229 * 6.0  # 0.229 rev/min
WATCHDOG_S_PER_COUNT: Final = 0.020
VOLT_PER_COUNT: Final = 0.1
WATCHDOG_TRIPPED: Final = 0xFF  # -1: goals are refused until 0 is written
CURRENT_A_PER_COUNT: Final[dict[str, float]] = {
    "xl330-m288": 0.001, "xl330-m077": 0.001, "xm430-w350": 0.00269,
}  # fmt: skip
MIN_FIRMWARE: Final = 38
"""The first firmware of the X series with a bus watchdog."""


@dataclass(frozen=True)
class Register:
    """One entry of the control table. EEPROM can be written with torque off only."""

    address: int
    size: int
    signed: bool = False
    eeprom: bool = False

    def encode(self, value: int) -> list[int]:
        """Little-endian bytes."""
        return list((value & ((1 << 8 * self.size) - 1)).to_bytes(self.size, "little"))

    def decode(self, data: bytes, start: int = 0) -> int:
        """The value in `data`, a block read from address `start` on."""
        at = self.address - start
        return int.from_bytes(data[at : at + self.size], "little", signed=self.signed)


MODEL_NUMBER: Final = Register(0, 2, eeprom=True)
FIRMWARE: Final = Register(6, 1, eeprom=True)
ID: Final = Register(7, 1, eeprom=True)
BAUD_RATE: Final = Register(8, 1, eeprom=True)
RETURN_DELAY: Final = Register(9, 1, eeprom=True)
DRIVE_MODE: Final = Register(10, 1, eeprom=True)
OPERATING_MODE: Final = Register(11, 1, eeprom=True)
HOMING_OFFSET: Final = Register(20, 4, signed=True, eeprom=True)
TEMPERATURE_LIMIT: Final = Register(31, 1, eeprom=True)
MAX_POSITION: Final = Register(48, 4, eeprom=True)
MIN_POSITION: Final = Register(52, 4, eeprom=True)
TORQUE_ENABLE: Final = Register(64, 1)
LED: Final = Register(65, 1)
STATUS_RETURN: Final = Register(68, 1)
HARDWARE_ERROR: Final = Register(70, 1)
BUS_WATCHDOG: Final = Register(98, 1)
PROFILE_ACCELERATION: Final = Register(108, 4)
PROFILE_VELOCITY: Final = Register(112, 4)
GOAL_POSITION: Final = Register(116, 4, signed=True)
PRESENT_CURRENT: Final = Register(126, 2, signed=True)
PRESENT_VELOCITY: Final = Register(128, 4, signed=True)
PRESENT_POSITION: Final = Register(132, 4, signed=True)
PRESENT_VOLTAGE: Final = Register(144, 2)
PRESENT_TEMPERATURE: Final = Register(146, 1)

EEPROM_BLOCK: Final = (0, 64)
"""(address, size): everything that `connect` verifies."""
HEALTH_BLOCK: Final = (64, 56)
"""(address, size): torque, hardware error, watchdog, goal."""
FEEDBACK_BLOCK: Final = (126, 21)
"""(address, size): current, velocity, position, voltage, temperature."""

HARDWARE_ERRORS: Final[dict[int, str]] = {
    0: "input voltage", 2: "overheating", 3: "encoder", 4: "electrical shock", 5: "overload",
}  # fmt: skip
STATUS_ERRORS: Final[dict[int, str]] = {
    1: "could not process the packet", 2: "unknown instruction", 3: "wrong CRC", 4: "value out of range",
    5: "wrong length", 6: "value beyond a limit of the servo", 7: "register not accessible now",
}  # fmt: skip
ALERT: Final = 0x80
"""Bit of a status packet's error byte: look at the hardware error."""


def hardware_errors(bits: int) -> str:
    """'overload, overheating' for the bits of Hardware Error Status."""
    return ", ".join(text for bit, text in HARDWARE_ERRORS.items() if bits >> bit & 1) or f"code {bits}"

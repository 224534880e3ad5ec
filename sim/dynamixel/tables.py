"""Control tables of the servo models as data (ROBOTIS e-manual: XL330-M288/M077, XM430-W350)."""

from dataclasses import dataclass
from typing import Final

from animaface.robot.servos import SERVO_MODELS


@dataclass(frozen=True, slots=True)
class Item:
    """One entry: unsigned or signed by `low`. EEPROM lies below address 64 and is locked under torque."""

    name: str
    address: int
    size: int
    writable: bool
    default: int
    low: int
    high: int
    indirect_data: bool = False
    """Stands for the item that its indirect address names."""

    @property
    def eeprom(self) -> bool:
        """Kept over a loss of power."""
        return self.address < 64

    def pack(self, value: int) -> bytes:
        """Little-endian, two's complement."""
        return (value & ((1 << 8 * self.size) - 1)).to_bytes(self.size, "little")

    def unpack(self, data: bytes | bytearray) -> int:
        """Signed where the range has negative values."""
        return int.from_bytes(data, "little", signed=self.low < 0)


_S16, _S32 = 1 << 15, 1 << 31

# name, address, size, access, default, low, high
_COMMON: Final = (
    ("model_number", 0, 2, "r", 0, 0, 65535),
    ("model_information", 2, 4, "r", 0, 0, _S32),
    ("firmware_version", 6, 1, "r", 0, 0, 255),
    ("id", 7, 1, "rw", 1, 0, 252),
    ("baud_rate", 8, 1, "rw", 1, 0, 6),
    ("return_delay_time", 9, 1, "rw", 250, 0, 254),
    ("drive_mode", 10, 1, "rw", 0, 0, 13),
    ("operating_mode", 11, 1, "rw", 3, 0, 16),
    ("secondary_id", 12, 1, "rw", 255, 0, 255),
    ("protocol_type", 13, 1, "rw", 2, 2, 22),
    ("homing_offset", 20, 4, "rw", 0, -1_044_479, 1_044_479),
    ("moving_threshold", 24, 4, "rw", 10, 0, 1023),
    ("temperature_limit", 31, 1, "rw", 70, 0, 100),
    ("max_voltage_limit", 32, 2, "rw", 70, 31, 70),
    ("min_voltage_limit", 34, 2, "rw", 35, 31, 70),
    ("pwm_limit", 36, 2, "rw", 885, 0, 885),
    ("current_limit", 38, 2, "rw", 1750, 0, 1750),
    ("velocity_limit", 44, 4, "rw", 445, 0, 2047),
    ("max_position_limit", 48, 4, "rw", 4095, 0, 4095),
    ("min_position_limit", 52, 4, "rw", 0, 0, 4095),
    ("startup_configuration", 60, 1, "rw", 0, 0, 3),
    ("pwm_slope", 62, 1, "rw", 140, 1, 255),
    ("shutdown", 63, 1, "rw", 53, 0, 63),
    ("torque_enable", 64, 1, "rw", 0, 0, 1),
    ("led", 65, 1, "rw", 0, 0, 1),
    ("status_return_level", 68, 1, "rw", 2, 0, 2),
    ("registered_instruction", 69, 1, "r", 0, 0, 1),
    ("hardware_error_status", 70, 1, "r", 0, 0, 255),
    ("velocity_i_gain", 76, 2, "rw", 1600, 0, 16383),
    ("velocity_p_gain", 78, 2, "rw", 180, 0, 16383),
    ("position_d_gain", 80, 2, "rw", 0, 0, 16383),
    ("position_i_gain", 82, 2, "rw", 0, 0, 16383),
    ("position_p_gain", 84, 2, "rw", 400, 0, 16383),
    ("feedforward_2nd_gain", 88, 2, "rw", 0, 0, 16383),
    ("feedforward_1st_gain", 90, 2, "rw", 0, 0, 16383),
    ("bus_watchdog", 98, 1, "rw", 0, -1, 127),
    ("goal_pwm", 100, 2, "rw", 885, -885, 885),
    ("goal_current", 102, 2, "rw", 1750, -1750, 1750),
    ("goal_velocity", 104, 4, "rw", 0, -2047, 2047),
    ("profile_acceleration", 108, 4, "rw", 0, 0, 32767),
    ("profile_velocity", 112, 4, "rw", 0, 0, 32767),
    ("goal_position", 116, 4, "rw", 0, -1_048_575, 1_048_575),
    ("realtime_tick", 120, 2, "r", 0, 0, 32767),
    ("moving", 122, 1, "r", 0, 0, 1),
    ("moving_status", 123, 1, "r", 0, 0, 255),
    ("present_pwm", 124, 2, "r", 0, -_S16, _S16),
    ("present_current", 126, 2, "r", 0, -_S16, _S16),
    ("present_velocity", 128, 4, "r", 0, -_S32, _S32),
    ("present_position", 132, 4, "r", 0, -_S32, _S32),
    ("velocity_trajectory", 136, 4, "r", 0, -_S32, _S32),
    ("position_trajectory", 140, 4, "r", 0, -_S32, _S32),
    ("present_input_voltage", 144, 2, "r", 50, 0, 65535),
    ("present_temperature", 146, 1, "r", 28, 0, 255),
    ("backup_ready", 147, 1, "r", 0, 0, 1),
)

_XM430: Final = (
    ("baud_rate", 8, 1, "rw", 1, 0, 7),
    ("temperature_limit", 31, 1, "rw", 80, 0, 100),
    ("max_voltage_limit", 32, 2, "rw", 160, 95, 160),
    ("min_voltage_limit", 34, 2, "rw", 95, 95, 160),
    ("current_limit", 38, 2, "rw", 1193, 0, 1193),
    ("velocity_limit", 44, 4, "rw", 200, 0, 1023),
    ("shutdown", 63, 1, "rw", 52, 0, 63),
    ("velocity_i_gain", 76, 2, "rw", 1920, 0, 16383),
    ("velocity_p_gain", 78, 2, "rw", 100, 0, 16383),
    ("position_p_gain", 84, 2, "rw", 800, 0, 16383),
    ("goal_current", 102, 2, "rw", 1193, -1193, 1193),
    ("goal_velocity", 104, 4, "rw", 0, -1023, 1023),
    ("present_input_voltage", 144, 2, "r", 120, 0, 65535),
)

BAUD_RATES: Final = (9600, 57_600, 115_200, 1_000_000, 2_000_000, 3_000_000, 4_000_000, 4_500_000)
"""Baud Rate(8) counts into these."""

VELOCITY_UNIT_RAD_S: Final = 0.229 * 2.0 * 3.141592653589793 / 60.0
ACCELERATION_UNIT_RAD_S2: Final = 214.577 * 2.0 * 3.141592653589793 / 3600.0


@dataclass(frozen=True)
class Model:
    """A servo model: its table and what turns counts into SI.

    `indirect`: (first address item, first data byte, how many), for each block.
    """

    name: str
    number: int
    firmware: int
    items: dict[int, Item]
    size: int
    indirect: tuple[tuple[int, int, int], ...]
    current_unit_a: float
    stall_current_a: float
    stall_torque_nm: float
    speed_rad_s: float

    def address(self, name: str) -> int:
        """Address of an item."""
        return next(i.address for i in self.items.values() if i.name == name)


def _table(extra: tuple[tuple[str, int, int, str, int, int, int], ...], drop: set[str]) -> dict[int, Item]:
    rows = {row[0]: row for row in (*_COMMON, *extra) if row[0] not in drop}
    items = (Item(n, a, s, access == "rw", d, lo, hi) for n, a, s, access, d, lo, hi in rows.values())
    return {i.address: i for i in sorted(items, key=lambda i: i.address)}


def _model(
    name: str, firmware: int, stall_current_a: float, current_unit_a: float, items: dict[int, Item], size: int,
    indirect: tuple[tuple[int, int, int], ...],
) -> Model:  # fmt: skip
    sheet = SERVO_MODELS[name]
    table = dict(items)
    for address, value in ((0, sheet.model_number), (6, firmware)):
        i = table[address]
        table[address] = Item(i.name, i.address, i.size, False, value, i.low, i.high)
    for first_address, first_data, n in indirect:
        for k in range(n):
            a, d = first_address + 2 * k, first_data + k
            table[a] = Item(f"indirect_address_{d}", a, 2, True, d, 64, size - 1)
            table[d] = Item(f"indirect_data_{d}", d, 1, True, 0, 0, 255, indirect_data=True)
    return Model(
        name=name, number=sheet.model_number, firmware=firmware, items=table, size=size, indirect=indirect,
        current_unit_a=current_unit_a, stall_current_a=stall_current_a, stall_torque_nm=sheet.torque_nm,
        speed_rad_s=sheet.speed_deg_s * 3.141592653589793 / 180.0,
    )  # fmt: skip


_XL = _table((), set())
_XM = _table(
    (*_XM430, ("acceleration_limit", 40, 4, "rw", 32767, 0, 32767)),
    {"startup_configuration", "pwm_slope", "backup_ready"},
)

MODELS: Final[dict[str, Model]] = {
    m.name: m
    for m in (
        _model("xl330-m288", 52, 1.47, 0.001, _XL, 228, ((168, 208, 20),)),
        _model("xl330-m077", 52, 1.47, 0.001, _XL, 228, ((168, 208, 20),)),
        _model("xm430-w350", 48, 2.3, 0.00269, _XM, 662, ((168, 224, 28), (578, 634, 28))),
    )
}

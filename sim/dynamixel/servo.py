"""One virtual servo: its control table, and what writing and time do to it."""

import math
import struct
from collections.abc import Callable
from typing import Final

from animaface.sim.dynamixel.control_table import (
    ACCESS,
    BAD_INSTRUCTION,
    DATA_LENGTH,
    DATA_LIMIT,
    DATA_RANGE,
    OK,
    RESULT_FAIL,
    ControlTable,
)
from animaface.sim.dynamixel.profile import Profile
from animaface.sim.dynamixel.tables import (
    ACCELERATION_UNIT_RAD_S2,
    BAUD_RATES,
    MODELS,
    VELOCITY_UNIT_RAD_S,
    Item,
)
from animaface.sim.plant import Drive, Plant

VOLTAGE, OVERHEATING, ENCODER, SHOCK, OVERLOAD = 0x01, 0x04, 0x08, 0x10, 0x20
"""Bits of Hardware Error Status(70) and Shutdown(63)."""

_CURRENT_MODE, _VELOCITY_MODE, _POSITION_MODE, _EXTENDED_MODE, _CURRENT_POSITION_MODE, _PWM_MODE = (
    0,
    1,
    3,
    4,
    5,
    16,
)
_GOALS: Final = {100: 36, 102: 38, 104: 44}  # Goal PWM, Current, Velocity -> the item that limits it
_COUNTS_PER_RAD: Final = 4096.0 / (2.0 * math.pi)
_REBOOT_S: Final = 0.25
_DRIVES: Final = frozenset((10, 11, 20, 36, 38, 100, 102, 104))
_AMBIENT_C: Final = 28.0
_HEAT_C_PER_A2: Final = {"xl330-m288": 90.0, "xl330-m077": 90.0, "xm430-w350": 18.0}
_HEAT_TIME_S: Final = 150.0
_OVERLOAD_SHARE: Final = 0.9
_OVERLOAD_S: Final = 2.0
_PRESENT: Final = struct.Struct("<HBBhhiiiiHB")  # items 120 .. 146


class VirtualServo(ControlTable):
    """A servo of `model` with `device` as id, whose shaft is the plant's `name`."""

    def __init__(self, name: str, model: str, device: int, baud: int, plant: Plant) -> None:
        super().__init__(MODELS[model])
        self.name = name
        self.plant = plant
        self.on_address_change: Callable[[], None] = lambda: None
        self.present = True
        """False: not on the bus (cable or servo gone)."""
        self.sensor_frozen = False
        self.blocked_rad: float | None = None
        """Where something holds the shaft, else None."""
        self.ambient_c = _AMBIENT_C
        self._supply_counts = self.model.items[144].default
        self._frozen_rad = 0.0
        self._temperature_c = _AMBIENT_C
        self._overloaded_s = 0.0
        self.awake_s = -math.inf
        """It boots until then."""
        self.profile = Profile()
        self.on = False
        """Torque Enable(64), as a bool at hand."""
        self.watchdog_s = math.inf
        """Bus Watchdog(98) while it counts, else infinite."""
        self._registered: tuple[int, bytes] | None = None
        self._unpack_from_box(device, BAUD_RATES.index(baud) if baud in BAUD_RATES else 3)

    def _unpack_from_box(self, device: int, baud_code: int) -> None:
        """Factory settings but for id and baud rate, which a person has set."""
        self.memory = bytearray(self.model.size)
        for item in self.model.items.values():
            self.put(item.address, item.default)
        self.put(7, device)
        self.put(8, baud_code)
        self._boot(-math.inf)

    # --- what the host writes ---

    def _reload(self) -> None:
        """Work out what goals and drives need from the table; after any write but a goal position's."""
        memory, value = self.memory, self.value
        self.on = memory[64] == 1
        self._mode = memory[11]
        self._reverse = bool(memory[10] & 0x01)
        self._homing = value(20)
        bound = self._mode == _POSITION_MODE
        self._goal_low = value(52) if bound else -1_048_575
        self._goal_high = value(48) if bound else 1_048_575
        self.watchdog_s = memory[98] * 0.020 if self.on and memory[98] not in (0, 0xFF) else math.inf
        model = self.model
        share = min(1.0, value(38) * model.current_unit_a / model.stall_current_a) * abs(value(100)) / 885.0
        if self._mode == _CURRENT_POSITION_MODE:
            share = min(share, abs(value(102)) * model.current_unit_a / model.stall_current_a)
        self._share = share
        self._moving_threshold = value(24)
        self._counts_per_nm = model.stall_current_a / model.current_unit_a / model.stall_torque_nm
        velocity, acceleration = value(112), value(108)
        self._timed_s = (velocity * 1e-3, acceleration * 1e-3) if memory[10] & 0x04 and velocity else None
        if memory[10] & 0x04:
            velocity = acceleration = 0
        self._speed_rad_s = velocity * VELOCITY_UNIT_RAD_S if velocity else math.inf
        self._acceleration_rad_s2 = acceleration * ACCELERATION_UNIT_RAD_S2 if acceleration else math.inf

    def write(self, address: int, data: bytes) -> int:
        """As ControlTable.write, with a short way for what comes a hundred times a second."""
        if address == 116 and len(data) == 4:
            return self._write_position(int.from_bytes(data, "little", signed=True))
        return super().write(address, data)

    def write_item(self, item: Item, value: int) -> int:
        """A value from the host: refused, or kept with what follows from it."""
        address = item.address
        if not item.writable or (item.eeprom and self.on):
            return ACCESS
        if not item.low <= value <= item.high or (address == 98 and value < 0):
            return DATA_RANGE
        if address == 116:
            return self._write_position(value)
        if address in _GOALS:
            if self.memory[98] == 0xFF:
                return DATA_RANGE
            if abs(value) > self.value(_GOALS[address]):
                return DATA_LIMIT
        if address == 64:
            return self._write_torque(value)
        self.put(address, value)
        self._reload()
        if address in (7, 8):
            self.on_address_change()
        elif address in _DRIVES:
            self._apply()
        return OK

    # --- what goals do ---

    def _write_position(self, counts: int) -> int:
        memory = self.memory
        if memory[98] == 0xFF:
            return DATA_RANGE  # Bus Watchdog error: goals are locked until it is cleared
        if not self._goal_low <= counts <= self._goal_high:
            return DATA_LIMIT
        memory[116:120] = counts.to_bytes(4, "little", signed=True)
        if self.on:
            self._start_profile()
            if not self.profile.moving:  # else the next control period tells the motor
                self._apply()
        return OK

    def _write_torque(self, value: int) -> int:
        if value and self.memory[70] & self.memory[63]:
            return RESULT_FAIL  # shut down: only a reboot helps
        if value and not self.on:
            here_rad = self.plant.shaft(self.name).angle_rad
            self.profile.stand(here_rad)
            if not self._goal_low <= self.value(116) <= self._goal_high:
                self.put(116, min(max(self._to_counts(here_rad), self._goal_low), self._goal_high))
            self._start_profile()
        self.memory[64] = value
        self._reload()
        self._apply()
        return OK

    def _start_profile(self) -> None:
        goal_rad = self._to_rad(int.from_bytes(self.memory[116:120], "little", signed=True))
        if self._timed_s is not None:
            self.profile.start_timed(goal_rad, *self._timed_s)
        else:
            self.profile.start(goal_rad, self._speed_rad_s, self._acceleration_rad_s2)

    def _to_rad(self, counts: int) -> float:
        raw = counts - self._homing
        if self._reverse:
            raw = 4096 - raw
        return (raw - 2048) / _COUNTS_PER_RAD

    def _to_counts(self, angle_rad: float) -> int:
        raw = 2048 + round(angle_rad * _COUNTS_PER_RAD)
        if self._reverse:
            raw = 4096 - raw
        return raw + self._homing

    def _apply(self) -> None:
        """Tell the motor."""
        if self.blocked_rad is not None:
            self.plant.set_drive(self.name, Drive(self.blocked_rad))
        elif self.on and self.present and self._mode not in (_CURRENT_MODE, _PWM_MODE):
            self.plant.set_drive(self.name, Drive(self.profile.position_rad, torque_share=self._share))
        else:
            self.plant.set_drive(self.name, Drive())

    # --- what time does ---

    @property
    def busy(self) -> bool:
        """Needs `advance` every control period."""
        return self.on and (self.profile.moving or self._mode == _VELOCITY_MODE)

    def advance(self, dt_s: float) -> None:
        """One control period of the trajectory generator."""
        if self._mode == _VELOCITY_MODE:
            sign = -1.0 if self._reverse else 1.0
            step = sign * self.value(104) * VELOCITY_UNIT_RAD_S * dt_s
            self.profile.stand(self.profile.position_rad + step)
        else:
            self.profile.advance(dt_s)
        self._apply()

    def lose_host(self) -> None:
        """The bus watchdog bites: stand still under torque, goals locked until 0 is written to it."""
        self.memory[98] = 0xFF
        if self._mode == _VELOCITY_MODE:
            self.put(104, 0)
        self.profile.stand(self.plant.shaft(self.name).angle_rad)
        self._reload()
        self._apply()

    def watch(self, dt_s: float) -> None:
        """Temperature, overload, voltage; call every tenth of a simulated second or so, `dt_s` after the last time."""
        current_a = self._current_a()
        settled = self.ambient_c + _HEAT_C_PER_A2[self.model.name] * current_a * current_a
        self._temperature_c += (settled - self._temperature_c) * -math.expm1(-dt_s / _HEAT_TIME_S)
        overloaded = self.on and abs(current_a) > _OVERLOAD_SHARE * self.model.stall_current_a
        self._overloaded_s = self._overloaded_s + dt_s if overloaded else 0.0
        if self._temperature_c > self.memory[31]:
            self.fail(OVERHEATING)
        if self._overloaded_s > _OVERLOAD_S:
            self.fail(OVERLOAD)
        if not self.value(34) <= self._supply_counts <= self.value(32):
            self.fail(VOLTAGE)

    def fail(self, bits: int) -> None:
        """A hardware error; where Shutdown(63) names it the torque goes off until a reboot."""
        self.memory[70] |= bits
        if self.memory[70] & self.memory[63] and self.memory[64]:
            self.memory[64] = 0
            self._reload()
            self._apply()

    def set_temperature(self, temperature_c: float) -> None:
        """Fault injection: be that hot now."""
        self._temperature_c = temperature_c

    def set_supply(self, supply_v: float | None) -> None:
        """Fault injection: a sagging or rising supply; None: what this model is made for."""
        usual = self.model.items[144].default
        self._supply_counts = usual if supply_v is None else round(supply_v * 10.0)

    def freeze_sensor(self, frozen: bool) -> None:
        """Fault injection: the position sensor keeps telling the present angle."""
        self._frozen_rad = self.plant.shaft(self.name).angle_rad
        self.sensor_frozen = frozen

    def block(self, blocked: bool) -> None:
        """Fault injection: something holds the shaft where it is; the motor strains against it."""
        self.blocked_rad = self.plant.shaft(self.name).angle_rad if blocked else None
        self._apply()

    def _torque_nm(self) -> float:
        if not self.on:
            return 0.0
        if self.blocked_rad is not None:
            wanted_rad = self.profile.position_rad - self.blocked_rad
            strains = abs(wanted_rad) > 2.0 / _COUNTS_PER_RAD
            return math.copysign(self._share * self.model.stall_torque_nm, wanted_rad) if strains else 0.0
        return self.plant.shaft(self.name).torque_nm

    def _current_a(self) -> float:
        return self._torque_nm() / self.model.stall_torque_nm * self.model.stall_current_a

    def refresh(self, now_s: float) -> None:
        """Bring the items Realtime Tick(120) .. Present Temperature(146) up to date."""
        shaft, profile = self.plant.shaft(self.name), self.profile
        angle = self._frozen_rad if self.sensor_frozen else shaft.angle_rad
        sign = -1.0 if self._reverse else 1.0
        velocity = round(sign * shaft.velocity_rad_s / VELOCITY_UNIT_RAD_S)
        current = round(sign * self._torque_nm() * self._counts_per_nm)
        status = 0x02 if profile.moving else 0x01
        _PRESENT.pack_into(
            self.memory, 120,
            int(now_s * 1000.0) % 32768, int(abs(velocity) > self._moving_threshold), status, 0,
            max(-32768, min(32767, current)), velocity, self._to_counts(angle),
            round(sign * profile.velocity_rad_s / VELOCITY_UNIT_RAD_S), self._to_counts(profile.position_rad),
            self._supply_counts, max(0, min(255, round(self._temperature_c))),
        )  # fmt: skip

    # --- registered writes, reboot, reset ---

    def register(self, address: int, data: bytes) -> int:
        """Reg Write: keep for Action."""
        if not data or address + len(data) > self.model.size:
            return DATA_LENGTH if not data else ACCESS
        self._registered = (address, data)
        self.memory[69] = 1
        return OK

    def action(self) -> int:
        """Carry the registered write out."""
        if self._registered is None:
            return BAD_INSTRUCTION
        address, data = self._registered
        self._registered = None
        self.memory[69] = 0
        return self.write(address, data)

    def _boot(self, awake_s: float) -> None:
        for item in self.model.items.values():
            if not item.eeprom:
                self.put(item.address, item.default)
        self.put(100, self.value(36))
        self.put(102, self.value(38))
        self._registered = None
        self.awake_s = awake_s
        self._overloaded_s = 0.0
        self._reload()
        self.profile.stand(self.plant.shaft(self.name).angle_rad)
        self.put(116, self._to_counts(self.profile.position_rad))
        self._apply()

    def reboot(self, now_s: float) -> None:
        """RAM to its defaults, torque off, hardware errors forgotten; deaf for a quarter of a second."""
        self._boot(now_s + _REBOOT_S)

    def factory_reset(self, option: int, now_s: float) -> int:
        """0xFF all, 1 all but the id, 2 all but id and baud rate."""
        if option not in (0xFF, 1, 2):
            return DATA_RANGE
        for item in self.model.items.values():
            if (
                item.eeprom
                and not (item.address == 7 and option != 0xFF)
                and not (item.address == 8 and option == 2)
            ):
                self.put(item.address, item.default)
        self.reboot(now_s)
        self.on_address_change()
        return OK

    def become(self, model: str) -> None:
        """Fault injection: a servo of another model, fresh from the box, under the same id."""
        device, baud_code = self.device, self.memory[8]
        self.model = MODELS[model]
        self._unpack_from_box(device, baud_code)
        self.on_address_change()

    def vanish(self, gone: bool) -> None:
        """Fault injection: off the bus and without power, or back (booting)."""
        self.present = not gone
        if gone:
            self.memory[64] = 0
            self._reload()
            self._apply()
        else:
            self._boot(-math.inf)
        self.on_address_change()

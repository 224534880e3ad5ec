"""The virtual servo board on its line: the firmware's core, its PWM outputs wired to the plant's shafts."""

from collections.abc import Sequence
from typing import Final

import numpy as np

from animaface.robot.config import ActuatorConfig
from animaface.sim.boardcore import BoardCore
from animaface.sim.plant import Drive, Plant
from animaface.sim.shafts import rad_per_raw, raw_middle
from animaface.sim.wire import Wire

N_CHANNELS: Final = 60
"""As an Arduino Mega: 12 of its own and 48 of three PCA9685."""
_REPLY_DELAY_S: Final = 0.0003  # the main loop's rhythm and the parsing, as measured on an emulated Mega


class VirtualBoard:
    """A servo board with hobby servos (robot.transport.BytePeer)."""

    _hung_until_s = -1.0

    def __init__(
        self, wire: Wire, board_id: int, actuators: Sequence[ActuatorConfig], plant: Plant, *, boot_id: int = 1, now_s: float = 0.0
    ) -> None:  # fmt: skip
        self.wire = wire
        self.next_output_s = wire.next_output_s
        self.fetch = wire.fetch
        self.board_id = board_id
        self.plant = plant
        self.actuators = tuple(actuators)
        self.gone: set[str] = set()
        """Servos whose plug is out."""
        self.blocked: dict[str, float] = {}
        """Servos whose shaft something holds, and where."""
        self._channels = np.array([a.channel for a in self.actuators], np.intp)
        self._middle_us = [raw_middle(a) for a in self.actuators]
        self._rad_per_us = [rad_per_raw(a) for a in self.actuators]
        self._boot_id = boot_id
        self._baud = wire.baud
        self._start_us = 0
        self.core = BoardCore(board_id, N_CHANNELS, boot_id=boot_id)
        self._supply_mv: int | None = None
        self._origin_s = now_s
        self._seen = np.zeros(len(self.actuators), np.uint16)
        self._push(self._seen)

    def _us(self, now_s: float) -> int:
        return int((now_s - self._origin_s) * 1e6 + 0.5)

    # --- BytePeer ---

    def receive(self, data: bytes, at_s: float) -> None:
        """Bytes from the host whose last bit should be through at `at_s`."""
        self.wire.check()
        at_s = self.wire.arrives_s(at_s, len(data))
        if self.wire.byte_faults is not None:
            data = self.wire.spoil(data)
        if self._hung_until_s > 0.0 or self.wire.baud != self._baud:
            return  # at another speed it hears framing errors only
        self.core.advance(self._us(at_s))
        if reply := self.core.exchange(data):
            self.wire.say(reply, at_s + _REPLY_DELAY_S)

    # --- time ---

    def advance(self, now_s: float, dt_s: float) -> None:
        """One control period: run the firmware, hand new pulse widths to the servos."""
        del dt_s
        if self._hung_until_s > 0.0:
            if now_s < self._hung_until_s:
                return
            self.reset(now_s)
        if self._supply_mv is not None:
            self.core.set_supply(self._supply_mv, 0)
        self.core.advance(self._us(now_s))
        pulses = self.core.update_pulses()[self._channels]
        if not np.array_equal(pulses, self._seen):
            self._push(pulses)

    def _push(self, pulses: np.ndarray[tuple[int], np.dtype[np.uint16]]) -> None:
        for k, actuator in enumerate(self.actuators):
            pulse = int(pulses[k])
            off = pulse == 0 or actuator.name in self.gone
            goal = None if off else (pulse - self._middle_us[k]) * self._rad_per_us[k]
            if actuator.name in self.blocked:
                goal = self.blocked[actuator.name]
            if pulse != self._seen[k] or off or actuator.name in self.blocked:
                self.plant.set_drive(actuator.name, Drive(goal))
        self._seen = pulses

    def postpone(self, by_s: float) -> None:
        """Time that the simulation left out does not pass for the board."""
        self._origin_s += by_s
        if self._hung_until_s > 0.0:
            self._hung_until_s += by_s

    # --- faults ---

    def reset(self, now_s: float, cause: int = 4) -> None:
        """The board restarts: outputs low, pose remembered as in EEPROM, another boot id."""
        remembered = self.core.update_pulses().copy()
        self.core.close()
        self._boot_id += 1
        self._hung_until_s = -1.0
        self._origin_s = now_s
        self.core = BoardCore(self.board_id, N_CHANNELS, boot_id=self._boot_id, reset_cause=cause)
        for channel, pulse in enumerate(remembered):
            if pulse:
                self.core.restore_pulse(channel, int(pulse))
        self._push(np.zeros(len(self.actuators), np.uint16))

    def hang(self, now_s: float, watchdog_s: float = 0.25) -> None:
        """The main loop stands still: pulses go on as they are until the hardware watchdog resets."""
        self._hung_until_s = now_s + watchdog_s

    def set_supply(self, volts: float) -> None:
        """What the board's input sees of the servos' supply, from now on in every turn of its main loop."""
        self._supply_mv = round(volts * 1000.0)
        self.core.set_supply(self._supply_mv, 0)

    def vanish(self, name: str, gone: bool) -> None:
        """Pull a servo's plug, or put it back."""
        (self.gone.add if gone else self.gone.discard)(name)
        self._refresh()

    def block(self, name: str, blocked: bool) -> None:
        """Something holds a shaft where it is; a hobby servo can't tell."""
        self.blocked.pop(name, None)
        if blocked:
            self.blocked[name] = self.plant.shaft(name).angle_rad
        self._refresh()

    def _refresh(self) -> None:
        self._seen = np.zeros_like(self._seen)
        self._push(self.core.update_pulses()[self._channels])

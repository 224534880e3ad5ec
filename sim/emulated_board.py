"""The servo board as its real binary: a drop-in for VirtualBoard that runs the Mega image on simavr.

The servos of the plant follow the pulses measured at the emulated pins, frames and PCA9685 included.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np

from animaface.robot.config import ActuatorConfig
from animaface.sim.board import VirtualBoard
from animaface.sim.emulator import SENSORS, Emulator, eeprom_image
from animaface.sim.plant import Drive, Plant
from animaface.sim.shafts import rad_per_raw, raw_middle
from animaface.sim.wire import BITS_PER_BYTE, Wire

_BOOT_US: Final = 200_000
"""The board was powered that long before anybody speaks to it: it boots in some 60 ms."""
_LOOK_AHEAD_US: Final = 8_000
_SLICE_US: Final = 20.0
_SUPPLY_MV: Final = 6000
_BAUD: Final = 1_000_000
_PWM_CHANNELS: Final = 12
_CHIP_CHANNELS: Final = 16


class EmulatedBoard(VirtualBoard):
    """A Mega 2560 with the shipped firmware, its line, its pins (robot.transport.BytePeer).

    While a reply is under way the CPU runs ahead of the world, at most until that reply is through: nobody can
    act on it before. Its line runs at 1 Mbaud.
    """

    core: Emulator  # type: ignore[assignment]  # the same calls as far as VirtualBoard makes them

    def __init__(
        self, wire: Wire, board_id: int, actuators: Sequence[ActuatorConfig], plant: Plant, *, boot_id: int = 1, now_s: float = 0.0
    ) -> None:  # fmt: skip
        del boot_id  # the board counts its own
        self.wire = wire
        self.board_id = board_id
        self.plant = plant
        self.actuators = tuple(actuators)
        self.gone = set()
        self.blocked = {}
        self._channels = np.array([a.channel for a in self.actuators], np.intp)
        self._middle_us = [raw_middle(a) for a in self.actuators]
        self._rad_per_us = [rad_per_raw(a) for a in self.actuators]
        highest = int(self._channels.max(initial=0))
        chips = 0 if highest < _PWM_CHANNELS else (highest - _PWM_CHANNELS) // _CHIP_CHANNELS + 1
        self.core = Emulator(eeprom=eeprom_image({"board_id": board_id, **SENSORS}), chips=chips)
        self.core.set_supply(_SUPPLY_MV, 0)
        self.core.advance(_BOOT_US)
        self._origin_s = now_s - _BOOT_US * 1e-6
        self._reply = b""
        self._asked_us = 0.0
        self._seen_us = np.zeros(len(self.actuators))
        self._push_widths(self._seen_us)

    def _at_us(self, now_s: float) -> float:
        return (now_s - self._origin_s) * 1e6

    # --- BytePeer ---

    def receive(self, data: bytes, at_s: float) -> None:
        """Bytes from the host whose last bit should be through at `at_s`."""
        self.wire.check()
        at_s = self.wire.arrives_s(at_s, len(data))
        if self.wire.byte_faults is not None:
            data = self.wire.spoil(data)
        if self.wire.baud != _BAUD:
            return  # at another speed it hears framing errors only
        self.core.receive(data, self._at_us(at_s))
        self._asked_us = self._at_us(at_s)

    def next_output_s(self) -> float | None:
        """When the next reply is through; runs the CPU until it is known."""
        due_s = self.wire.next_output_s()
        while due_s is None and self.core.now_us < self._asked_us + _LOOK_AHEAD_US:
            self.core.advance(self.core.now_us + _SLICE_US)
            self._collect()
            due_s = self.wire.next_output_s()
        return due_s

    def fetch(self, size: int, until_s: float) -> bytes:
        """Bytes through by `until_s`."""
        self.core.advance(self._at_us(until_s))
        self._collect()
        return self.wire.fetch(size, until_s)

    def _collect(self) -> None:
        """Bytes from the board, as frames, onto the wire: an USB adapter hands a reply over whole."""
        while (out_us := self.core.next_output_us()) is not None:
            byte = self.core.fetch(1, out_us)
            self._reply += byte
            if byte == b"\0":
                size_s = len(self._reply) * BITS_PER_BYTE / self.wire.baud
                self.wire.say(self._reply, self._origin_s + out_us * 1e-6 - size_s)
                self._reply = b""
                self._asked_us = min(self._asked_us, self.core.now_us - _LOOK_AHEAD_US)

    # --- time ---

    def advance(self, now_s: float, dt_s: float) -> None:
        """One control period: run the CPU, hand new pulse widths to the servos."""
        del dt_s
        self.core.advance(self._at_us(now_s))
        self._collect()
        self._push_widths(self.core.update_widths()[self._channels])

    def _push_widths(self, widths_us: np.ndarray[tuple[int], np.dtype[np.float64]]) -> None:
        for k, actuator in enumerate(self.actuators):
            width_us = 0.0 if actuator.name in self.gone else float(widths_us[k])
            if width_us != self._seen_us[k] or width_us == 0.0:
                goal = (width_us - self._middle_us[k]) * self._rad_per_us[k] if width_us else None
                goal = self.blocked.get(actuator.name, goal)
                self.plant.set_drive(actuator.name, Drive(goal))
            self._seen_us[k] = width_us

    # --- faults ---

    def reset(self, now_s: float, cause: int = 4) -> None:
        """The reset pin: outputs low, pose as in EEPROM, another boot id."""
        del cause
        self.core.advance(self._at_us(now_s))
        self.core.reset()

    def hang(self, now_s: float, watchdog_s: float = 0.25) -> None:
        """The main loop stands still until the hardware watchdog of the emulated chip resets it."""
        del watchdog_s
        self.core.advance(self._at_us(now_s))
        self.core.hang()

    def _refresh(self) -> None:
        self._seen_us[:] = -1.0
        self._push_widths(self.core.update_widths()[self._channels])

"""The servo board's firmware core, compiled for this machine, behind ctypes."""

import ctypes
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.errors import MissingDependencyError
from animaface.sim.native import NativeHandle, Signatures, declare

MAX_REPLY = 512


@cache
def load_core() -> ctypes.CDLL:
    """The library beside this file.

    Raises MissingDependencyError where it was never built.
    """
    folder = Path(__file__).parent
    found = sorted((*folder.glob("_boardcore*.so"), *folder.glob("_boardcore*.pyd")))
    if not found:
        raise MissingDependencyError(
            f"The virtual servo board needs the compiled firmware core `_boardcore*.so` in {folder}; it is not there",
            next_step="pip install -e .   (needs a C compiler: apt-get install gcc libc6-dev)",
        )
    try:
        library = ctypes.CDLL(str(found[0]))
    except OSError as e:
        raise MissingDependencyError(
            f"The compiled firmware core {found[0].name} does not load here: {e}",
            next_step="pip install -e .   builds it for this machine",
        ) from e
    _declare(library)
    return library


def _declare(library: ctypes.CDLL) -> None:
    pointer, u8, u16, u32, u64 = (
        ctypes.c_void_p, ctypes.c_uint8, ctypes.c_uint16, ctypes.c_uint32, ctypes.c_uint64,
    )  # fmt: skip
    signatures: Signatures = {
        "boardsim_new": (pointer, [u8, u8, u32, u8, u64]),
        "boardsim_free": (None, [pointer]),
        "boardsim_advance": (None, [pointer, u64]),
        "boardsim_receive": (None, [pointer, ctypes.c_char_p, u32]),
        "boardsim_send": (u32, [pointer, ctypes.c_char_p, u32]),
        "boardsim_pulses": (None, [pointer, pointer]),
        "boardsim_restore": (None, [pointer, u8, u16]),
        "boardsim_estop": (None, [pointer, u8]),
        "boardsim_supply": (None, [pointer, u16, u16]),
        "boardsim_oscillator": (None, [pointer, u8, u16]),
        "boardsim_state": (u8, [pointer]),
        "boardsim_size": (u32, []),
    }
    declare(library, signatures)


class BoardCore(NativeHandle):
    """One board: time and bytes in, pulses and bytes out."""

    def __init__(
        self, board_id: int, n_channels: int, *, boot_id: int = 1, reset_cause: int = 1, now_us: int = 0
    ) -> None:
        self._core = load_core()
        handle = self._core.boardsim_new(board_id, n_channels, boot_id, reset_cause, now_us)
        if not handle:
            raise MemoryError("no memory for a virtual servo board")
        super().__init__(handle, self._core.boardsim_free)
        self.pulses_us: NDArray[np.uint16] = np.zeros(n_channels, np.uint16)
        """[n_channels] widths that the PWM timers put out now, us; 0: a true low. See `update_pulses`."""
        self._pulses_at = self.pulses_us.ctypes.data
        self._out = ctypes.create_string_buffer(MAX_REPLY)

    def advance(self, now_us: int) -> None:
        """Run the main loop until `now_us`."""
        self._core.boardsim_advance(self._handle, now_us)

    def exchange(self, data: bytes) -> bytes:
        """Give bytes from the line; returns the board's answer, b"" when it has none."""
        self._core.boardsim_receive(self._handle, data, len(data))
        out = b""
        while size := self._core.boardsim_send(self._handle, self._out, MAX_REPLY):
            out += self._out.raw[:size]
        return out

    def update_pulses(self) -> NDArray[np.uint16]:
        """Refresh and return `pulses_us`."""
        self._core.boardsim_pulses(self._handle, self._pulses_at)
        return self.pulses_us

    def restore_pulse(self, channel: int, pulse_us: int) -> None:
        """What the board's EEPROM remembers of a channel's last pose."""
        self._core.boardsim_restore(self._handle, channel, pulse_us)

    def set_estop(self, opened: bool) -> None:
        """The emergency stop's contact."""
        self._core.boardsim_estop(self._handle, int(opened))

    def set_supply(self, supply_mv: int, current_ma: int) -> None:
        """What the board's analogue inputs see."""
        self._core.boardsim_supply(self._handle, supply_mv, current_ma)

    def set_oscillator(self, chip: int, oscillator_hz: float) -> None:
        """The true oscillator of the PCA9685 behind channels 12 + 16 x chip and on (25 MHz, off by some percent)."""
        self._core.boardsim_oscillator(self._handle, chip, round(oscillator_hz / 2500.0))

    @property
    def state(self) -> int:
        """0 disarmed, 1 armed, 2 tripped."""
        return int(self._core.boardsim_state(self._handle))

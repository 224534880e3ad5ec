"""The Mega board's binary on simavr, behind ctypes: virtual time, bytes on its line, pulses at its pins.

simavr and the shim around it (firmware/emulator) are tools of development and of `simulate --firmware`;
the package does not carry them.
"""

import binascii
import ctypes
import os
import struct
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.errors import InputError, MissingDependencyError
from animaface.sim.native import NativeHandle, Signatures, declare

CPU_HZ: Final = 16_000_000
CYCLES_PER_US: Final = 16
N_CHANNELS: Final = 60
EEPROM_SIZE: Final = 4096
OSCILLATOR_HZ: Final = 25e6
SILENT_US: Final = 60_000
"""No pulse for so long: the servo is free."""
PULSE: Final = np.dtype([("rise", "<u8"), ("width", "<u4"), ("channel", "<u4")])
"""One pulse as measured at its pin: CPU cycles."""
_FIRMWARE = Path(__file__).resolve().parents[1] / "firmware"
_FETCH = 4096
_DONE, _CRASHED = 6, 7  # simavr's cpu states
_SETUP_NAMES: Final = (
    "board_id", "oscillator_0", "oscillator_1", "oscillator_2", "current_zero_mv", "current_uv_per_ma",
    "voltage_permille", "supply_min_mv", "current_max_ma",
)  # fmt: skip
_SETUP_DEFAULTS: Final = (1, 10_000, 10_000, 10_000, 0, 0, 0, 0, 0)


SENSORS: Final = {"current_zero_mv": 600, "current_uv_per_ma": 60, "voltage_permille": 3000}
"""Setup for the sensors of docs/wiring.md, as `Emulator.set_supply` plays them."""


def shim_path() -> Path:
    """Where the shim is looked for: ANIMAFACE_EMULATOR, else beside the firmware's sources."""
    return Path(os.environ.get("ANIMAFACE_EMULATOR", _FIRMWARE / "build" / "libemulator.so"))


def image_path() -> Path:
    """The image that the package carries: what `animaface flash mega` puts on a board."""
    return _FIRMWARE / "prebuilt" / "mega.hex"


@cache
def load_shim() -> ctypes.CDLL:
    """The library.

    Raises MissingDependencyError where it was not built.
    """
    path = shim_path()
    try:
        library = ctypes.CDLL(str(path))
    except OSError as e:
        raise MissingDependencyError(
            f"The firmware's emulator {path.name} is not there or does not load ({e})",
            next_step="apt-get install libsimavr-dev libelf-dev gcc && make -C firmware emulator",
        ) from e
    _declare(library)
    return library


def _declare(library: ctypes.CDLL) -> None:
    pointer, chars, real, whole = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_double, ctypes.c_int
    u8, u32, u64 = ctypes.c_uint8, ctypes.c_uint32, ctypes.c_uint64
    signatures: Signatures = {
        "emu_new": (pointer, [chars, u32, chars, u32, u32]),
        "emu_free": (None, [pointer]),
        "emu_run": (None, [pointer, u64]),
        "emu_cycle": (u64, [pointer]),
        "emu_state": (whole, [pointer]),
        "emu_receive": (u32, [pointer, chars, u32, u64]),
        "emu_next_output": (u64, [pointer]),
        "emu_fetch": (u32, [pointer, chars, u32, u64]),
        "emu_estop": (None, [pointer, whole]),
        "emu_supply": (whole, [pointer, pointer]),
        "emu_analogue": (None, [pointer, u32, u32]),
        "emu_chip": (None, [pointer, u32, whole, real]),
        "emu_chip_sag": (None, [pointer, u32]),
        "emu_chip_register": (u8, [pointer, u32, u8]),
        "emu_hang": (whole, [pointer]),
        "emu_reset": (None, [pointer]),
        "emu_resets": (u32, [pointer]),
        "emu_late_reads": (u32, [pointer]),
        "emu_eeprom": (None, [pointer, chars, u32]),
        "emu_widths": (None, [pointer, pointer, pointer]),
        "emu_pulses": (u32, [pointer, pointer, u32]),
    }
    declare(library, signatures)


def read_hex(path: Path) -> bytes:
    """Flash contents of an Intel HEX file, from address 0, gaps 0xFF.

    Raises InputError for anything that is not one.
    """
    flash = bytearray()
    base = 0
    try:
        for line in path.read_text("ascii").split():
            record = bytes.fromhex(line[1:])
            if line[0] != ":" or sum(record) & 0xFF or len(record) != record[0] + 5:
                raise ValueError("broken record")
            address, kind, data = struct.unpack(">HB", record[1:4])[0], record[3], record[4:-1]
            if kind == 0:
                end = base + address + len(data)
                flash.extend(b"\xff" * (end - len(flash)))
                flash[base + address : end] = data
            elif kind in (2, 4):
                base = int.from_bytes(data, "big") << (4 if kind == 2 else 16)
        if not flash:
            raise ValueError("nothing in it")
    except (OSError, ValueError, UnicodeDecodeError, IndexError) as e:
        raise InputError(
            f"{path}: no Intel HEX image of the firmware ({e})", next_step="make -C firmware mega"
        ) from e
    return bytes(flash)


def eeprom_image(
    setup: Mapping[str, int] | None = None, poses_us: Mapping[int, int] | None = None, count: int = 1
) -> bytes:
    """A board's memory with one record: setup by name (others default) and last pulses by channel, us."""
    values = [int((setup or {}).get(n, d)) for n, d in zip(_SETUP_NAMES, _SETUP_DEFAULTS, strict=True)]
    poses = [int((poses_us or {}).get(c, 0)) for c in range(N_CHANNELS)]
    body = struct.pack(f"<I{len(values)}H{N_CHANNELS}H", count, *values, *poses)
    record = body + struct.pack("<H", binascii.crc_hqx(body, 0xFFFF))
    return (b"\xff" * 16 + record).ljust(EEPROM_SIZE, b"\xff")


class Emulator(NativeHandle):
    """One powered board; `close` takes the power away. Time is us since power-on and moves only in `advance`."""

    def __init__(
        self, image: Path | None = None, *, eeprom: bytes | None = None, chips: int = 3, n_channels: int = N_CHANNELS
    ) -> None:  # fmt: skip
        """`chips`: how many PCA9685 there are, 0..3; `eeprom`: the board's memory, else a fresh one."""
        self._shim = load_shim()
        flash = read_hex(image or image_path())
        memory = (eeprom or b"").ljust(EEPROM_SIZE, b"\xff")
        handle = self._shim.emu_new(flash, len(flash), memory, EEPROM_SIZE, (1 << chips) - 1)
        if not handle:
            raise InputError("simavr does not take this image", next_step="make -C firmware mega")
        super().__init__(handle, self._shim.emu_free)
        self._out = ctypes.create_string_buffer(_FETCH)
        self._widths_us = np.zeros(N_CHANNELS)
        self._seen = np.zeros(N_CHANNELS, np.uint64)
        self.pulses_us: NDArray[np.uint16] = np.zeros(n_channels, np.uint16)
        """[n_channels] widths at the pins, nearest us, 0: low; see `update_pulses`."""

    # --- time and bytes

    @property
    def cycle(self) -> int:
        """CPU cycles since power-on."""
        return int(self._shim.emu_cycle(self._handle))

    @property
    def now_us(self) -> float:
        """Time since power-on."""
        return self.cycle / CYCLES_PER_US

    def advance(self, now_us: float) -> None:
        """Run the CPU until `now_us`; earlier than now: nothing."""
        self._shim.emu_run(self._handle, max(0, round(now_us * CYCLES_PER_US)))

    def receive(self, data: bytes, at_us: float) -> None:
        """Bytes of 1 Mbaud for the board, the last bit of which arrives at `at_us`."""
        self._shim.emu_receive(self._handle, data, len(data), max(0, round(at_us * CYCLES_PER_US)))

    def next_output_us(self) -> float | None:
        """When the next byte from the board that is already on its way is through."""
        cycle = self._shim.emu_next_output(self._handle)
        return cycle / CYCLES_PER_US if cycle else None

    def fetch(self, size: int, until_us: float) -> bytes:
        """Up to `size` bytes from the board that are through by `until_us`."""
        out = b""
        until = max(0, int(until_us * CYCLES_PER_US + 1e-6))
        while len(out) < size:
            n = self._shim.emu_fetch(self._handle, self._out, min(_FETCH, size - len(out)), until)
            if n == 0:
                break
            out += self._out.raw[:n]
        return out

    # --- the pins

    def update_widths(self) -> NDArray[np.float64]:
        """[60] newest pulse of every channel, us; 0 where there was none for 60 ms."""
        self._shim.emu_widths(self._handle, self._widths_us.ctypes.data, self._seen.ctypes.data)
        now, silent = self.cycle, SILENT_US * CYCLES_PER_US
        return np.where((self._seen + np.uint64(silent) > now) & (self._seen > 0), self._widths_us, 0.0)

    def update_pulses(self) -> NDArray[np.uint16]:
        """Refresh and return `pulses_us`."""
        self.pulses_us[:] = np.rint(self.update_widths()[: self.pulses_us.size])
        return self.pulses_us

    def take_pulses(self) -> NDArray[np.void]:
        """[n] every pulse since the last call (65,536 at most), of PULSE, as they ended."""
        out = np.zeros(65536, PULSE)
        return out[: self._shim.emu_pulses(self._handle, out.ctypes.data, out.size)]

    def set_estop(self, opened: bool) -> None:
        """The emergency stop's contact."""
        self._shim.emu_estop(self._handle, int(opened))

    @property
    def supply(self) -> tuple[bool, float]:
        """The servo supply's enable output, and when it last changed, us."""
        changed = ctypes.c_uint64(0)
        on = self._shim.emu_supply(self._handle, ctypes.byref(changed))
        return bool(on), changed.value / CYCLES_PER_US

    def set_analogue(self, current_mv: int, voltage_mv: int) -> None:
        """Voltages at the inputs A0 (supply current) and A1 (supply voltage)."""
        self._shim.emu_analogue(self._handle, 0, current_mv)
        self._shim.emu_analogue(self._handle, 1, voltage_mv)

    def set_supply(self, supply_mv: int, current_ma: int) -> None:
        """The servo supply, seen through the sensors of docs/wiring.md."""
        zero_mv, per_ma_uv = SENSORS["current_zero_mv"], SENSORS["current_uv_per_ma"]
        self.set_analogue(
            zero_mv + current_ma * per_ma_uv // 1000, supply_mv * 1000 // SENSORS["voltage_permille"]
        )

    def set_chip(self, chip: int, *, present: bool = True, oscillator_hz: float = OSCILLATOR_HZ) -> None:
        """Plug or pull a PCA9685, or let its oscillator be off."""
        self._shim.emu_chip(self._handle, chip, int(present), oscillator_hz)

    def sag_chip(self, chip: int) -> None:
        """Its supply dipped: registers as after power-on."""
        self._shim.emu_chip_sag(self._handle, chip)

    def chip_register(self, chip: int, number: int) -> int:
        """A register of a PCA9685."""
        return int(self._shim.emu_chip_register(self._handle, chip, number))

    # --- what goes wrong with the CPU

    def hang(self) -> None:
        """The main loop stands still; interrupts go on."""
        if not self._shim.emu_hang(self._handle):
            raise InputError("this image holds no endless loop to jump to")

    def reset(self) -> None:
        """The reset pin."""
        self._shim.emu_reset(self._handle)

    @property
    def resets(self) -> int:
        """How often the CPU was reset since power-on."""
        return int(self._shim.emu_resets(self._handle))

    @property
    def late_reads(self) -> int:
        """Bytes that the chip's receiver (two deep) would have lost because its interrupt came too late."""
        return int(self._shim.emu_late_reads(self._handle))

    @property
    def crashed(self) -> bool:
        """The CPU came to an invalid instruction or address."""
        return int(self._shim.emu_state(self._handle)) in (_DONE, _CRASHED)

    def eeprom(self) -> bytes:
        """The board's memory, to give to the next power-on."""
        out = ctypes.create_string_buffer(EEPROM_SIZE)
        self._shim.emu_eeprom(self._handle, out, EEPROM_SIZE)
        return out.raw

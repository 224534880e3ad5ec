"""Serial ports as the system knows them: USB identity, rights, latency timer, and who holds one."""

import contextlib
import grp
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from serial.tools import list_ports

BEST_LATENCY_MS: Final = 1
_RULE: Final = 'ACTION=="add", SUBSYSTEM=="usb-serial", DRIVER=="ftdi_sio", ATTR{latency_timer}="1"'
MEND_LATENCY: Final = (
    f"echo '{_RULE}' | sudo tee /etc/udev/rules.d/99-animaface.rules && sudo udevadm control --reload"
    " && sudo udevadm trigger --action=add --subsystem-match=usb-serial"
)
"""The command that sets the latency timer to 1 ms, now and at every plugging in."""
_BOOT_LOADERS: Final = (0x2341, 0x2A03, 0x1A86, 0x10C4, 0x2E8A, 0x16C0)
"""Vendors of boards (and of their USB chips) that restart when their port is opened."""


@dataclass(frozen=True)
class SerialPort:
    """One port. `vid` None: a path without USB identity, such as a pseudo-terminal."""

    path: str
    vid: int | None = None
    pid: int | None = None
    serial_number: str = ""
    product: str = ""

    @property
    def identity(self) -> str:
        """What a face config writes under `port`: usb:VID:PID[:SERIAL], else the path."""
        if self.vid is None or self.pid is None:
            return self.path
        return f"usb:{self.vid:04x}:{self.pid:04x}" + (f":{self.serial_number}" if self.serial_number else "")

    @property
    def boots_slowly(self) -> bool:
        """Whether opening it may restart a board that then sits in its boot loader for a second or two."""
        return self.vid in _BOOT_LOADERS

    @property
    def permitted(self) -> bool:
        """Whether this user may read and write it (a path that is gone is no matter of rights)."""
        return os.access(self.path, os.R_OK | os.W_OK) or not Path(self.path).exists()

    @property
    def mend_permission(self) -> str:
        """The command that gives this user the right, once and for all."""
        group = "dialout"
        with contextlib.suppress(OSError, KeyError):
            group = grp.getgrgid(Path(self.path).stat().st_gid).gr_name
        group = "dialout" if group == "root" else group
        return f"sudo usermod -aG {group} $USER, then log in again"

    @property
    def latency_ms(self) -> int | None:
        """Latency timer of the USB adapter; None where there is none."""
        name = Path(self.path).resolve().name
        try:
            return int(Path(f"/sys/bus/usb-serial/devices/{name}/latency_timer").read_text())
        except (OSError, ValueError):
            return None


def serial_ports() -> list[SerialPort]:
    """Every port with a USB identity, in the order of their paths."""
    found = [
        SerialPort(str(p.device), p.vid, p.pid, p.serial_number or "", p.product or "")
        for p in list_ports.comports()
        if p.vid is not None
    ]
    return sorted(found, key=lambda p: p.path)


def port_at(path: str) -> SerialPort:
    """The port at `path` with its identity, or without one (a pseudo-terminal)."""
    real = str(Path(path).resolve())
    return next((p for p in serial_ports() if str(Path(p.path).resolve()) == real), SerialPort(path))


def holder(path: str) -> str:
    """'animaface (pid 123)' for the program that has `path` open; empty when none that we may see does."""
    real = str(Path(path).resolve())
    for process in Path("/proc").glob("[0-9]*"):
        if process.name == str(os.getpid()):
            continue
        with contextlib.suppress(OSError):
            if any(str(fd.readlink()) == real for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
    return ""

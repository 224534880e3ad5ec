"""A pseudo-terminal as the host's end of a virtual line, under a path that survives a pulled cable."""

import contextlib
import os
import termios
import tty
from pathlib import Path
from typing import Final

_SPEEDS: Final = {
    getattr(termios, f"B{rate}"): rate
    for rate in (9600, 57_600, 115_200, 460_800, 921_600, 1_000_000, 2_000_000, 3_000_000, 4_000_000)
    if hasattr(termios, f"B{rate}")
}
_READ_SIZE: Final = 65536


class PtyLine:
    """`path` is a link to the pseudo-terminal of the moment; a new one is made when the cable is put back."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.master = -1
        self._slave = -1
        self.dropped_bytes = 0
        """Bytes that the host did not take in time."""
        self.open()

    def open(self) -> None:
        """Make the pseudo-terminal and point `path` at it; nothing to do when it is there."""
        if self.master >= 0:
            return
        # The server keeps the near end open too: a host that closes and comes back finds the line alive.
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self.master, False)
        fresh = self.path.with_name(self.path.name + ".new")
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(os.ttyname(self._slave))
        fresh.replace(self.path)

    def close(self) -> None:
        """Pull the cable: the host reads end of file or EIO. Safe twice."""
        if self.master < 0:
            return
        self.path.unlink(missing_ok=True)
        os.close(self.master)
        os.close(self._slave)
        self.master = self._slave = -1

    def baud(self, expected: int) -> int:
        """Speed the host has set; `expected` where it set none (or one the terminal can't tell)."""
        with contextlib.suppress(OSError, termios.error):
            return _SPEEDS.get(termios.tcgetattr(self._slave)[5], expected)
        return expected

    def read(self) -> bytes:
        """What the host has sent."""
        try:
            return os.read(self.master, _READ_SIZE)
        except (BlockingIOError, OSError):
            return b""

    def write(self, data: bytes) -> None:
        """Send to the host; what does not fit is lost, as in a full buffer of a real adapter."""
        try:
            written = os.write(self.master, data)
        except (BlockingIOError, OSError):
            written = 0
        self.dropped_bytes += len(data) - written

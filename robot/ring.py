"""A ring of float64 rows in shared memory: one process writes, any number read, nobody waits.

Each row carries its number before and a check after it, so that a row that is being overwritten is
never taken for a whole one, whatever order the processor's stores become visible in.
"""

import contextlib
import mmap
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from animaface.robot.face.errors import InputError

_MAGIC = 0x414E494D_52494E47
_PREFIX = "animaface-"
_HEAD = 8  # 64-bit words: magic, slots, width, rows written, the rest is free


class Ring:
    """`slots` rows of `width` float64. Make it with `create`, open it elsewhere with `attach`."""

    def __init__(self, path: Path, memory: mmap.mmap, *, owner: bool) -> None:
        self.path = path
        self._memory = memory
        self._owner = owner
        self._head = np.frombuffer(memory, dtype=np.uint64, count=_HEAD)
        self.slots, self.width = int(self._head[1]), int(self._head[2])
        words = np.frombuffer(memory, dtype=np.uint64, offset=8 * _HEAD)
        self._words = words.reshape(self.slots, self.width + 2)  # number, row, check
        self._rows = self._words[:, 1:-1].view(np.float64)
        self._written = int(self._head[3])

    @classmethod
    def create(cls, slots: int, width: int) -> Self:
        """A new ring in shared memory; `path` names it for `attach`. Gone after `close`."""
        folder = Path("/dev/shm")
        _sweep(folder)
        handle, name = tempfile.mkstemp(
            prefix=f"{_PREFIX}{os.getpid()}-", dir=folder if folder.is_dir() else None
        )
        size = 8 * (_HEAD + slots * (width + 2))
        with os.fdopen(handle, "r+b") as f:
            f.truncate(size)
            memory = _mapped(f.fileno(), size)
        head = np.frombuffer(memory, dtype=np.uint64, count=_HEAD)
        head[1], head[2], head[3] = slots, width, 0
        head[0] = _MAGIC
        return cls(Path(name), memory, owner=True)

    @classmethod
    def attach(cls, path: str | Path) -> Self:
        """Open a ring that another process made. InputError when it is none."""
        try:
            with Path(path).open("r+b") as f:
                memory = _mapped(f.fileno(), 0)
        except (OSError, ValueError) as e:
            raise InputError(f"{path}: no ring in shared memory here ({e})") from e
        if len(memory) < 8 * _HEAD or int.from_bytes(memory[:8], "little") != _MAGIC:
            raise InputError(f"{path}: not a ring")
        return cls(Path(path), memory, owner=False)

    @property
    def count(self) -> int:
        """Rows written so far; the newest has this number, the first one is 1."""
        return int(self._head[3])

    def append(self, row: ArrayLike) -> None:
        """Write one row [width]. Only one process may do so."""
        number = self._written + 1
        slot = (number - 1) % self.slots
        words = self._words[slot]
        words[0] = 0
        self._rows[slot] = row
        words[-1] = np.bitwise_xor.reduce(words[1:-1]) ^ np.uint64(number)
        words[0] = number
        self._head[3] = number
        self._written = number

    def get(self, number: int) -> NDArray[np.float64] | None:
        """A copy of row `number`, or None when it is not there yet, overwritten or being overwritten."""
        if number < 1:
            return None
        shared = self._words[(number - 1) % self.slots]
        words = shared.copy()
        if shared[0] != number:  # the writer came by during the copy; equal rows could pass the checksum
            return None
        check = np.bitwise_xor.reduce(words[1:-1]) ^ np.uint64(number)
        if words[0] != number or words[-1] != check:
            return None
        return np.asarray(words[1:-1].view(np.float64))

    def since(self, number: int) -> tuple[int, NDArray[np.float64]]:
        """(number of the newest row seen, rows[k, width] after `number`). What was overwritten is left out."""
        newest = self.count
        first = max(number + 1, newest - self.slots + 1)
        rows = [row for n in range(first, newest + 1) if (row := self.get(n)) is not None]
        return newest, np.array(rows, dtype=np.float64).reshape(len(rows), self.width)

    def close(self) -> None:
        """Let go of the memory; the maker removes it."""
        if self._owner:
            self.path.unlink(missing_ok=True)
            self._owner = False
        empty = np.zeros((0, 0), dtype=np.uint64)
        self._head, self._words, self._rows = empty.ravel(), empty, empty.view(np.float64)
        with contextlib.suppress(BufferError):  # somebody still holds a view; it goes with them
            self._memory.close()


def _mapped(descriptor: int, size: int) -> mmap.mmap:
    """Every page is there from the beginning: a control loop that touches a new one would wait for the system."""
    flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
    return mmap.mmap(descriptor, size, flags)


def _sweep(folder: Path) -> None:
    """Rings of processes that were killed lie in memory until somebody takes them away."""
    for path in folder.glob(f"{_PREFIX}*-*"):
        pid = path.name.removeprefix(_PREFIX).split("-")[0]
        if pid.isdigit() and not Path(f"/proc/{pid}").exists() and Path("/proc/self").exists():
            with contextlib.suppress(OSError):
                path.unlink()


def row(*parts: float | Sequence[float] | NDArray[np.float64]) -> NDArray[np.float64]:
    """One row from numbers and arrays."""
    return np.concatenate([np.atleast_1d(np.asarray(p, dtype=np.float64)) for p in parts])

"""The work folder of a session: every finished piece is on disk at once, so that nothing is lost."""

import fcntl
import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.errors import CalibrationError

_LOCK: Final = "lock"
_BROKEN: Final = (OSError, ValueError, EOFError, KeyError, NotImplementedError, RuntimeError, MemoryError, SyntaxError,
                  zipfile.BadZipFile, zlib.error)  # fmt: skip
"""What numpy and zipfile raise for a file that a power cut left."""


class Work:
    """Pieces by name: arrays (npz) and facts (json), each written whole or not at all."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def begin(self, identity: Mapping[str, Any]) -> bool:
        """Make the folder for a session with this identity; True when one like it is taken up again.

        Work of another identity (another config, seed or size) is thrown away; a folder that holds
        anything else raises CalibrationError.
        """
        wanted = json.loads(json.dumps(dict(identity)))
        same = self.folder.is_dir() and self.facts("identity") == wanted
        if not same:
            if self.folder.exists() and not self._ours():
                raise self._foreign()
            self.clear()
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as e:
                raise CalibrationError(f"can't make the work folder {self.folder}: {e.strerror}",
                                       next_step="choose another with --work") from e  # fmt: skip
            self.keep_facts("identity", wanted)
        return same

    @contextmanager
    def held(self) -> Iterator[None]:
        """While this lasts no other session works in this folder. Raises CalibrationError when one does.

        Two at once, the second with other options, threw each other's recordings away.
        """
        if self.folder.exists() and not self._ours():
            raise self._foreign()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / _LOCK).open("w")
        except OSError as e:
            raise CalibrationError(f"can't make the work folder {self.folder}: {e.strerror}",
                                   next_step="choose another with --work") from e  # fmt: skip
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as e:
                raise CalibrationError(f"another session works in {self.folder} at this moment",
                                       next_step="let it end, or choose another folder with --work") from e  # fmt: skip
            yield

    def clear(self) -> None:
        """Throw the work away, once it is done or of no more use."""
        if self._ours():
            for path in self.folder.iterdir():
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                elif path.name != _LOCK:
                    path.unlink(missing_ok=True)

    def _ours(self) -> bool:
        if not self.folder.is_dir():
            return False
        there = {path.name for path in self.folder.iterdir()} - {_LOCK}
        return not there or "identity.json" in there

    def _foreign(self) -> CalibrationError:
        return CalibrationError(f"{self.folder} holds something else than a session's work",
                                next_step="name an empty or new folder with --work")  # fmt: skip

    def has(self, name: str) -> bool:
        """Is there a piece of this name, and is it whole?"""
        return self.facts(name) is not None or self.arrays(name) is not None

    def forget(self, *patterns: str) -> None:
        """Throw the pieces away whose file names match one of the glob patterns."""
        for pattern in patterns:
            for path in self.folder.glob(pattern):
                path.unlink()

    def path(self, name: str) -> Path:
        """Where a file of another kind may be kept."""
        return self.folder / name

    def keep(self, name: str, **arrays: NDArray[Any]) -> None:
        """Write arrays."""
        part = self.folder / f"{name}.part"
        with part.open("wb") as f:
            np.savez_compressed(f, allow_pickle=False, **arrays)
            f.flush()
            os.fsync(f.fileno())
        part.replace(self.folder / f"{name}.npz")

    def arrays(self, name: str) -> dict[str, NDArray[Any]] | None:
        """Arrays kept under this name, None when there are none (or the disk broke them)."""
        path = self.folder / f"{name}.npz"
        try:
            with np.load(path, allow_pickle=False) as z:
                return {k: z[k] for k in z.files}
        except _BROKEN:
            return None

    def keep_facts(self, name: str, facts: Mapping[str, Any]) -> None:
        """Write facts."""
        part = self.folder / f"{name}.part"
        with part.open("w", encoding="utf-8") as f:
            f.write(json.dumps(dict(facts), indent=1))
            f.flush()
            os.fsync(f.fileno())
        part.replace(self.folder / f"{name}.json")

    def facts(self, name: str) -> dict[str, Any] | None:
        """Facts kept under this name, None when there are none."""
        try:
            found = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

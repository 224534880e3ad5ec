"""The work folder of a session: every finished piece is on disk at once, so that nothing is lost."""

import json
import os
import shutil
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.errors import CalibrationError


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
                raise CalibrationError(f"{self.folder} holds something else than a session's work",
                                       next_step="name an empty or new folder with --work")  # fmt: skip
            self.clear()
            try:
                self.folder.mkdir(parents=True)
            except OSError as e:
                raise CalibrationError(f"can't make the work folder {self.folder}: {e.strerror}",
                                       next_step="choose another with --work") from e  # fmt: skip
            self.keep_facts("identity", wanted)
        return same

    def clear(self) -> None:
        """Throw the work away, once it is done or of no more use."""
        if self._ours():
            shutil.rmtree(self.folder, ignore_errors=True)

    def _ours(self) -> bool:
        if not self.folder.is_dir():
            return False
        return (self.folder / "identity.json").is_file() or not any(self.folder.iterdir())

    def has(self, name: str) -> bool:
        """Is there a piece of this name?"""
        return any((self.folder / f"{name}{suffix}").is_file() for suffix in (".npz", ".json"))

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
        except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error):
            return None

    def keep_facts(self, name: str, facts: Mapping[str, Any]) -> None:
        """Write facts."""
        part = self.folder / f"{name}.part"
        part.write_text(json.dumps(dict(facts), indent=1), encoding="utf-8")
        part.replace(self.folder / f"{name}.json")

    def facts(self, name: str) -> dict[str, Any] | None:
        """Facts kept under this name, None when there are none."""
        try:
            found: dict[str, Any] = json.loads((self.folder / f"{name}.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return found

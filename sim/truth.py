"""What really happened, beside the run: time, landmarks, head, shafts. Safe against a kill at any byte.

File: magic, length of the JSON header u32, header, then records of one fixed size; the last one may be
cut off and is ignored. Truth judges and draws; it never feeds a controller.
"""

import json
import struct
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Final, Self

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import InputError
from animaface.robot.face.landmarks import N_LANDMARKS
from animaface.sim.plant import Plant

Array = NDArray[np.float64]

MAGIC: Final = b"ANIMAFACE-TRUTH-2\n"
_FLUSH_S: Final = 0.25


@dataclass(frozen=True)
class Truth:
    """A truth log in memory. `snapshot` is whatever the plant needs to draw the moment ([T, 0]: nothing)."""

    time_s: Array
    """[T] simulated time on the scale of CLOCK_MONOTONIC in real time, virtual time in lock-step, s."""
    lag_s: Array
    """[T] how far the simulation was behind real time then, s: 0 in lock-step, up to a control period on a free
    machine, more on a loaded one."""
    landmarks_m: NDArray[np.float32]
    """[T, 478, 3] head frame, m."""
    head_rad: Array
    """[T, 3] yaw, pitch, roll."""
    shaft_rad: Array
    """[T, N] in the order of `meta["names"]`."""
    snapshot: Array
    """[T, k]"""
    meta: dict[str, Any]
    """face, names, config (as JSON), seed, rate_hz, plant."""

    @property
    def seen_s(self) -> Array:
        """[T] when somebody beside the face would have seen it so, s. Commands act as soon as they arrive, so on a
        machine that falls behind `time_s` alone would show lips early."""
        return self.time_s + self.lag_s


class TruthLog:
    """Writes records at `rate_hz` of simulated time."""

    def __init__(self, path: Path, config: FaceConfig, seed: int, rate_hz: float) -> None:
        self.path = path
        self.period_s = 1.0 / rate_hz
        self.records = 0
        self._meta: dict[str, Any] = {
            "face": config.id,
            "names": list(config.names),
            "config": config.model_dump(mode="json"),
            "seed": seed,
            "rate_hz": rate_hz,
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file: BinaryIO | None = path.open("wb")
        self._dtype: np.dtype[np.void] | None = None
        self._next_s: float | None = None
        self._flushed_s = -1e9

    @classmethod
    def create(cls, path: str | Path, config: FaceConfig, seed: int, rate_hz: float = 120.0) -> Self:
        """Open `path` for writing, replacing what was there."""
        return cls(Path(path), config, seed, rate_hz)

    def due(self, now_s: float) -> bool:
        """Whether a record is wanted at `now_s`."""
        return self._next_s is None or now_s >= self._next_s - 1e-9

    def record(self, plant: Plant, now_s: float, lag_s: float = 0.0) -> None:
        """Append the plant's state as of `now_s`, reached `lag_s` later in real time."""
        if self._file is None:
            return
        take = getattr(plant, "snapshot", None)
        snapshot = np.asarray(take(), np.float64) if take is not None else np.zeros(0)
        dtype = self._dtype or self._begin(plant, len(snapshot))
        row = np.zeros(1, dtype)
        row["time_s"] = now_s
        row["lag_s"] = lag_s
        row["landmarks_m"][0] = plant.landmarks_m()
        row["head_rad"][0] = plant.head_rad()
        row["shaft_rad"][0] = plant.angles_rad()
        row["snapshot"][0] = snapshot
        self._file.write(row.tobytes())
        self.records += 1
        # Grid of whole periods from the first record, so that the rate holds whatever the caller's rhythm.
        start = now_s if self._next_s is None else self._next_s
        self._next_s = max(start + self.period_s, now_s + 0.25 * self.period_s)
        if now_s - self._flushed_s >= _FLUSH_S:
            self._flushed_s = now_s
            self._file.flush()

    def _begin(self, plant: Plant, k: int) -> np.dtype[np.void]:
        meta = {**self._meta, "plant": type(plant).__name__, "snapshot_size": k}
        header = json.dumps(meta, separators=(",", ":")).encode()
        if self._file is not None:
            self._file.write(MAGIC + struct.pack("<I", len(header)) + header)
        self._dtype = _record(len(plant.names), k)
        return self._dtype

    def close(self) -> None:
        """Write what is left; safe twice."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _record(n: int, k: int) -> np.dtype[np.void]:
    return np.dtype(
        [("time_s", "<f8"), ("lag_s", "<f8"), ("landmarks_m", "<f4", (N_LANDMARKS, 3)), ("head_rad", "<f8", (3,)),
         ("shaft_rad", "<f8", (n,)), ("snapshot", "<f8", (k,))]
    )  # fmt: skip


def read_truth(path: str | Path, *, last: int | None = None) -> Truth:
    """Read a truth log, also one whose writer is still at work or was killed; `last`: only so many records.

    Raises InputError when it is missing, no truth log, or holds no record yet.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"{path}: no such truth log", next_step="animaface simulate FACE --truth FILE makes one"
        )
    with path.open("rb") as f:
        return _read(f, path, last)


def _read(f: BinaryIO, path: Path, last: int | None) -> Truth:
    at = len(MAGIC) + 4
    raw = f.read(at)
    if not raw.startswith(MAGIC) or len(raw) < at:
        raise InputError(
            f"{path}: not a truth log of this version of Animaface (or one without a record yet)"
        )
    size = struct.unpack("<I", raw[len(MAGIC) : at])[0]
    header = f.read(size)
    if len(header) < size:
        raise InputError(f"{path}: the truth log ends inside its header")
    meta = json.loads(header)
    dtype = _record(len(meta["names"]), meta["snapshot_size"])
    count = (path.stat().st_size - at - size) // dtype.itemsize
    skipped = max(count - last, 0) if last is not None else 0
    f.seek(at + size + skipped * dtype.itemsize)
    count -= skipped
    rows = np.frombuffer(f.read(count * dtype.itemsize), dtype, count)
    return Truth(
        time_s=rows["time_s"].copy(),
        lag_s=rows["lag_s"].copy(),
        landmarks_m=rows["landmarks_m"].copy(),
        head_rad=rows["head_rad"].copy(),
        shaft_rad=rows["shaft_rad"].copy(),
        snapshot=rows["snapshot"].copy(),
        meta=meta,
    )

"""A recording on disk while it is made: every pose is there as soon as it was seen.

One file of records, each with its length and CRC-32, so that a file cut off at any byte gives back every pose but
the one it was cut in. A record holds the commands since the record before it, and a frame; the first tells when
the recording began, and one without a frame ends it.
"""

import io
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.detector import LandmarkFrame
from animaface.robot.face.errors import CalibrationError

Array = NDArray[np.float64]

_MAGIC: Final = b"animaface tape 1\n"
_HEAD: Final = struct.Struct("<II")  # bytes of the record, their CRC-32


class Tape:
    """Writes one recording of N actuators. Use it as a context manager."""

    def __init__(self, path: Path, start_s: float, actuators: int) -> None:
        """Begin the file anew. Raises CalibrationError when it can't be written."""
        try:
            self._file = path.open("wb")
        except OSError as e:
            raise CalibrationError(f"{path} can't be written: {e.strerror}",
                                   next_step="choose another folder with --work") from e  # fmt: skip
        self._file.write(_MAGIC)
        self._record(start_s=np.array(start_s), actuators=np.array(actuators))

    def add(self, u: Array, frame: LandmarkFrame | None) -> None:
        """u[n, N] applied since the last call, and the pose seen then (None: no more will come). On disk on return."""
        seen = {} if frame is None else {"frame_s": np.array(frame.time_s), "landmarks_m": frame.landmarks_m.astype(np.float32),
                                         "head_rad": frame.head_rad}  # fmt: skip
        self._record(u=u.astype(np.float32), **seen)

    def _record(self, **arrays: NDArray[Any]) -> None:
        packed = io.BytesIO()
        np.savez(packed, allow_pickle=False, **arrays)
        body = packed.getvalue()
        self._file.write(_HEAD.pack(len(body), zlib.crc32(body)) + body)
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._file.close()


def read_tape(path: Path) -> tuple[dict[str, NDArray[Any]], bool] | None:
    """(the arrays of Recording.arrays, whether the end is there) of a tape, as far as it goes.

    None when there is no such file, or it shows not a single pose.
    """
    try:
        data = path.read_bytes()
    except OSError:
        return None
    records = list(_records(data))
    poses = [r for r in records[1:] if "frame_s" in r]
    if not poses:
        return None
    whole = "frame_s" not in records[-1]
    return {
        "start_s": records[0]["start_s"],
        "u": np.concatenate([r["u"] for r in records[1:]]),
        "frame_s": np.array([float(r["frame_s"]) for r in poses]),
        "landmarks_m": np.stack([r["landmarks_m"] for r in poses]),
        "head_rad": np.stack([r["head_rad"] for r in poses]),
    }, whole


def _records(data: bytes) -> Iterator[dict[str, NDArray[Any]]]:
    if not data.startswith(_MAGIC):
        return
    at = len(_MAGIC)
    while at + _HEAD.size <= len(data):
        size, crc = _HEAD.unpack_from(data, at)
        body = data[at + _HEAD.size : at + _HEAD.size + size]
        if not size or len(body) < size or zlib.crc32(body) != crc:  # no size: the disk filled up with zeros
            return
        with np.load(io.BytesIO(body), allow_pickle=False) as z:
            yield {k: z[k] for k in z.files}
        at += _HEAD.size + size

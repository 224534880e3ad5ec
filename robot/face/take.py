"""A take: a timeline of ARKit-52 blendshapes and head rotation. CSV and Live Link Face CSV."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX, CHANNEL_NAMES, FRAME_RATE_HZ, N_CHANNELS
from animaface.robot.face.errors import InputError, unknown_name

_COLUMN = {name: i for i, name in enumerate(CHANNEL_NAMES)}
_LIVE_LINK_HEAD = {"headYaw": "HeadYaw", "headPitch": "HeadPitch", "headRoll": "HeadRoll"}
_MAKES_ONE = "animaface perform voice.wav -o take.csv makes one"


@dataclass(frozen=True)
class Take:
    """time_s[T] rising, values[T, 55] in the order of CHANNEL_NAMES (shapes 0..1, head in rad).

    Time 0 is the start of the sound. `notes`: free text (what made it), kept in no file format.
    """

    time_s: NDArray[np.float64]
    values: NDArray[np.float64]
    notes: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.values.shape != (len(self.time_s), N_CHANNELS):
            raise InputError(
                f"a take needs values[T, {N_CHANNELS}]; found {self.values.shape} for {len(self.time_s)} times"
            )
        if len(self.time_s) and not (np.isfinite(self.values).all() and np.isfinite(self.time_s).all()):
            raise InputError("a take may not hold NaN or infinity")
        if (np.diff(self.time_s) <= 0).any():
            raise InputError("a take's times must rise")

    @property
    def duration_s(self) -> float:
        """Time of the last frame."""
        return float(self.time_s[-1]) if len(self.time_s) else 0.0

    def channel(self, name: str) -> NDArray[np.float64]:
        """[T] one shape or head channel by name."""
        if name not in _COLUMN:
            raise InputError(unknown_name("shape", name, CHANNEL_NAMES))
        return self.values[:, _COLUMN[name]]

    def at(self, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """[len(times_s), 55] linear interpolation, held at both ends."""
        return np.stack([np.interp(times_s, self.time_s, column) for column in self.values.T], axis=1)

    def resampled(self, rate_hz: float = FRAME_RATE_HZ) -> "Take":
        """The same take on an even grid from 0."""
        times = np.arange(round(self.duration_s * rate_hz) + 1) / rate_hz
        return Take(times, self.at(times), dict(self.notes))


def from_channels(time_s: NDArray[np.float64], channels: dict[str, NDArray[np.float64]]) -> Take:
    """A take from named channels; what is not named is 0."""
    values = np.zeros((len(time_s), N_CHANNELS))
    for name, column in channels.items():
        if name not in _COLUMN:
            raise InputError(unknown_name("shape", name, CHANNEL_NAMES))
        values[:, _COLUMN[name]] = column
    return Take(np.asarray(time_s, dtype=np.float64), values)


def write_csv(take: Take, path: Path) -> None:
    """`time_s`, the camelCase ARKit names, headYaw, headPitch, headRoll; one row a frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as f:
        f.write(",".join(("time_s", *CHANNEL_NAMES)) + "\n")
        for t, row in zip(take.time_s, take.values, strict=True):
            f.write(f"{t:.6f}," + ",".join(f"{v:.5f}" for v in row) + "\n")


def write_live_link_csv(take: Take, path: Path, *, fps: float = FRAME_RATE_HZ) -> None:
    """Live Link Face CSV: Timecode, BlendshapeCount, PascalCase shapes, head rotation in rad."""
    even = take.resampled(fps)
    header = ["Timecode", "BlendshapeCount", *(_pascal(n) for n in CHANNEL_NAMES)]
    with path.open("w", encoding="utf-8", newline="") as f:
        out = csv.writer(f)
        out.writerow(header)
        for i, row in enumerate(even.values):
            whole, frame = divmod(i, round(fps))
            stamp = f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}:{frame:02d}.000"
            out.writerow([stamp, len(ARKIT_INDEX), *(f"{v:.6f}" for v in row)])


def read_csv(path: Path, *, fps: float = FRAME_RATE_HZ) -> Take:
    """Read a take or a Live Link Face CSV (told by its header). Columns are mapped by name.

    A missing shape is 0; an unknown column is an error with the valid names. `fps` counts the frame
    field of Live Link timecodes. Raises InputError with file and line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as f:
            rows = [r for r in csv.reader(f) if r]
    except OSError as e:
        raise InputError(f"can't read {path}: {e.strerror}", next_step=_MAKES_ONE) from e
    except (UnicodeDecodeError, csv.Error) as e:
        raise InputError(
            f"{path}: wanted a CSV of blendshapes, found no such table: {e}", next_step=_MAKES_ONE
        ) from e
    if len(rows) < 2:
        raise InputError(f"{path}: wanted a header and at least one frame, found {len(rows)} rows")
    header = [h.strip() for h in rows[0]]
    live_link = header[0] == "Timecode"
    if not live_link and header[0] != "time_s":
        raise InputError(
            f"{path}: the first column must be time_s (or Timecode of a Live Link Face CSV), found {header[0]!r}"
        )
    first = 2 if live_link else 1
    columns = [_column(path, h, live_link) for h in header[first:]]
    time_s, values = np.zeros(len(rows) - 1), np.zeros((len(rows) - 1, N_CHANNELS))
    for i, row in enumerate(rows[1:]):
        where = f"{path}, line {i + 2}"
        if len(row) != len(header):
            raise InputError(f"{where}: wanted {len(header)} columns, found {len(row)}")
        try:
            time_s[i] = _timecode_s(row[0], fps) if live_link else float(row[0])
            for c, cell in zip(columns, row[first:], strict=True):
                if c is not None:
                    values[i, c] = float(cell)
        except ValueError as e:
            raise InputError(f"{where}: {e}") from e
    if live_link:
        time_s -= time_s[0]
    try:
        return Take(time_s, values)
    except InputError as e:
        raise InputError(f"{path}: {e.message}") from e


def _column(path: Path, name: str, live_link: bool) -> int | None:
    camel = name[:1].lower() + name[1:]
    if camel in _COLUMN:
        return _COLUMN[camel]
    if live_link and ("Eye" in name and name.endswith(("Yaw", "Pitch", "Roll"))):
        return None  # eye angles repeat what the eyeLook shapes say
    raise InputError(f"{path}: {unknown_name('column', name, CHANNEL_NAMES)}")


def _pascal(name: str) -> str:
    return _LIVE_LINK_HEAD.get(name, name[:1].upper() + name[1:])


def _timecode_s(stamp: str, fps: float) -> float:
    parts = stamp.split(":")
    if len(parts) != 4:
        raise ValueError(f"wanted a timecode HH:MM:SS:FF, found {stamp!r}")
    h, m, s, frame = (float(p) for p in parts)
    return h * 3600 + m * 60 + s + frame / fps


def concatenate(takes: Sequence[Take], gap_s: float = 0.0) -> Take:
    """One take after another, `gap_s` apart."""
    times, values, start = [], [], 0.0
    for take in takes:
        times.append(take.time_s + start)
        values.append(take.values)
        start = times[-1][-1] + max(gap_s, 1.0 / FRAME_RATE_HZ)
    return Take(np.concatenate(times), np.concatenate(values))

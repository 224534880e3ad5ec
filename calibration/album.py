"""The photos of babbling as a calibration keeps them: to look at, and to compare an aged face with its youth."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.recording import Recording
from animaface.calibration.work import Work
from animaface.selfmodel.history import TICK_S

NAME: Final = "babbling"
"""Of the file, without its ending."""


def packed(recordings: Sequence[Recording]) -> dict[str, NDArray[Any]]:
    """Arrays of the file: commands at 100 Hz, frames as 16-bit hundredths of a millimetre."""
    landmarks = np.concatenate([r.landmarks_m for r in recordings])
    return {
        "u": np.concatenate([r.u for r in recordings]).astype(np.float16),
        "start_s": np.array([r.start_s for r in recordings]),
        "ticks": np.array([len(r.u) for r in recordings]),
        "frames": np.array([len(r.frame_s) for r in recordings]),
        "frame_s": np.concatenate([r.frame_s for r in recordings]),
        "landmarks_10um": np.round(1e5 * landmarks).astype(np.int16),
        "head_rad": np.concatenate([r.head_rad for r in recordings]).astype(np.float32),
    }


def unpacked(arrays: Mapping[str, NDArray[Any]]) -> list[Recording]:
    """What `packed` made, piece by piece."""
    ticks, frames = (np.cumsum(arrays[k])[:-1] for k in ("ticks", "frames"))
    by_tick = np.split(arrays["u"].astype(np.float64), ticks)
    by_frame = (
        np.split(a.astype(np.float64), frames)
        for a in (arrays["frame_s"], 1e-5 * arrays["landmarks_10um"], arrays["head_rad"])
    )
    return [
        Recording(float(start_s), *rows)
        for start_s, *rows in zip(arrays["start_s"], by_tick, *by_frame, strict=True)
    ]


def load_album(folder: Path) -> list[Recording]:
    """The photos of a calibration; none when it keeps none, or the disk broke them."""
    arrays = Work(folder).arrays(NAME)
    return unpacked(arrays) if arrays else []


def beginning(recording: Recording, seconds: float) -> Recording:
    """The first `seconds` of a recording."""
    ticks = round(seconds / TICK_S)
    seen = recording.frame_s < recording.start_s + ticks * TICK_S
    return replace(recording.photos(seen), u=recording.u[:ticks])

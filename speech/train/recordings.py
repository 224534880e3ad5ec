"""Recordings that users have: a sound file with its curves beside it under the same name. One folder may mix

    NAME.wav + NAME.json   BEAT (Liu and others 2022): {"names": [...], "frames": [{"time": s, "weights": [...]}]}
    NAME.wav + NAME.csv    a take (`time_s, jawOpen, ...`) or a Live Link Face CSV
    NAME.wav + NAME.mp4    (mov, mkv, avi, webm) read by a detector that the caller gives

Time 0 of the curves is the start of the sound.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import CHANNEL_NAMES
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import read_csv

log = logging.getLogger(__name__)
Table = tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]
"""time_s[T] rising and {camelCase ARKit name or headYaw, headPitch, headRoll (rad): values[T]}; NaN = not seen."""
VideoReader = Callable[[Path], Table]
"""Video file -> its curves, for example a face landmarker with blendshape scores over every frame."""
SOUNDS: Final = (".wav", ".flac", ".ogg")
VIDEOS: Final = (".mp4", ".mov", ".mkv", ".avi", ".webm")


@dataclass(frozen=True)
class Recording:
    """A sound file and the curves beside it (see Table)."""

    sound: Path
    time_s: NDArray[np.float64]
    columns: dict[str, NDArray[np.float64]]


def recordings(folder: Path, video: VideoReader | None = None) -> list[Recording]:
    """Every recording in the folder and below, by name. InputError says which file is not as it must be."""
    if not folder.is_dir():
        raise InputError(f"no folder of captures at {folder}", next_step="give an existing folder")
    out = []
    for sound in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUNDS):
        table = _curves_beside(sound, video)
        if table is None:
            log.warning("%s: no curves beside it, left out", sound)
            continue
        out.append(Recording(sound, *table))
    if not out:
        raise InputError(
            f"{folder}: wanted sound files with curves beside them, found none",
            next_step="name them alike: talk.wav with talk.json (BEAT), talk.csv (Live Link, take) or talk.mp4",
        )
    return out


def _curves_beside(sound: Path, video: VideoReader | None) -> Table | None:
    if sound.with_suffix(".json").is_file():
        return read_beat(sound.with_suffix(".json"))
    if sound.with_suffix(".csv").is_file():
        take = read_csv(sound.with_suffix(".csv"))
        moved = {n: take.channel(n) for n in CHANNEL_NAMES if np.ptp(take.channel(n)) > 0}
        return take.time_s, moved
    films = [sound.with_suffix(s) for s in VIDEOS if sound.with_suffix(s).is_file()]
    if not films:
        return None
    if video is None:
        raise InputError(
            f"{films[0]}: a video needs a landmark detector", next_step="pass one, or give its curves as CSV"
        )
    return video(films[0])


def read_beat(path: Path) -> Table:
    """A BEAT json. Raises InputError where names and weights do not fit."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        names, frames = [str(n) for n in told["names"]], told["frames"]
        time_s = np.array([float(f["time"]) for f in frames])
        weights = np.array([[float(w) for w in f["weights"]] for f in frames])
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise InputError(
            f"{path}: not a BEAT file, wanted names and frames with time and weights: {e!r}"
        ) from e
    if weights.ndim != 2 or weights.shape[1] != len(names) or len(weights) < 2:
        raise InputError(
            f"{path}: wanted 2 frames or more of {len(names)} weights, found shape {list(weights.shape)}"
        )
    if (np.diff(time_s) <= 0).any():
        raise InputError(f"{path}: the times of the frames must rise")
    camel = [n[:1].lower() + n[1:] for n in names]
    known = {n: w for n, w in zip(camel, weights.T, strict=True) if n in CHANNEL_NAMES}
    if not known:
        raise InputError(f"{path}: none of its names is an ARKit shape: {', '.join(names[:5])} ...")
    return time_s, known

"""Captures that users have, as training data: BEAT, Live Link Face, videos through a landmark detector.

One folder may mix them; a recording is a sound file with the curves beside it under the same name:

    NAME.wav + NAME.json   BEAT (Liu and others 2022): {"names": [...], "frames": [{"time": s, "weights": [...]}]}
    NAME.wav + NAME.csv    a take (`time_s, jawOpen, ...`) or a Live Link Face CSV
    NAME.wav + NAME.mp4    (mov, mkv, avi, webm) read by a detector that the caller gives

Time 0 of the curves is the start of the sound. Phones are read from NAME.phones.json ([[name, start_s, end_s],
...]) where it stands; without it the recording teaches curves only.
"""

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import CHANNEL_NAMES, FRAME_RATE_HZ
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import read_csv
from animaface.speech.features import SAMPLE_RATE_HZ, features_of
from animaface.speech.sound import read_sound
from animaface.speech.train.augment import Sound, disturbed
from animaface.speech.train.dataset import AHEAD_S, CHANNELS, UNKNOWN, Example, other_throat, shifted
from animaface.speech.train.grid import Clip, phone_track

log = logging.getLogger(__name__)
Table = tuple[NDArray[np.float64], dict[str, NDArray[np.float64]]]
"""time_s[T] rising and {camelCase ARKit name or headYaw, headPitch, headRoll (rad): values[T]}; NaN = not seen."""
VideoReader = Callable[[Path], Table]
"""Video file -> its curves, for example a face landmarker with blendshape scores over every frame."""
SOUNDS: Final = (".wav", ".flac", ".ogg")
VIDEOS: Final = (".mp4", ".mov", ".mkv", ".avi", ".webm")
_HEAD: Final = ("headYaw", "headPitch", "headRoll")


@dataclass(frozen=True)
class Capture:
    """One recording: samples[n] at 16 kHz, curves[T, len(CHANNELS)] at 60 fps, weight alike (0 = not known)."""

    name: str
    samples: Sound
    curves: NDArray[np.float32]
    weight: NDArray[np.float32]
    phones: list[tuple[str, float, float]]

    def as_clip(self) -> Clip:
        """For what moves clips about."""
        return Clip(self.name, self.samples, self.curves, self.weight, self.phones)


def load_captures(folder: Path, video: VideoReader | None = None) -> list[Capture]:
    """Every recording in the folder and below, by name. InputError says which file is not as it must be."""
    if not folder.is_dir():
        raise InputError(f"no folder of captures at {folder}", next_step="give an existing folder")
    out = []
    for sound in sorted(p for p in folder.rglob("*") if p.suffix.lower() in SOUNDS):
        table = _curves_beside(sound, video)
        if table is None:
            log.warning("%s: no curves beside it, left out", sound)
            continue
        out.append(_capture(sound, *table))
    if not out:
        raise InputError(
            f"{folder}: wanted sound files with curves beside them, found none",
            next_step="name them alike: talk.wav with talk.json (BEAT), talk.csv (Live Link, take) or talk.mp4",
        )
    log.info("%s: %d recordings, %.1f min", folder, len(out), sum(len(c.curves) for c in out) / 3600)
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


def _capture(sound: Path, time_s: NDArray[np.float64], columns: dict[str, NDArray[np.float64]]) -> Capture:
    samples = read_sound(sound).samples
    length_s = min(len(samples) / SAMPLE_RATE_HZ, float(time_s[-1]))
    frames = int(length_s * FRAME_RATE_HZ) + 1
    at = np.arange(frames) / FRAME_RATE_HZ
    curves = np.zeros((frames, len(CHANNELS)), np.float32)
    weight = np.zeros_like(curves)
    for i, name in enumerate(CHANNELS):
        if name not in columns:
            continue
        seen = np.isfinite(columns[name])
        if seen.sum() < 2:
            continue
        values = columns[name] - (columns[name][seen].mean() if name in _HEAD else 0.0)
        curves[:, i] = np.interp(at, time_s[seen], values[seen])
        weight[:, i] = np.interp(at, time_s, seen.astype(float)) > 0.99
        weight[at < time_s[0], i] = 0.0
    return Capture(sound.stem, samples, curves, weight, _phones_beside(sound))


def _phones_beside(sound: Path) -> list[tuple[str, float, float]]:
    path = sound.with_suffix(".phones.json")
    if not path.is_file():
        return []
    try:
        rows: list[Any] = json.loads(path.read_text(encoding="utf-8"))
        return [(str(name), float(start), float(end)) for name, start, end in rows]
    except (ValueError, TypeError) as e:
        raise InputError(f"{path}: wanted [[phone, start_s, end_s], ...]: {e}") from e


def captured_examples(captures: list[Capture], variants: int, seed: int) -> list[Example]:
    """Each recording as it is and `variants` times by other throats, rooms and microphones."""
    rng = np.random.default_rng(seed)
    out = []
    for capture in captures:
        out.append(_example(capture.as_clip()))
        for _ in range(variants):
            clip = shifted(capture.as_clip(), rng)
            sound = other_throat(clip.samples, rng) if rng.random() < 0.6 else clip.samples
            out.append(
                _example(Clip(clip.name, disturbed(sound, rng), clip.curves, clip.weight, clip.phones))
            )
    return out


def _example(clip: Clip) -> Example:
    features = features_of(clip.samples)
    frames = min(len(features), len(clip.curves))
    if clip.phones:
        now, ahead = phone_track(clip.phones, frames), phone_track(clip.phones, frames, AHEAD_S)
    else:
        now = ahead = np.full(frames, UNKNOWN, np.int64)
    return Example(features[:frames], clip.curves[:frames], clip.weight[:frames], now, ahead)

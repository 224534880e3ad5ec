"""Captures that users have (recordings.py), as training data.

Phones are read from NAME.phones.json ([[name, start_s, end_s], ...]) where it stands; without it the recording
teaches curves only.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.errors import InputError
from animaface.speech.features import SAMPLE_RATE_HZ, features_of
from animaface.speech.sound import read_sound
from animaface.speech.train.augment import Sound, disturbed
from animaface.speech.train.dataset import AHEAD_S, CHANNELS, UNKNOWN, Example, other_throat, shifted
from animaface.speech.train.grid import Clip, phone_track
from animaface.speech.train.recordings import VideoReader, recordings

log = logging.getLogger(__name__)
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
    out = [_capture(r.sound, r.time_s, r.columns) for r in recordings(folder, video)]
    log.info("%s: %d recordings, %.1f min", folder, len(out), sum(len(c.curves) for c in out) / 3600)
    return out


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

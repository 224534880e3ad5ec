"""The GRID speaker: 900 clips of sound, pseudo-label curves at 25 fps and aligned phones.

Every 9th clip by sorted name is held out: never trained on, never tuned on, scored at the end only.
"""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.errors import InputError
from animaface.speech.features import SAMPLE_RATE_HZ
from animaface.speech.phones import PHONE_INDEX, phone_class

HELD_OUT_EVERY = 9


def held_out(names: list[str]) -> list[str]:
    """Every 9th clip by sorted name."""
    return sorted(names)[::HELD_OUT_EVERY]


def validation(names: list[str]) -> list[str]:
    """Clips to choose settings by: every 9th of the sorted names, four after each held-out one."""
    return sorted(names)[4::HELD_OUT_EVERY]


def training(names: list[str]) -> list[str]:
    """What is left to learn from, sorted."""
    apart = {*held_out(names), *validation(names)}
    return [n for n in sorted(names) if n not in apart]


@dataclass(frozen=True)
class Clip:
    """samples[n] at 16 kHz; curves[T, C] and their weight[T] or [T, C] at 60 fps; phones [(name, start_s, end_s)]."""

    name: str
    samples: NDArray[np.float32]
    curves: NDArray[np.float32]
    weight: NDArray[np.float32]
    phones: list[tuple[str, float, float]]


def phone_track(
    phones: list[tuple[str, float, float]], frames: int, shift_s: float = 0.0
) -> NDArray[np.int64]:
    """[frames] index of the phone at n / 60 s + shift_s; silence outside."""
    track = np.zeros(frames, np.int64)
    times = np.arange(frames) / FRAME_RATE_HZ + shift_s
    for name, start, end in phones:
        track[(times >= start) & (times < end)] = PHONE_INDEX[phone_class(name)]
    return track


def spline_to_60(
    values: NDArray[np.float32], fps: float, frames: int, start_s: float = 0.0
) -> NDArray[np.float32]:
    """[T, C] at fps -> [frames, C] at 60 a second from start_s on by a Catmull-Rom spline: keeps peaks that lines
    would cut."""
    at = np.clip((np.arange(frames) / FRAME_RATE_HZ + start_s) * fps, 0, len(values) - 1)
    i = np.minimum(at.astype(int), len(values) - 2)
    u = (at - i)[:, None]
    p = [values[np.clip(i + k, 0, len(values) - 1)] for k in (-1, 0, 1, 2)]
    a = -0.5 * p[0] + 1.5 * p[1] - 1.5 * p[2] + 0.5 * p[3]
    b = p[0] - 2.5 * p[1] + 2.0 * p[2] - 0.5 * p[3]
    c = -0.5 * p[0] + 0.5 * p[2]
    return np.asarray(((a * u + b) * u + c) * u + p[1], np.float32)


def head_angles(poses: NDArray[np.float32]) -> NDArray[np.float32]:
    """[T, 4, 4] face-to-camera matrices -> [T, 3] yaw, pitch, roll in rad, less the clip's mean.

    R = Ry(yaw) Rx(pitch) Rz(-roll): roll > 0 tilts the top of the head to the subject's left.
    """
    r = poses[:, :3, :3]
    r = r / np.maximum(np.linalg.norm(r, axis=1, keepdims=True), 1e-9)
    pitch = np.arcsin(np.clip(-r[:, 1, 2], -1, 1))
    yaw = np.arctan2(r[:, 0, 2], r[:, 2, 2])
    roll = -np.arctan2(r[:, 1, 0], r[:, 1, 1])
    angles = np.stack([yaw, pitch, roll], axis=1)
    return np.asarray(angles - np.nanmean(angles, axis=0), np.float32)


class GridSpeaker:
    """Reads the folder `grid_s1` of ../shared/data (see its licence: CC BY 4.0, cite Cooke et al. 2006).

    Opened `for_training` it gives no held-out clip to anybody. `late_s`: films that come so much later than their
    sound (film.py finds them); their curves are moved to it.
    """

    def __init__(self, folder: Path, *, for_training: bool = False) -> None:
        missing = [n for n in ("curves.npz", "phones.json", "audio") if not (folder / n).exists()]
        if missing:
            raise InputError(
                f"{folder}: wanted curves.npz, phones.json and audio/, missing {', '.join(missing)}",
                next_step="give the folder that holds grid_s1 with --data",
            )
        self.folder = folder
        with np.load(folder / "curves.npz") as z:
            self.shape_names = [str(n) for n in z["names"]]
            self.fps = float(z["fps"])
            self.scores = z["scores"].astype(np.float32)
            self.poses = z["head_pose"].astype(np.float32)
            self.frames = z["frames"].astype(int)
            self.clips = [str(c) for c in z["clip"]]
        self.late_s: dict[str, float] = {}
        self._kept_apart = frozenset(held_out(self.clips)) if for_training else frozenset()
        self.phones = json.loads((folder / "phones.json").read_text(encoding="utf-8"))

    def clip(self, name: str, channels: list[str]) -> Clip:
        """One clip with the named shapes (and headYaw, headPitch, headRoll) at 60 fps."""
        if name in self._kept_apart:
            raise InputError(f"{name} is held out: never trained or tuned on, only scored")
        i = self.clips.index(name)
        scores, poses = self.scores[i, : self.frames[i]], self.poses[i, : self.frames[i]]
        columns = dict(zip(self.shape_names, scores.T, strict=True))
        columns.update(zip(("headYaw", "headPitch", "headRoll"), head_angles(poses).T, strict=True))
        raw = np.stack([columns[c] for c in channels], axis=1)
        seen = np.isfinite(raw).all(axis=1)
        t = np.arange(len(raw))
        filled = np.stack([np.interp(t, t[seen], c[seen]) for c in raw.T], axis=1).astype(np.float32)
        samples, rate = soundfile.read(self.folder / "audio" / f"{name}.flac", dtype="float32")
        if rate != SAMPLE_RATE_HZ:
            raise InputError(f"{name}: wanted {SAMPLE_RATE_HZ} Hz, found {rate}")
        frames = int(min(len(samples) / SAMPLE_RATE_HZ, (len(raw) - 1) / self.fps) * FRAME_RATE_HZ) + 1
        late_s = self.late_s.get(name, 0.0)
        at = np.arange(frames) / FRAME_RATE_HZ + late_s
        weight = np.interp(at * self.fps, t, seen.astype(float), 0.0, 0.0)
        phones = [(p, s, s + d) for _, word in self.phones[name] for p, s, d in word]
        return Clip(
            name,
            samples,
            spline_to_60(filled, self.fps, frames, late_s),
            (weight > 0.99).astype(np.float32),
            phones,
        )

"""Snapshots to pictures and to H.264 with the sound."""

import shutil
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import AnimafaceError, InputError, MissingDependencyError
from animaface.sim.body.face import SimFace
from animaface.sim.render.scene import Painter, View

Array = NDArray[np.float64]

_FFMPEG = "sudo apt-get install -y ffmpeg"


def open_painter(
    config: FaceConfig, size: tuple[int, int], *, samples: int = 4, view: View | None = None
) -> Painter:
    """A painter for snapshots of this face; close it. Raises MissingDependencyError without EGL and OSMesa."""
    shape, neutral = SimFace.shape_of(config)
    return Painter(shape, neutral, size, samples=samples, view=view)


def render_image(
    config: FaceConfig, snapshot: Array, size: tuple[int, int] = (640, 480)
) -> NDArray[np.uint8]:
    """[height, width, 3] picture of one snapshot; size is (width, height) in pixels."""
    with open_painter(config, size) as painter:
        return painter.draw(np.asarray(snapshot, float))


def frames_at(times_s: Array, snapshots: Array, fps: float) -> Array:
    """[F, S] snapshots at the instants of the frames, linear between those of the log."""
    times_s, snapshots = np.asarray(times_s, float), np.asarray(snapshots, float)
    if times_s.ndim != 1 or snapshots.ndim != 2 or len(times_s) != len(snapshots) or not len(times_s):
        raise InputError(
            f"wanted times [T] and snapshots [T, S], T from 1; found {times_s.shape} and {snapshots.shape}"
        )
    if not (np.isfinite(times_s).all() and np.isfinite(snapshots).all() and (np.diff(times_s) >= 0).all()):
        raise InputError("times must not go back, times and snapshots must be finite")
    at = np.arange(max(1, int(np.floor((times_s[-1] - times_s[0]) * fps + 1e-6)) + 1)) / fps + times_s[0]
    right = np.clip(np.searchsorted(times_s, at), 1, max(len(times_s) - 1, 1))
    if len(times_s) == 1:
        return snapshots
    left = right - 1
    share = np.clip((at - times_s[left]) / np.maximum(times_s[right] - times_s[left], 1e-9), 0.0, 1.0)[
        :, None
    ]
    return np.asarray(snapshots[left] * (1 - share) + snapshots[right] * share, dtype=np.float64)


def render_video(
    config: FaceConfig,
    times_s: Array,
    snapshots: Array,
    out_path: Path | str,
    *,
    wav: Path | str | None = None,
    wav_offset_s: float = 0.0,
    fps: int = 30,
    size: tuple[int, int] = (640, 480),
    progress: Callable[[float], None] | None = None,
) -> Path:
    """Draw a run and write it as MP4 (H.264, AAC).

    times_s [T] s, snapshots [T, S] from SimFace.snapshot. wav: sound file whose first sample was
    heard wav_offset_s after times_s[0] (negative: before). progress is told the share done, 0..1.
    Raises MissingDependencyError without ffmpeg or a way to draw, InputError for a log or sound that
    does not fit.
    """
    ffmpeg = shutil.which("ffmpeg")
    if ffmpeg is None:
        raise MissingDependencyError(
            "ffmpeg is needed to write a video and is not installed", next_step=_FFMPEG
        )
    if wav is not None and not Path(wav).is_file():
        raise InputError(f"no sound file {wav}")
    if size[0] % 2 or size[1] % 2:
        raise InputError(f"H.264 wants even width and height, found {size[0]} x {size[1]}")
    frames = frames_at(times_s, snapshots, fps)
    out = Path(out_path)
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [ffmpeg, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{size[0]}x{size[1]}",
               "-r", str(fps), "-i", "-"]  # fmt: skip
    if wav is not None:
        command += ["-itsoffset", f"{wav_offset_s:.6f}", "-i", str(wav), "-c:a", "aac", "-b:a", "128k"]
    command += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "20", "-pix_fmt", "yuv420p",
                "-t", f"{len(frames) / fps:.6f}", "-movflags", "+faststart", str(out)]  # fmt: skip
    with open_painter(config, size) as painter, tempfile.TemporaryFile() as log:
        with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=log) as process:
            if process.stdin is None:
                raise AnimafaceError("ffmpeg could not be started")
            _feed(painter, frames, process.stdin, progress)
        if process.returncode != 0:
            log.seek(0)
            said = log.read().decode(errors="replace").strip()[-500:]
            raise AnimafaceError(f"ffmpeg could not write {out}: {said}", next_step=_FFMPEG)
    return out


def _feed(painter: Painter, frames: Array, pipe: IO[bytes], progress: Callable[[float], None] | None) -> None:
    try:
        for k, snapshot in enumerate(frames):
            pipe.write(painter.draw(snapshot).tobytes())
            if progress is not None and (k % 10 == 9 or k + 1 == len(frames)):
                progress((k + 1) / len(frames))
    except BrokenPipeError:
        return  # ffmpeg has said why
    finally:
        with suppress(BrokenPipeError):
            pipe.close()

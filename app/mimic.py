"""A person's face on the robot's: a video becomes a take, a camera drives the face while it looks."""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.app.live.motor_stream import MotorStream
from animaface.app.motion import Motion
from animaface.app.watching import Watcher
from animaface.calibration.camera.face_mesh import FaceMesh
from animaface.calibration.camera.person import Person
from animaface.calibration.camera.sources import PictureSource, VideoFile
from animaface.robot.config import FaceConfig
from animaface.robot.control_process import ControlProcess
from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import Take

Array = NDArray[np.float64]
_LEAST_SHARE: Final = 0.5
_TICK_S: Final = 0.01
_AHEAD_S: Final = 0.02
_GONE_S: Final = 1.0


def take_of_video(
    path: Path, mesh: FaceMesh, *, neutral_s: float, on_progress: Callable[[float], None] = lambda share: None
) -> Take:
    """The take that a person plays in a video. Raises InputError when it shows no face for half of the time."""
    video, person = VideoFile(path), Person(neutral_s=neutral_s)
    times: list[float] = []
    rows: list[Array] = []
    looked = 0
    try:
        while (found := video.poll()) is not None:
            looked += 1
            sighting = mesh.see(found[1])
            if sighting is not None:
                times.append(found[0])
                rows.append(person.push(found[0], sighting))
            if video.frames and looked % 10 == 0:
                on_progress(min(1.0, looked / video.frames))
    finally:
        video.close()
    if len(times) < max(2.0, _LEAST_SHARE * looked):
        raise InputError(
            f"{path}: a face in {len(times)} of {looked} pictures", next_step="film it nearer and lighter"
        )
    if not person.ready:
        raise InputError(
            f"{path}: too short to see how the face looks at rest",
            next_step="--neutral-s 0.2, or a longer video",
        )
    return Take(np.array(times), np.array(rows), {"made by": f"mimic of {path.name}"}).resampled()


@dataclass
class Mimicked:
    """What a live run was like."""

    seconds: float = 0.0
    pictures: int = 0
    no_face: int = 0
    look_s: float = 0.0
    """Median time from a picture's arrival to its command."""


def mimic_live(
    source: PictureSource, mesh: FaceMesh, config: FaceConfig, ports: Mapping[str, str], motion: Motion, *,
    neutral_s: float, seconds: float | None, on_warning: Callable[[str], None], on_ready: Callable[[], None],
) -> Mimicked:  # fmt: skip
    """Until `seconds` are over or Ctrl-C; a person who goes away leaves the face as it was for a second, then at rest.

    Raises DeviceError when no pictures come, InputError when nobody was seen in all that time.
    """
    out = Mimicked()
    costs: list[float] = []
    with ControlProcess.start(config, ports) as control:
        ready = control.wait_ready()
        if ready.warning:
            on_warning(ready.warning)
        control.arm()
        control.rest()
        control.play()
        stream = _Frames(MotorStream(config, motion))
        watcher = Watcher(source, mesh, neutral_s=neutral_s, on_warning=on_warning)
        begun_s = due_s = time.monotonic()
        told = False
        with contextlib.suppress(KeyboardInterrupt):
            while seconds is None or time.monotonic() - begun_s < seconds:
                control.check()
                looked = watcher.pictures
                if (found := watcher.look()) is not None:
                    stream.push(*found)
                    costs.append(time.monotonic() - found[0])
                if watcher.ready and not told:
                    told = True
                    on_ready()
                now_s = time.monotonic()
                stream.fade(now_s)
                while due_s <= now_s + _AHEAD_S:
                    u = stream.motors.at(due_s)
                    if u is not None:
                        control.push(due_s, u)
                    due_s = max(due_s + _TICK_S, now_s - _TICK_S)
                if watcher.pictures == looked:
                    time.sleep(0.002)
        out.seconds = time.monotonic() - begun_s
        control.rest()
        control.stop()
    watcher.end()
    out.pictures, out.no_face = watcher.pictures, watcher.no_face
    out.look_s = float(np.median(costs)) if costs else 0.0
    return out


class _Frames:
    """Pictures at their own times -> frames at the even rate that an inverse with a memory expects."""

    def __init__(self, motors: MotorStream) -> None:
        self.motors = motors
        self._last: tuple[float, Array] | None = None
        self._next_s = 0.0

    def push(self, time_s: float, values: Array) -> None:
        """What was seen at time_s, values [55]; the frames that are due by then go to the motors."""
        if self._last is None:
            self._next_s = time_s
        else:
            start_s, before = self._last
            due = []
            while self._next_s <= time_s:
                share = (self._next_s - start_s) / max(time_s - start_s, 1e-6)
                due.append((self._next_s, before + np.clip(share, 0.0, 1.0) * (values - before)))
                self._next_s += 1.0 / FRAME_RATE_HZ
            if due:
                self.motors.push(
                    np.array([t for t, _ in due]), np.stack([v for _, v in due]), np.zeros(len(due), bool)
                )
        self._last = (time_s, values)

    def fade(self, now_s: float) -> None:
        """Nobody is seen any more: to rest, in a second."""
        if self._last is not None and now_s - self._last[0] > _GONE_S:
            self.push(now_s, 0.9 * self._last[1])

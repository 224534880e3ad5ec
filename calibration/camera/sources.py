"""Where pictures come from: a camera on this machine, or a video file. A simulated camera fits as well."""

import threading
from collections import deque
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.model import need_opencv
from animaface.robot.face.clock import Clock, RealClock
from animaface.robot.face.errors import DeviceError, InputError

Picture = NDArray[np.uint8]


class PictureSource(Protocol):
    """Pictures with the time at which they arrived, on the session's clock."""

    @property
    def name(self) -> str:
        """Named in the calibration."""
        ...

    def poll(self, not_before_s: float = -np.inf) -> tuple[float, Picture] | None:
        """(arrival, s; RGB [height, width, 3]) of the oldest picture not yet returned, None when there is none.

        Pictures that arrived before `not_before_s` are thrown away.
        """
        ...

    def close(self) -> None:
        """Let it go."""
        ...


class Webcam:
    """A camera read by a thread of its own, each picture stamped as it comes."""

    def __init__(
        self, device: int | str = 0, *, width: int = 640, height: int = 480, fps: float = 30.0,
        clock: Clock | None = None,
    ) -> None:  # fmt: skip
        """`device`: its number (also as text) or path. Raises DeviceError when it can't be opened, InputError for
        a file, MissingDependencyError without OpenCV."""
        cv2 = need_opencv()
        device = int(device) if isinstance(device, str) and device.isdigit() else device
        if isinstance(device, str) and Path(device).is_file():
            raise InputError(f"{device} is a file, no camera", next_step=f"animaface mimic --video {device}")
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it is said below, in words
        self._clock = clock or RealClock()
        self._device = device
        self._camera = cv2.VideoCapture(device)
        if not self._camera.isOpened():
            raise DeviceError(
                f"no camera at {device!r}", next_step="ls /dev/video*; give its number: --camera 1"
            )
        self._camera.set(cv2.CAP_PROP_FRAME_WIDTH, width)
        self._camera.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
        self._camera.set(cv2.CAP_PROP_FPS, fps)
        self._to_rgb: Any = lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        self._pictures: deque[tuple[float, Picture]] = deque(maxlen=90)
        self._ends = threading.Event()
        self._lost = False
        self._thread = threading.Thread(target=self._read, name="camera", daemon=True)
        self._thread.start()

    @property
    def name(self) -> str:
        """Which camera."""
        return f"camera {self._device}"

    def _read(self) -> None:
        while not self._ends.is_set():
            if not self._camera.grab():
                self._lost = True
                return
            now_s = self._clock.now_s()
            ok, bgr = self._camera.retrieve()
            if ok:
                self._pictures.append((now_s, bgr))

    def poll(self, not_before_s: float = -np.inf) -> tuple[float, Picture] | None:
        """See PictureSource. Raises DeviceError when the camera is gone."""
        while self._pictures:
            arrived_s, bgr = self._pictures.popleft()
            if arrived_s >= not_before_s:
                return arrived_s, self._to_rgb(bgr)
        if self._lost:
            raise DeviceError(
                f"{self.name} gives no more pictures", next_step="check its cable, then start again"
            )
        return None

    def close(self) -> None:
        """Stop the thread and free the device."""
        self._ends.set()
        self._thread.join(2.0)
        self._camera.release()


class VideoFile:
    """The frames of a video, one after another; time is the file's own, from 0."""

    def __init__(self, path: Path) -> None:
        """Raises InputError when it is no video."""
        cv2 = need_opencv()
        if not path.is_file():
            raise InputError(f"there is no video {path}", next_step="check the name: ls *.mp4")
        self._path = path
        self._video = cv2.VideoCapture(str(path))
        self.fps = float(self._video.get(cv2.CAP_PROP_FPS) or 0.0)
        self.frames = int(self._video.get(cv2.CAP_PROP_FRAME_COUNT) or 0)
        if not self._video.isOpened() or not self.fps > 0.0:
            raise InputError(f"{path} is no video that OpenCV can read", next_step="ffmpeg -i IN out.mp4")
        self._to_rgb: Any = lambda bgr: cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
        self._next = 0

    @property
    def name(self) -> str:
        """Which file."""
        return self._path.name

    def poll(self, not_before_s: float = -np.inf) -> tuple[float, Picture] | None:
        """See PictureSource; None at the end."""
        while True:
            ok, bgr = self._video.read()
            if not ok:
                return None
            time_s = self._next / self.fps
            self._next += 1
            if time_s >= not_before_s:
                return time_s, self._to_rgb(bgr)

    def close(self) -> None:
        """Free the file."""
        self._video.release()

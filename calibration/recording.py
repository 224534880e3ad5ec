"""Moving a face along a path while somebody looks: what was applied, and what was seen when."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.detector import LandmarkDetector, LandmarkFrame
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import CalibrationError
from animaface.robot.robot import Robot
from animaface.selfmodel.history import TICK_S

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """Applied commands u[T, N] every TICK_S from start_s, and F frames: when, landmarks, head.

    Only frames whose landmarks were all seen are kept.
    """

    start_s: float
    u: Array
    frame_s: Array
    landmarks_m: Array
    head_rad: Array

    def at_frames(self, rows: Array) -> Array:
        """rows[T, ...] given at the ticks of u -> [F, ...] at the moments of the frames."""
        at = np.clip((self.frame_s - self.start_s) / TICK_S, 0.0, len(rows) - 1.0)
        low = np.minimum(at.astype(np.int64), max(len(rows) - 2, 0))
        share = (at - low).reshape(-1, *([1] * (rows.ndim - 1)))
        return np.asarray((1.0 - share) * rows[low] + share * rows[np.minimum(low + 1, len(rows) - 1)])

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For Work.keep; landmarks in float32 (a tenth of a micrometre)."""
        return {"start_s": np.array(self.start_s), "u": self.u.astype(np.float32), "frame_s": self.frame_s,
                "landmarks_m": self.landmarks_m.astype(np.float32), "head_rad": self.head_rad}  # fmt: skip

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """From `arrays`."""
        return cls(float(arrays["start_s"]), arrays["u"].astype(np.float64), arrays["frame_s"],
                   arrays["landmarks_m"].astype(np.float64), arrays["head_rad"])  # fmt: skip


class Recorder:
    """Drives a robot at 1 / TICK_S a second and keeps every n-th frame that comes in meanwhile."""

    def __init__(self, robot: Robot, detector: LandmarkDetector, clock: Clock) -> None:
        self.robot = robot
        self._detector = detector
        self._clock = clock

    def record(
        self, path: Array, *, frame_hz: float, progress: Callable[[int, int], None] | None = None
    ) -> Recording:
        """Send path[T, N] tick by tick and keep frames at `frame_hz` at most.

        Raises CalibrationError when not a single frame came in; what the robot raises goes through.
        """
        self._forget_old_frames()
        start_s = self._clock.now_s()
        applied = np.empty_like(path)
        frames: list[LandmarkFrame] = []
        next_s = start_s
        for k, request in enumerate(path):
            applied[k] = self.robot.send(request, self._clock.now_s()).u
            self._clock.sleep_until_s(start_s + (k + 1) * TICK_S)
            while (frame := self._detector.poll()) is not None:
                if frame.time_s >= next_s - 1e-6 and frame.valid.all():
                    frames.append(frame)
                    next_s = max(next_s + 1.0 / frame_hz, frame.time_s)
            if progress and k % 50 == 49:
                progress(k + 1, len(path))
        if not frames:
            raise CalibrationError(f"{self._detector.name} saw no face while it moved",
                                   next_step="check light and distance, then calibrate again")  # fmt: skip
        return Recording(
            start_s,
            applied,
            np.array([f.time_s for f in frames]),
            np.stack([f.landmarks_m for f in frames]),
            np.stack([f.head_rad for f in frames]),
        )

    def go(self, u: Array, seconds: float) -> None:
        """Move smoothly from the last command to u[N] in `seconds`; nothing is kept."""
        start = self.robot.applied_u
        since_s = self._clock.now_s()

        def path(now_s: float) -> Array:
            s = min(max((now_s - since_s) / seconds, 0.0), 1.0)
            return np.asarray(start + (u - start) * (s * s * s * (10.0 - 15.0 * s + 6.0 * s * s)))

        self.robot.follow(path, since_s + seconds)

    def look(self, u: Array, count: int, *, settle_s: float) -> tuple[Array, Array, float]:
        """Hold u[N]: mean landmarks [478, 3] and head [3] of `count` frames, and their jitter in m (rms)."""
        self.robot.settle(u, settle_s)
        frames: list[LandmarkFrame] = []
        self._forget_old_frames()
        for _ in range(round(10.0 / TICK_S)):
            self.robot.settle(u, TICK_S)
            while (frame := self._detector.poll()) is not None:
                if frame.valid.all():
                    frames.append(frame)
            if len(frames) >= count:
                break
        if not frames:
            raise CalibrationError(f"{self._detector.name} saw no face in 10 s",
                                   next_step="check light and distance, then calibrate again")  # fmt: skip
        m = np.stack([f.landmarks_m for f in frames])
        jitter = float(np.sqrt(((m - m.mean(axis=0)) ** 2).sum(axis=2).mean()))
        return m.mean(axis=0), np.stack([f.head_rad for f in frames]).mean(axis=0), jitter

    def _forget_old_frames(self) -> None:
        while self._detector.poll() is not None:
            pass

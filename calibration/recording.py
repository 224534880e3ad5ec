"""Moving a face along a path while somebody looks: what was applied, and what was seen when."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.detector import Grab, LandmarkDetector, LandmarkFrame
from animaface.calibration.looking import Looker
from animaface.calibration.tape import Tape
from animaface.robot.face.clock import Clock, LockStepClock
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

    def photos(self, which: slice | NDArray[np.bool_]) -> Self:
        """With these of its photos alone, and all that was commanded."""
        return replace(
            self,
            frame_s=self.frame_s[which],
            landmarks_m=self.landmarks_m[which],
            head_rad=self.head_rad[which],
        )

    def arrays(self) -> dict[str, NDArray[Any]]:
        """For Work.keep; landmarks in float32 (a tenth of a micrometre)."""
        return {"start_s": np.array(self.start_s), "u": self.u.astype(np.float32), "frame_s": self.frame_s,
                "landmarks_m": self.landmarks_m.astype(np.float32), "head_rad": self.head_rad}  # fmt: skip

    @classmethod
    def of(cls, arrays: dict[str, NDArray[Any]]) -> Self:
        """From `arrays`."""
        return cls(float(arrays["start_s"]), arrays["u"].astype(np.float64), arrays["frame_s"],
                   arrays["landmarks_m"].astype(np.float64), arrays["head_rad"])  # fmt: skip


@dataclass(frozen=True)
class Glances:
    """Applied u[T, N] every TICK_S from start_s, and what F glances showed: when, and values[F, k]. M times the
    servos were asked where they are: when, and measured_u[M, N] (NaN where nobody can tell)."""

    start_s: float
    u: Array
    frame_s: Array
    values: Array
    measured_s: Array
    measured_u: Array


class Recorder:
    """Drives a robot at 1 / TICK_S a second and looks at the face meanwhile.

    Looking at a frame takes longer than a tick, so a thread does it beside the movement; in real time the robot is
    kept alive until it is done.
    """

    def __init__(self, robot: Robot, detector: LandmarkDetector, clock: Clock) -> None:
        self.robot = robot
        self.held: dict[int, float] = {}
        """Actuators that stay where they are whatever a path says: index -> u."""
        self._detector = detector
        self._clock = clock

    def record(
        self, path: Array, *, frame_hz: float, progress: Callable[[int, int], None] | None = None,
        head_only: bool = False, tape: Path | None = None,
    ) -> Recording:  # fmt: skip
        """Send path[T, N] tick by tick and keep frames at `frame_hz` at most; with `head_only` also those whose
        landmarks (NaN then) were not seen. With a `tape` each pose is on disk as soon as it was seen.

        Raises CalibrationError when not a single frame showed a face; what the robot raises goes through.
        """
        self._forget_old_frames()
        start_s, path = self._clock.now_s(), self._with_held(path)
        applied = np.empty_like(path)
        with ExitStack() as stack:
            log = stack.enter_context(Tape(tape, start_s, path.shape[1])) if tape else None
            told = 0

            def keep(frame: LandmarkFrame | None, tick: int) -> None:
                nonlocal told
                if log:
                    log.add(applied[told:tick], frame)
                    told = tick

            looker = stack.enter_context(self._looker(head_only, keep))
            self._drive(path, applied, start_s, looker.push, frame_hz=frame_hz, progress=progress)
            frames = looker.finish(self._stay)
            keep(None, len(path))
        if not frames:
            raise self._blind("while it moved")
        return Recording(
            start_s,
            applied,
            np.array([f.time_s for f in frames]),
            np.stack([f.landmarks_m for f in frames]),
            np.stack([f.head_rad for f in frames]),
        )

    def glance(self, path: Array, *, ask: bool = False) -> Glances:
        """Send path[T, N] tick by tick and glance at every frame: cheap, and without landmarks.

        ask: every second tick the servos are asked where they are, and waited for.
        """
        self._forget_old_frames()
        start_s, path = self._clock.now_s(), self._with_held(path)
        applied = np.empty_like(path)
        grabs: list[Grab] = []
        asked: list[tuple[float, Array]] | None = [] if ask else None
        self._drive(path, applied, start_s, lambda grab, tick: grabs.append(grab), asked=asked)
        return self._glances(start_s, applied, grabs, asked or [])

    def _glances(
        self, start_s: float, u: Array, grabs: list[Grab], asked: list[tuple[float, Array]]
    ) -> Glances:
        if not grabs:
            raise CalibrationError(f"{self._detector.name} gave no picture", next_step="check the camera")
        told = np.array([p for _, p in asked]).reshape(len(asked), len(self.robot.names))
        return Glances(start_s, u, np.array([g.time_s for g in grabs]),
                       np.stack([self._detector.glance(g) for g in grabs]), np.array([t for t, _ in asked]), told)  # fmt: skip

    def flash(self, flash: Callable[[bool], None], u: Array, switches_s: Sequence[float]) -> Glances:
        """Hold u[N] and switch a lamp at the ticks nearest to switches_s (on first); `u` of the result is the lamp."""
        self._forget_old_frames()
        start_s = self._clock.now_s()
        ticks = {round(s / TICK_S): k % 2 == 0 for k, s in enumerate(switches_s)}
        count = max(ticks) + round(0.3 / TICK_S)
        lamp, on, grabs = np.zeros((count, 1)), False, []
        for k in range(count):
            if k in ticks:
                on = ticks[k]
                flash(on)
            lamp[k] = on
            self.robot.send(u, self._clock.now_s())
            self._clock.sleep_until_s(start_s + (k + 1) * TICK_S)
            while (grab := self._detector.grab(start_s)) is not None:
                grabs.append(grab)
        return self._glances(start_s, lamp, grabs, [])

    def _drive(
        self, path: Array, applied: Array, start_s: float, on_grab: Callable[[Grab, int], None], *,
        frame_hz: float = np.inf, progress: Callable[[int, int], None] | None = None,
        asked: list[tuple[float, Array]] | None = None,
    ) -> None:  # fmt: skip
        """Send path[T, N], write what was applied into applied[T, N], hand out grabs with the ticks sent so far."""
        next_s = start_s
        for k, request in enumerate(path):
            applied[k] = self.robot.send(request, self._clock.now_s()).u
            if asked is not None and k % 2 == 0:
                before_s = self._clock.now_s()
                state = self.robot.read()
                asked.append((0.5 * (before_s + self._clock.now_s()), state.position_u))
            self._clock.sleep_until_s(start_s + (k + 1) * TICK_S)
            while (grab := self._detector.grab(next_s - 1e-6)) is not None:
                on_grab(grab, k + 1)
                next_s = max(next_s + 1.0 / frame_hz, grab.time_s)
            if progress and k % 50 == 49:
                progress(k + 1, len(path))

    def _looker(
        self, head_only: bool = False, on_seen: Callable[[LandmarkFrame, int], None] | None = None
    ) -> Looker:
        def see(grab: Grab) -> LandmarkFrame | None:
            frame = self._detector.see(grab)
            return frame if frame is not None and (head_only or frame.valid.all()) else None

        return Looker(see, time_waits=isinstance(self._clock, LockStepClock), on_seen=on_seen)

    def _stay(self) -> None:
        self.robot.settle(self.robot.applied_u, 2.0 * TICK_S)

    def go(self, u: Array, seconds: float) -> None:
        """Move smoothly from the last command to u[N] in `seconds`; nothing is kept."""
        start, u = self.robot.applied_u, self._with_held(u)
        since_s = self._clock.now_s()

        def path(now_s: float) -> Array:
            s = min(max((now_s - since_s) / seconds, 0.0), 1.0)
            return np.asarray(start + (u - start) * (s * s * s * (10.0 - 15.0 * s + 6.0 * s * s)))

        self.robot.follow(path, since_s + seconds)

    def look(
        self, u: Array, count: int, *, settle_s: float, head_only: bool = False
    ) -> tuple[Array, Array, float]:
        """Hold u[N]: mean landmarks [478, 3] and head [3] of `count` frames, and their jitter in m (rms)."""
        u = self._with_held(u)
        self.robot.settle(u, settle_s)
        since_s = self._clock.now_s()
        taken = 0
        with self._looker(head_only) as looker:
            for _ in range(round(10.0 / TICK_S)):
                self.robot.settle(u, TICK_S)
                while taken < count and (grab := self._detector.grab(since_s)) is not None:
                    looker.push(grab, 0)
                    taken += 1
                if taken == count:  # for each that showed no face another one is taken
                    taken = len(looker.finish(self._stay))
                if taken == count:
                    break
            frames = looker.finish(self._stay)
        if not frames:
            raise self._blind("in 10 s")
        m = np.stack([f.landmarks_m for f in frames])
        jitter = float(np.sqrt(((m - m.mean(axis=0)) ** 2).sum(axis=2).mean()))
        return m.mean(axis=0), np.stack([f.head_rad for f in frames]).mean(axis=0), jitter

    def _with_held(self, u: Array) -> Array:
        if not self.held:
            return u
        out = u.copy()
        out[..., list(self.held)] = list(self.held.values())
        return out

    def _blind(self, when: str) -> CalibrationError:
        return CalibrationError(f"{self._detector.name} saw no face {when}",
                                next_step="check light and distance, then calibrate again")  # fmt: skip

    def _forget_old_frames(self) -> None:
        while self._detector.grab(self._clock.now_s() + 1.0) is not None:
            pass

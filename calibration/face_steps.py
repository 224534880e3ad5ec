"""The steps of a session that move the face. Each keeps what it found at once and can be taken up half-way."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.bringup.walk import walk
from animaface.calibration.camera.delay import CameraDelay, measure_delay
from animaface.calibration.lags import Answer, answer_in, by_likes, moved_m, moved_pose, step_path
from animaface.calibration.options import Options, Stand
from animaface.calibration.paths import Body, babbling_path, exam_path
from animaface.calibration.recording import Recorder, Recording
from animaface.calibration.tape import read_tape
from animaface.calibration.work import Work
from animaface.selfmodel.history import TICK_S, Response

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]

_LEAST_TICKS: Final = 20
"""What is left of babbling is not driven when it is shorter: it would show no pose."""


class FaceSteps:
    """Bring-up, neutral, camera, lags, babbling and the fixed path, on one face."""

    def __init__(self, stand: Stand, work: Work, options: Options) -> None:
        self.stand, self.work, self.options = stand, work, options
        self.body = Body.of(stand.config)
        self._recorder: Recorder | None = None
        self._read: dict[tuple[Path, int], Recording | None] = {}
        self.later_s: Callable[[], float] = lambda: 0.0
        """How long the steps after the present one are expected to take."""

    # ---- the robot

    @contextmanager
    def moving(self) -> Iterator[None]:
        """The robot is armed only when a step asks for it, and rests and is released at the end."""
        try:
            yield
        finally:
            self.relax()

    def relax(self) -> None:
        """Rest and release; the next step that wants the robot arms it again."""
        if self._recorder is not None:
            robot, self._recorder = self._recorder.robot, None
            robot.__exit__(None, None, None)

    @property
    def recorder(self) -> Recorder:
        """A recorder on the armed robot."""
        if self._recorder is None:
            robot = self.stand.open_robot()
            report = robot.connect()
            self._recorder = Recorder(robot, self.stand.detector, self.stand.clock)
            if report.warning:
                self.stand.prompter.say(report.warning)
            robot.arm()
            self._recorder.go(self.body.neutral_u, 1.0)
        self._recorder.held = self.still
        return self._recorder

    @property
    def _head(self) -> list[int]:
        actuators = self.stand.config.actuators.values()
        return [i for i, a in enumerate(actuators) if a.region == "neck"]

    @property
    def still(self) -> dict[int, float]:
        """What stays at rest while the face is looked at: the neck, for a camera that sees only its own plane."""
        return {i: float(self.body.neutral_u[i]) for i in self._head} if self.stand.detector.plane else {}

    def progress(self, label: str) -> Progress:
        """A report of how far a step is, and how long all that is left will take."""
        since = time.monotonic()

        def report(done: int, total: int) -> None:
            left = (time.monotonic() - since) * (total - done) / max(done, 1)
            self.stand.prompter.progress(done, total, label, left + self.later_s())

        return report

    # ---- steps

    def bring_up(self) -> None:
        """Each actuator that is there, alone."""
        stand, progress = self.stand, self.progress("bring-up")
        for k, name in enumerate(stand.config.names):
            if not self.work.has(f"walked_{name}"):
                robot = self.recorder.robot
                if robot.present[k]:
                    found = walk(robot, stand.config, self.body.limits, stand.clock, stand.prompter, name)
                    self.work.keep_facts(f"walked_{name}", found.facts())
            progress(k + 1, len(stand.config.names))

    def neutral(self) -> None:
        """The face at rest; where the camera measures against it, it is learned first."""
        detector = self.stand.detector
        if not self.work.has("neutral"):
            self.recorder.look(self.body.neutral_u, 20, settle_s=1.0)
            self.work.keep("rest", **detector.learn_rest(20))
            landmarks_m, head_rad, jitter_m = self.recorder.look(self.body.neutral_u, 20, settle_s=0.2)
            self.work.keep("neutral", landmarks_m=landmarks_m, head_rad=head_rad, jitter_m=np.array(jitter_m),
                           present=self.recorder.robot.present)  # fmt: skip
        self.progress("neutral")(1, 1)

    def recall(self) -> None:
        """Give the detector back what an earlier run of this session learned for it."""
        rest, delay = self.work.arrays("rest"), self.work.facts("camera")
        if rest:
            self.stand.detector.recall_rest(rest)
        if delay:
            self.stand.detector.delay_s = float(delay["delay_s"])

    def camera(self) -> None:
        """The camera's own delay, taken out of everything that follows."""
        detector = self.stand.detector
        if not self.work.has("camera"):
            found = CameraDelay(detector.delay_s, "known", 0.0)
            if not detector.delay_known:
                detector.delay_s = 0.0
                recorder = self.recorder
                recorder.held = {}
                found = measure_delay(
                    recorder, self.stand.config, self.body.neutral_u, self.stand.flash, self.options.seed
                )
            self.work.keep_facts("camera", found.facts())
            detector.delay_s = found.delay_s
        self.progress("camera")(1, 1)

    def lags(self) -> None:
        """A step of each actuator alone."""
        names, progress = self.stand.config.names, self.progress("lags")
        kept = self.work.arrays("neutral") or {}
        for i, name in enumerate(names):
            if not self.work.has(f"step_{name}"):
                answer = self._step(i, kept) if kept["present"][i] else Answer.unknown()
                self.work.keep_facts(f"step_{name}", asdict(answer))
            progress(i + 1, len(names))

    def _step(self, i: int, kept: dict[str, NDArray[np.float64]]) -> Answer:
        recorder, neutral_u = self.recorder, self.body.neutral_u
        recorder.held = {}
        glances = recorder.glance(self.body.limits.made_legal(step_path(neutral_u, i)))
        there_u = self.body.limits.made_legal(moved_pose(neutral_u, i)[None])[0]
        recorder.go(there_u, 0.2)
        turns = i in self._head and self.stand.detector.plane
        there_m, head_rad, _ = recorder.look(there_u, 4, settle_s=0.3, head_only=turns)
        recorder.go(neutral_u, 0.3)
        jitter_m = float(kept["jitter_m"])
        rest_m = kept["landmarks_m"]
        there_m = np.where(np.isfinite(there_m), there_m, rest_m)
        moved = moved_m(rest_m, kept["head_rad"], there_m, head_rad, jitter_m * np.sqrt(1 / 4 + 1 / 20))
        return answer_in(glances, i, moved)

    def babbling(self) -> None:
        """Piece by piece, each pose kept as it is seen; then the head alone, where it was held still."""
        o, progress = self.options, self.progress("babbling")
        wanted = round(o.poses / o.frame_hz / TICK_S)
        next_path = self._curious() if o.active else self._random(wanted)
        while wanted - (done := self._babbled()) >= _LEAST_TICKS:
            path = next_path(done, min(round(o.chunk_s / TICK_S), wanted - done))
            self.recorder.go(path[0], 0.3)
            photos_hz = o.frame_hz * o.photos_per_pose
            self.recorder.record(path, frame_hz=photos_hz, tape=self.work.path(self._free_tape()))
            progress(self._babbled(), wanted)
        if self.still and not self.work.has("babbling_head"):
            path = babbling_path(self.body, o.head_s, o.seed + 1)
            self.work.keep("babbling_head", **self._head_only(path, o.frame_hz).arrays())

    def _tapes(self) -> list[Path]:
        return sorted(self.work.folder.glob("babbling_*.tape"))

    def _free_tape(self) -> str:
        """A new name; of a tape that shows nothing, the same again."""
        names = {p.name for p in self._tapes() if self._tape(p) is not None}
        return next(n for n in (f"babbling_{k:03d}.tape" for k in range(len(names) + 1)) if n not in names)

    def _babbled(self) -> int:
        """Ticks of babbling that were recorded."""
        return sum(len(r.u) for r in self._taped())

    def _taped(self) -> list[Recording]:
        found = [self._tape(path) for path in self._tapes()]
        return [r for r in found if r is not None]

    def _tape(self, path: Path) -> Recording | None:
        """What is on a tape; read once, and told when its end is missing."""
        size = path.stat().st_size
        if (path, size) not in self._read:
            there = read_tape(path)
            if there is not None and not there[1]:
                self.stand.prompter.say(f"{path.name} was cut off: its {len(there[0]['frame_s'])} whole poses are used, "
                                        "what is missing is recorded anew")  # fmt: skip
            self._read[path, size] = self._face_only(Recording.of(there[0])) if there else None
        return self._read[path, size]

    def _random(self, wanted: int) -> Callable[[int, int], Array]:
        path = babbling_path(self.body, wanted * TICK_S, self.options.seed)
        return lambda done, ticks: path[done : done + ticks]

    def _curious(self) -> Callable[[int, int], Array]:
        """Each piece where what was learned so far knows least; the robot rests while that is thought about."""
        from animaface.calibration.active import Curiosity

        o = self.options
        mind = Curiosity(self.body, self.response(), o.seed)

        def choose(done: int, ticks: int) -> Array:
            with self.moving():
                pass
            return mind.next_path(self._taped(), ticks * TICK_S, o.frame_hz)

        return choose

    def _face_only(self, seen: Recording) -> Recording:
        """With the head where it was held, where the camera can't tell a turn from a move."""
        if not self.still:
            return seen
        head = (self.work.arrays("neutral") or {})["head_rad"]
        return replace(seen, head_rad=np.tile(head, (len(seen.frame_s), 1)))

    def _head_only(self, path: Array, frame_hz: float) -> Recording:
        """A recording of the head alone; the face rests on it."""
        recorder, head = self.recorder, self._head
        recorder.held = {i: float(u) for i, u in enumerate(self.body.neutral_u) if i not in head}
        recorder.go(path[0], 0.5)
        seen = recorder.record(path, frame_hz=frame_hz, head_only=True)
        recorder.go(self.body.neutral_u, 0.5)
        recorder.held = self.still
        rest_m = (self.work.arrays("neutral") or {})["landmarks_m"]
        return replace(seen, landmarks_m=np.tile(rest_m, (len(seen.frame_s), 1, 1)))

    def exam(self) -> None:
        """The fixed path, for the score; the head's part apart where it was held."""
        o = self.options
        path = exam_path(self.stand.config, o.seed, swing_s=o.exam_swing_s, takes=o.exam_takes)
        if not self.work.has("exam"):
            self.recorder.go(path[0], 0.5)
            seen = self.recorder.record(path, frame_hz=o.exam_hz, progress=self.progress("check: fixed path"))
            self.work.keep("exam", **self._face_only(seen).arrays())
        if self.still and not self.work.has("exam_head"):
            part = path[: round(100 * min(o.head_s, o.exam_swing_s))]
            self.work.keep("exam_head", **self._head_only(part, o.exam_hz).arrays())

    # ---- what was kept

    def poses(self) -> int:
        """How many were babbled; of each, `photos_per_pose` photos were learned from."""
        return round(sum(len(r.frame_s) for r in self.recordings()) / self.options.photos_per_pose)

    def recordings(self) -> list[Recording]:
        """All babbling."""
        head = self.work.arrays("babbling_head")
        return self._taped() + ([Recording.of(head)] if head else [])

    def answers(self) -> dict[str, Answer]:
        """By actuator; where the step was skipped, what the config says, and all count as seen. What was seen without
        telling when is taken to be as late as its likes."""
        found, skipped, like = {}, {}, {}
        for name, a in self.stand.config.actuators.items():
            lag_s = 1e-3 * a.whole_lag_ms
            skipped[name] = Answer(0.5 * lag_s, 0.5 * lag_s, 1.0, 0.0)
            like[name] = f"{a.model} {a.drive}"
            if facts := self.work.facts(f"step_{name}"):
                found[name] = Answer(**facts)
        return skipped | by_likes(found, like)

    def response(self) -> Response:
        """Dead times and time constants of all actuators."""
        answers = list(self.answers().values())
        return Response(np.array([a.delay_s for a in answers]), np.array([a.tau_s for a in answers]))

    def observed(self) -> NDArray[np.bool_]:
        """[N] which actuators are seen."""
        return np.array([a.seen for a in self.answers().values()])

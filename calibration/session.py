"""The calibration session: neutral, lags, babbling, training, inversion, check, report; each step resumable.

Everything goes through Robot, LandmarkDetector, Prompter and Clock, so the real face, the simulated one and a
test run the same code. What a step finished is kept in the work folder at once; started again with the same
config and options, a session goes on where it stopped.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration import folder
from animaface.calibration.detector import LandmarkDetector
from animaface.calibration.lags import Answer, answer_of, step_path
from animaface.calibration.paths import Body, babbling_path, exam_path
from animaface.calibration.prompter import Prompter
from animaface.calibration.recording import Recorder, Recording
from animaface.calibration.work import Work
from animaface.robot.config import FaceConfig
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import MissingDependencyError
from animaface.robot.robot import Robot
from animaface.selfmodel.history import Response

Array = NDArray[np.float64]
log = logging.getLogger(__name__)

STEPS: Final = ("neutral", "lags", "babbling", "self-model", "inverse", "check", "report")


@dataclass(frozen=True)
class Options:
    """How much is done; the defaults calibrate a whole face in a few minutes.

    `shapes`: which expressions are tried out at the end, all when empty. `train` and `distil` go to
    TrainOptions and DistillOptions.
    """

    poses: int = 2000
    frame_hz: float = 10.0
    chunk_s: float = 20.0
    seed: int = 0
    exam_swing_s: float = 20.0
    exam_takes: int = 10
    speech_takes: int = 6
    shapes: tuple[str, ...] = ()
    train: dict[str, Any] = field(default_factory=dict)
    distil: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def quick(cls, seed: int = 0) -> "Options":
        """For tests and first looks: a small calibration in well under a minute."""
        return cls(
            poses=200, seed=seed, exam_swing_s=5.0, exam_takes=1, speech_takes=1,
            shapes=("jawOpen", "mouthSmileLeft", "eyeBlinkLeft", "browInnerUp", "mouthPucker", "happiness"),
            train={"steps": 300, "hidden": 32, "components": 10},
            distil={"expressions": 600, "solved": 300, "takes": 6, "hidden": 64, "solve_steps": 60, "imitate_steps": 200, "steps": 60,
                    "take_batch": 2},
        )  # fmt: skip


@dataclass(frozen=True)
class Stand:
    """The face in front of a detector. `open_robot` gives a robot that is not yet connected."""

    config: FaceConfig
    open_robot: Callable[[], Robot]
    detector: LandmarkDetector
    clock: Clock
    prompter: Prompter


class Session:
    """One calibration of one face."""

    def __init__(self, stand: Stand, work: Path, options: Options | None = None) -> None:
        self.stand = stand
        self.options = options or Options()
        self.work = Work(work)
        self._body = Body.of(stand.config)
        self._recorder: Recorder | None = None

    def run(self, target: Path) -> dict[str, Any]:
        """Do what is not yet done, write the calibration folder `target`, -> calibration.json's content.

        Raises CalibrationError, and what robot and detector raise; interrupted, call it again. Once the
        calibration is written the work folder is gone: the next session begins anew.
        """
        _need_torch()
        config = self.stand.config
        identity = {"face": config.id, "config": folder.config_hash(config), **asdict(self.options)}
        if self.work.begin(identity):
            self.stand.prompter.say(f"taking up the session in {self.work.folder}")
        with self._moving():
            self._neutral()
            self._lags()
            self._babbling()
        self._self_model()
        self._inverse()
        with self._moving():
            self._check()
        meta = self._facts()
        self._write(target, meta)
        self.work.clear()
        return meta

    # ---- on the face

    @contextmanager
    def _moving(self) -> Iterator[None]:
        """The robot is armed only when a step asks for it, and rests and is released at the end."""
        try:
            yield
        finally:
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
            self._recorder.go(self._body.neutral_u, 1.0)
        return self._recorder

    def _progress(self, label: str) -> Callable[[int, int], None]:
        since = time.monotonic()

        def report(done: int, total: int) -> None:
            left = (time.monotonic() - since) * (total - done) / max(done, 1)
            self.stand.prompter.progress(done, total, label, left)

        return report

    def _neutral(self) -> None:
        if not self.work.has("neutral"):
            landmarks_m, head_rad, jitter_m = self.recorder.look(self._body.neutral_u, 20, settle_s=1.0)
            self.work.keep("neutral", landmarks_m=landmarks_m, head_rad=head_rad, jitter_m=np.array(jitter_m),
                           present=self.recorder.robot.present)  # fmt: skip
        self._progress("neutral")(1, 1)

    def _lags(self) -> None:
        names, progress = self.stand.config.names, self._progress("lags")
        present, jitter_m = self._kept("neutral")["present"], float(self._kept("neutral")["jitter_m"])
        for i, name in enumerate(names):
            if not self.work.has(f"step_{name}"):
                answer = Answer(0.02, 0.02, 0.0, 0.0)
                if present[i]:
                    path = self._body.limits.made_legal(step_path(self._body.neutral_u, i))
                    answer = answer_of(self.recorder.record(path, frame_hz=100.0), i, jitter_m)
                self.work.keep_facts(f"step_{name}", asdict(answer))
            progress(i + 1, len(names))

    def _babbling(self) -> None:
        o, progress = self.options, self._progress("babbling")
        for k, path in enumerate(self._chunks()):
            if not self.work.has(f"babbling_{k:03d}"):
                self.recorder.go(path[0], 0.3)
                seen = self.recorder.record(path, frame_hz=o.frame_hz)
                self.work.keep(f"babbling_{k:03d}", **seen.arrays())
            progress(k + 1, len(self._chunks()))

    def _chunks(self) -> list[Array]:
        o = self.options
        total_s = o.poses / o.frame_hz
        count = max(1, round(total_s / o.chunk_s))
        return np.array_split(babbling_path(self._body, total_s, o.seed), count)

    def _check(self) -> None:
        from animaface.calibration import check
        from animaface.selfmodel.runtime import FaceInverse

        learned, options = self._learned(), self.options
        if not self.work.has("exam"):
            path = exam_path(
                self.stand.config, options.seed, swing_s=options.exam_swing_s, takes=options.exam_takes
            )
            self.recorder.go(path[0], 0.5)
            exam = self.recorder.record(path, frame_hz=25.0, progress=self._progress("check: fixed path"))
            self.work.keep("exam", **exam.arrays())
        inverse = FaceInverse.load(self.work.path("inverse.onnx"))
        if not self.work.has("expressions"):
            done_m = check.try_expressions(
                self.recorder, inverse, check.expressions(options.shapes)[1], self._body.neutral_u,
                self._progress("check: shapes"),
            )  # fmt: skip
            self.work.keep("expressions", done_m=done_m, reachable_m=self._reachable(done_m))
        if not self.work.has("speech"):
            lag_s = self._response().lag_s
            facts = check.try_speech(self.recorder, inverse, lag_s, learned.retarget(), options.speech_takes,
                                     self._progress("check: speech"))  # fmt: skip
            self.work.keep_facts("speech", facts)

    # ---- thinking

    def _self_model(self) -> None:
        from animaface.calibration import learn
        from animaface.selfmodel.train import TrainOptions

        path = self.work.path("selfmodel.safetensors")
        if not path.is_file():
            options = TrainOptions(seed=self.options.seed, **self.options.train)
            learned = learn.learn_face(self._recordings(), self._response(), self._observed(),
                                       self._kept("neutral")["landmarks_m"], options, self._progress("self-model"))  # fmt: skip
            learned.save(path)

    def _inverse(self) -> None:
        from animaface.calibration import learn
        from animaface.selfmodel.distill import DistillOptions
        from animaface.selfmodel.export import export_inverse, export_self_model

        path, names = self.work.path("inverse.onnx"), self.stand.config.names
        if not path.is_file():
            learned, options = self._learned(), DistillOptions(seed=self.options.seed, **self.options.distil)
            net = learn.learn_inverse(learned, self.stand.config, options, self._progress("inverse"))
            facts = {"face_id": self.stand.config.id, "config_hash": folder.config_hash(self.stand.config),
                     "poses": sum(len(r.frame_s) for r in self._recordings()), "seed": self.options.seed}  # fmt: skip
            export_self_model(learned.model, self.work.path("selfmodel.onnx"), names, learned.response,
                              learned.history, {**facts, "observed": learned.observed.tolist()})  # fmt: skip
            part = self.work.path("inverse.part")
            export_inverse(net, part, names, facts)
            part.replace(path)

    def _reachable(self, done_m: Array) -> Array:
        """[E, 478, 3] the best this face can do for each expression, as far as the self-model knows."""
        import torch

        from animaface.calibration import check, learn
        from animaface.selfmodel.inverse import SolveOptions

        learned = self._learned()
        solver, retarget, (_, values) = (
            learned.solver(self.stand.config),
            learned.retarget(),
            check.expressions(self.options.shapes),
        )
        targets = solver.objective.targets(retarget.landmarks_m(values), retarget.head_rad(values))
        start = learn.hand_part(self.stand.config)(values, self._body.neutral_u)
        u = solver.solve_poses(targets, start, SolveOptions(extra_starts=2, seed=self.options.seed))
        with torch.no_grad():
            x = solver.objective.settled(torch.as_tensor(u, dtype=torch.float32)).double().numpy()
        return learned.model.predict(x)[0] if len(done_m) else done_m

    def _learned(self) -> Any:
        from animaface.calibration.learn import Learned

        return Learned.load(self.work.path("selfmodel.safetensors"))

    # ---- what was kept

    def _kept(self, name: str) -> dict[str, NDArray[Any]]:
        return self.work.arrays(name) or {}

    def _recordings(self) -> list[Recording]:
        return [Recording.of(self._kept(f"babbling_{k:03d}")) for k in range(len(self._chunks()))]

    def _answers(self) -> list[Answer]:
        return [Answer(**(self.work.facts(f"step_{n}") or {})) for n in self.stand.config.names]

    def _response(self) -> Response:
        answers = self._answers()
        return Response(np.array([a.delay_s for a in answers]), np.array([a.tau_s for a in answers]))

    def _observed(self) -> NDArray[np.bool_]:
        return np.array([a.seen for a in self._answers()])

    # ---- the end

    def _facts(self) -> dict[str, Any]:
        from animaface.calibration import check

        config, learned, kept = self.stand.config, self._learned(), self._kept("expressions")
        names, values = check.expressions(self.options.shapes)
        exam = Recording.of(self._kept("exam"))
        model = check.score_self_model(learned, self._recordings(), exam)
        speech = self.work.facts("speech") or {}
        shapes = check.shape_table(names, values, learned.retarget(), kept["done_m"], kept["reachable_m"])
        answers = dict(zip(config.names, self._answers(), strict=True))
        return {
            "schema_version": folder.SCHEMA_VERSION,
            "face_id": config.id,
            "config_hash": folder.config_hash(config),
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
            "units": {"lags_ms": "ms", "moved_mm": "mm", "relative": "error / motion"},
            "detector": self.stand.detector.name,
            "neutral_mm": np.round(1e3 * learned.neutral_m, 3).tolist(),
            "jitter_mm": 1e3 * float(self._kept("neutral")["jitter_m"]),
            "lags_ms": {
                n: round(1e3 * (a.delay_s + a.tau_s), 1) if a.seen else config.actuators[n].lag_ms
                for n, a in answers.items()
            },
            "observability": {
                n: {"seen": a.seen, "moved_mm": round(1e3 * a.moved_m, 2), "fit": round(a.quality, 4),
                    "driven_by": "self-model" if a.seen else "hand map"}
                for n, a in answers.items()
            },
            "quality": {
                "poses": model["poses"],
                "self-model, worst region": model["models"]["self-model"]["worst"],
                "linear model, worst region": model["models"]["linear"]["worst"],
                "nearest neighbour, worst region": model["models"]["nearest neighbour"]["worst"],
                "constant face, worst region": model["models"]["constant face"]["worst"],
                "head error (deg)": model["head_error_deg"],
                "lips closed within 1.5 mm at m b p": speech.get("closed_share"),
                "vowel gap done / asked": speech.get("vowel_gap_ratio"),
                "vowels within 25 % of asked": speech.get("vowel_within_25_percent"),
                "correlation of lip gap asked and done": speech.get("gap_correlation"),
            },
            "models": model["models"],
            "speech": speech,
            "shapes": shapes,
            "options": asdict(self.options),
        }  # fmt: skip

    def _write(self, target: Path, meta: dict[str, Any]) -> None:
        from animaface.calibration.report import write_report

        learned, kept = self._learned(), self._kept("expressions")

        def fill(new: Path) -> None:
            into = Work(new)
            for name in ("selfmodel.onnx", "inverse.onnx"):
                (new / name).write_bytes(self.work.path(name).read_bytes())
            recordings = self._recordings()
            into.keep("babbling", **_joined(recordings))
            into.keep_facts("calibration", meta)
            write_report(new / "report.html", meta, learned.retarget(), kept["done_m"], kept["reachable_m"])

        folder.write(target, fill)
        self._progress("report")(1, 1)


def _joined(recordings: list[Recording]) -> dict[str, NDArray[Any]]:
    """Babbling as it is kept for later: commands at 100 Hz, frames as 16-bit hundredths of a millimetre."""
    landmarks = np.concatenate([r.landmarks_m for r in recordings])
    return {
        "u": np.concatenate([r.u for r in recordings]).astype(np.float16),
        "start_s": np.array([r.start_s for r in recordings]),
        "ticks": np.array([len(r.u) for r in recordings]),
        "frames": np.array([len(r.frame_s) for r in recordings]),
        "frame_s": np.concatenate([r.frame_s for r in recordings]),
        "landmarks_10um": np.round(1e5 * landmarks).astype(np.int16),
        "head_rad": np.concatenate([r.head_rad for r in recordings]).astype(np.float32),
    }


def _need_torch() -> None:
    try:
        import matplotlib  # noqa: F401
        import torch  # noqa: F401
    except ImportError as e:
        raise MissingDependencyError(f"a calibration needs torch and matplotlib ({e})",
                                     next_step="pip install 'animaface[train,report]'") from e  # fmt: skip

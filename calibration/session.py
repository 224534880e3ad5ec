"""The calibration session: bring-up, neutral, camera, lags, babbling, training, inversion, check, report.

Everything goes through Robot, LandmarkDetector, Prompter and Clock, so the real face, the simulated one and a
test run the same code. What a step finished is kept in the work folder at once; started again with the same
config and options, a session goes on where it stopped. Steps can be skipped, and done again.
"""

import logging
import time
from collections.abc import Callable, Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration import folder, outcome
from animaface.calibration.face_steps import FaceSteps
from animaface.calibration.options import NEEDED, STEPS, Options, Stand, check_steps, pieces_of
from animaface.calibration.recording import Recording
from animaface.calibration.work import Work
from animaface.robot.face.errors import MissingDependencyError
from animaface.robot.handmap import HandMap

__all__ = ["STEPS", "Options", "Session", "Stand"]

Array = NDArray[np.float64]
log = logging.getLogger(__name__)

GO, SKIP, STOP, ON, AGAIN = "go", "skip", "stop", "go on", "again"
_SHARE: Final = {"bring-up": 0.08, "neutral": 0.03, "camera": 0.05, "lags": 0.12, "babbling": 0.2,
                 "self-model": 0.12, "inverse": 0.25, "check": 0.15, "report": 0.0}  # fmt: skip
"""About how the time is spent, to tell how long it will take."""


class Session:
    """One calibration of one face."""

    def __init__(self, stand: Stand, work: Path, options: Options | None = None) -> None:
        self.stand = stand
        self.options = options or Options()
        self.work = Work(work)
        self._face = FaceSteps(stand, self.work, self.options)
        self._begun_s = time.monotonic()
        self._done_share = 0.0

    def run(
        self, target: Path, *, skip: Collection[str] = (), again: Collection[str] = (), guide: bool = False
    ) -> dict[str, Any]:
        """Do what is not yet done, write the calibration folder `target`, -> calibration.json's content.

        skip: steps to leave out; again: steps to do anew, with all that was built on them; guide: ask the
        person before and after each step that moves the face. Raises CalibrationError, ConfigError for a
        wrong step, and what robot and detector raise; interrupted, call it again. The work of a finished
        session is kept until the next one, so that a step can be done again.
        """
        _need_torch()
        check_steps(tuple(skip), skipped=True)
        check_steps(tuple(again), skipped=False)
        with self.work.held():
            return self._run(target, skip, again, guide=guide)

    def _run(
        self, target: Path, skip: Collection[str], again: Collection[str], *, guide: bool
    ) -> dict[str, Any]:
        self._take_up(again)
        doing: dict[str, Callable[[], None]] = {
            "bring-up": self._face.bring_up, "neutral": self._face.neutral, "camera": self._face.camera,
            "lags": self._face.lags, "babbling": self._face.babbling, "self-model": self._self_model,
            "inverse": self._inverse, "check": self._check,
        }  # fmt: skip
        with self._face.moving():
            for name, do in doing.items():
                if name in ("self-model", "inverse"):
                    self._face.relax()  # rests while the machine thinks
                if name not in skip:
                    self._step(name, do, guide=guide)
                self._done_share += _SHARE[name]
        meta = self._write(target)
        self.work.keep_facts("finished", {"date": meta["date"]})
        return meta

    def _take_up(self, again: Collection[str]) -> None:
        config = self.stand.config
        identity = {"face": config.id, "config": folder.config_hash(config), "eye": self.stand.detector.name,
                    **asdict(self.options)}  # fmt: skip
        taken_up = self.work.begin(identity)
        if taken_up and self.work.has("finished") and not again:
            self.work.clear()
            taken_up = self.work.begin(identity)
        self.work.forget("finished.*", *(p for step in again for p in pieces_of(step)))
        if taken_up:
            self.stand.prompter.say(f"taking up the session in {self.work.folder}")
        self._face.recall()

    def _step(self, name: str, do: Callable[[], None], *, guide: bool) -> None:
        """One step; with a guide the person may skip it, stop before it, or have it done again."""
        prompter, moves = self.stand.prompter, name not in ("self-model", "inverse")
        number = list(STEPS).index(name) + 1
        self._face.later_s = lambda: self._later_s(name)
        prompter.say(f"step {number} of {len(STEPS)}, {name}: {STEPS[name]}")
        if guide and moves:
            options = (GO, STOP) if name in NEEDED else (GO, SKIP, STOP)
            told = prompter.choose(f"{name}: now?", options)
            if told == SKIP:
                return
            if told == STOP:
                raise KeyboardInterrupt
        do()
        while guide and moves and prompter.choose(f"{name}: done. Go on?", (ON, AGAIN)) == AGAIN:
            self.work.forget(*pieces_of(name))
            do()

    def _later_s(self, name: str) -> float:
        """A guess at how long the steps after `name` take, from how long those before did."""
        spent_s = time.monotonic() - self._begun_s
        later = 1.0 - self._done_share - _SHARE[name]
        return spent_s * later / self._done_share if self._done_share > 0.2 else 0.0

    # ---- on the face

    def _check(self) -> None:
        from animaface.calibration import check
        from animaface.calibration.curve import pose_curve
        from animaface.selfmodel.runtime import FaceInverse

        learned, options, face = self._learned(), self.options, self._face
        face.exam()
        inverse = FaceInverse.load(self.work.path("inverse.onnx"))
        if not self.work.has("expressions"):
            values = check.expressions(options.shapes)[1]
            by_hand = HandMap(self.stand.config)(values)
            before_m, done_m = (
                check.try_expressions(
                    face.recorder, u, face.body.neutral_u, face.progress(f"check: shapes{how}")
                )
                for u, how in ((by_hand, " by the hand map"), (check.held(inverse, values), ""))
            )
            face.relax()  # rests while the machine thinks
            reachable_m = self._reachable(done_m)
            self.work.keep("expressions", before_m=before_m, done_m=done_m, reachable_m=reachable_m)
        if not self.work.has("speech"):
            lag_s = face.response().lag_s
            facts = check.try_speech(face.recorder, inverse, lag_s, outcome.seen_targets(face, learned), options.speech_takes,
                                     face.progress("check: speech"))  # fmt: skip
            self.work.keep_facts("speech", facts)
        face.relax()  # what is left is thinking
        if not self.work.has("curve"):
            way = "active" if options.active else "smooth"
            learned = replace(learned, response=face.response())  # fewer photos set the lags less right
            rows = pose_curve(learned, face.recordings(), Recording.of(self.work.arrays("exam") or {}), options, way,
                              face.progress("check: what photos teach"))  # fmt: skip
            self.work.keep_facts("curve", {"rows": rows})

    # ---- thinking

    def _self_model(self) -> None:
        from animaface.calibration import learn
        from animaface.selfmodel.train import TrainOptions

        path = self.work.path("selfmodel.safetensors")
        if not path.is_file():
            options = TrainOptions(seed=self.options.seed, **self.options.train)
            learned = learn.learn_face(self._face.recordings(), self._face.response(), self._face.observed(),
                                       (self.work.arrays("neutral") or {})["landmarks_m"], options, self._face.progress("self-model"))  # fmt: skip
            learned.save(path)

    def _inverse(self) -> None:
        from animaface.calibration import learn
        from animaface.selfmodel.distill import DistillOptions
        from animaface.selfmodel.export import export_inverse, export_self_model

        path, names = self.work.path("inverse.onnx"), self.stand.config.names
        if not path.is_file():
            learned, options = self._learned(), DistillOptions(seed=self.options.seed, **self.options.distil)
            net = learn.learn_inverse(learned, self.stand.config, options, self._face.progress("inverse"))
            facts = {"face_id": self.stand.config.id, "config_hash": folder.config_hash(self.stand.config),
                     "poses": self._face.poses(), "seed": self.options.seed}  # fmt: skip
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
        start = learn.hand_part(self.stand.config)(values, self._face.body.neutral_u)
        u = solver.solve_poses(targets, start, SolveOptions(extra_starts=2, seed=self.options.seed))
        with torch.no_grad():
            x = solver.objective.settled(torch.as_tensor(u, dtype=torch.float32)).double().numpy()
        return learned.model.predict(x)[0] if len(done_m) else done_m

    def _learned(self) -> Any:
        from animaface.calibration.learn import Learned

        return Learned.load(self.work.path("selfmodel.safetensors"))

    # ---- the end

    def _write(self, target: Path) -> dict[str, Any]:
        learned = self._learned()
        meta = outcome.facts(self._face, learned)
        outcome.write(target, self._face, learned, meta)
        self._face.progress("report")(1, 1)
        return meta


def _need_torch() -> None:
    try:
        import matplotlib  # noqa: F401
        import torch  # noqa: F401
    except ImportError as e:
        raise MissingDependencyError(f"a calibration needs torch and matplotlib ({e})",
                                     next_step="pip install 'animaface[train,report]'") from e  # fmt: skip

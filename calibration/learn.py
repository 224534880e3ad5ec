"""From recordings to networks: the self-model, then its inverse. Needs torch (extra `train`)."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray

from animaface.calibration.paths import command_limits
from animaface.calibration.recording import Recording
from animaface.calibration.timing import timed
from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import CalibrationError
from animaface.robot.handmap import HandMap
from animaface.selfmodel.distill import DistilledInverse, DistillOptions, HandPart, distil
from animaface.selfmodel.export import import_self_model
from animaface.selfmodel.history import History, Response
from animaface.selfmodel.inverse import Solver
from animaface.selfmodel.network import SelfModel, Shape
from animaface.selfmodel.objective import Objective, Weights
from animaface.selfmodel.retarget import Retarget
from animaface.selfmodel.rig import default_rig
from animaface.selfmodel.skin import skin_curves
from animaface.selfmodel.train import TrainOptions, train_self_model

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Learned:
    """What was learned about one face, and all that is needed to solve with it."""

    model: SelfModel
    response: Response
    history: History
    observed: NDArray[np.bool_]
    neutral_m: Array

    def inputs(self, recording: Recording) -> Array:
        """Network inputs [F, ...] at the frames of a recording."""
        return recording.at_frames(self.history.inputs(self.response.follow(recording.u)))

    def solver(self, config: FaceConfig, weights: Weights | None = None) -> Solver:
        """A solver for this face; other `weights` make other commands good."""
        limits = command_limits(config)
        stands = self.model.asked(torch.as_tensor(limits.neutral_u)).double().numpy()
        limits = replace(limits, neutral_u=np.clip(stands, 0.0, 1.0))  # a slipped horn rests somewhere else
        objective = Objective(self.model, self.history, limits, self.neutral_m, weights)
        return Solver(objective, self.response, self.observed)

    def retarget(self) -> Retarget:
        """The shipped rig in the size of this face, as far as its eye sees."""
        return Retarget(default_rig(), self.neutral_m, depth=self.model.sees_depth)

    def save(self, path: Path) -> None:
        """Safetensors, whole or not at all."""
        facts = {"shape": vars(self.model.shape), "delay_s": self.response.delay_s.tolist(),
                 "tau_s": self.response.tau_s.tolist(), **self.history.facts(), "observed": self.observed.tolist()}  # fmt: skip
        tensors = {**self.model.state_dict(), "neutral_m": torch.as_tensor(self.neutral_m)}
        _save({k: v.contiguous() for k, v in tensors.items()}, path, facts)

    @classmethod
    def load(cls, path: Path) -> "Learned":
        """What `save` wrote."""
        tensors, facts = _load(path)
        neutral_m = tensors.pop("neutral_m").double().numpy()
        model = SelfModel(Shape(**facts["shape"]))
        model.load_state_dict({**model.state_dict(), **tensors})  # earlier versions knew fewer numbers
        return cls(model.eval(), Response(np.array(facts["delay_s"]), np.array(facts["tau_s"])),
                   History.of(facts), np.array(facts["observed"]), neutral_m)  # fmt: skip


def load_learned(calibration: Path, neutral_m: Array, config: FaceConfig) -> Learned:
    """What a calibration folder knows, to solve with. `neutral_m` [478, 3]: the face at rest."""
    model, response, history, facts = import_self_model(calibration / "selfmodel.onnx")
    if tuple(facts["actuators"]) != config.names:
        raise CalibrationError(
            f"{calibration} is for other actuators", next_step=f"animaface calibrate {config.id}"
        )
    cables_go_slack(model, config)
    return Learned(model, response, history, np.array(facts["observed"]), neutral_m)


def cables_go_slack(model: SelfModel, config: FaceConfig) -> None:
    """Tell the model which actuators pull by a cable: below its 0 nothing is pulled, however much longer it has grown."""
    cable = torch.tensor([a.drive == "tendon" for a in config.actuators.values()])
    model.least.copy_(torch.where(cable, 0.0, SelfModel.NO_END))


def learn_face(
    recordings: Sequence[Recording], response: Response, observed: NDArray[np.bool_], neutral_m: Array,
    options: TrainOptions, progress: Progress,
) -> Learned:  # fmt: skip
    """Train the self-model on babbling. `response`: what the steps told; the photos set it right (timing.py)."""
    response = timed(response, recordings)
    history = history_of(recordings, response)
    inputs = np.concatenate([r.at_frames(history.inputs(response.follow(r.u))) for r in recordings])
    landmarks = np.concatenate([r.landmarks_m for r in recordings])
    head = np.concatenate([r.head_rad for r in recordings])
    model = train_self_model(inputs, landmarks, head, len(observed), history, options, progress)
    return Learned(model, response, history, observed, neutral_m)


def history_of(recordings: Sequence[Recording], response: Response) -> History:
    """What a face remembers, as far as its photos tell."""
    q = np.concatenate([r.at_frames(response.follow(r.u)) for r in recordings])
    return History(skin=skin_curves(q, np.concatenate([r.landmarks_m for r in recordings])))


def hand_part(config: FaceConfig) -> HandPart:
    """The hand map as plain arrays."""
    return HandPart(HandMap(config).shares)


def learn_inverse(
    learned: Learned, config: FaceConfig, options: DistillOptions, progress: Progress
) -> DistilledInverse:
    """Distil the inverse of a learned face."""
    return distil(
        learned.solver(config), learned.retarget(), hand_part(config), learned.observed, options, progress
    )


def _save(tensors: dict[str, torch.Tensor], path: Path, facts: dict[str, Any]) -> None:
    part = path.with_suffix(".part")
    safetensors.torch.save_file(tensors, part, metadata={"facts": json.dumps(facts)})
    part.replace(path)


def _load(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    with safetensors.safe_open(path, framework="pt") as f:
        return {k: f.get_tensor(k) for k in f.keys()}, json.loads(f.metadata()["facts"])  # noqa: SIM118

"""A face ages: noticing it from a few frames, and learning it again from fifty poses. Needs torch.

Cables stretch, a horn slips on its teeth, skin grows soft. What that does is mostly that actuators stand elsewhere
than their commands say, so a few dozen poses are enough: first one number per actuator is fitted (by how much it has
slipped), then everything is adjusted a little, held back by what the model knew before.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animaface.calibration.learn import Learned
from animaface.calibration.paths import Body, babbling_path
from animaface.calibration.recording import Recording
from animaface.robot.face.errors import CalibrationError
from animaface.robot.face.landmarks import REGION_NAMES, regions
from animaface.selfmodel.history import TICK_S
from animaface.selfmodel.network import SelfModel, pack

Array = NDArray[np.float64]

DRIFTED_RATIO: Final = 1.6
DRIFTED_MM: Final = 0.25
"""A region has drifted when its error is this many times, and by this much, above what was usual."""
SLIPPED_U: Final = 0.03
_FEWEST: Final = 5
_IMAGINED_S: Final = 60.0
_HOLD: Final = 0.5


@dataclass(frozen=True)
class Drift:
    """Error per region now and usually, mm (rms over its landmarks); `slips`: actuators that stand elsewhere, u."""

    error_mm: dict[str, float]
    usual_mm: dict[str, float]
    slips: dict[str, float]

    @property
    def regions(self) -> tuple[str, ...]:
        """Regions that have drifted."""
        return tuple(
            r for r, now in self.error_mm.items()
            if now > DRIFTED_RATIO * self.usual_mm.get(r, np.inf) and now > self.usual_mm.get(r, np.inf) + DRIFTED_MM
        )  # fmt: skip

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "drifted": self.regions,
            "error_mm": self.error_mm,
            "usual_mm": self.usual_mm,
            "slips_u": self.slips,
        }


def region_errors_mm(learned: Learned, seen: Recording) -> dict[str, float]:
    """Rms error of the self-model in each region on a recording, mm."""
    square = ((learned.model.predict(learned.inputs(seen))[0] - seen.landmarks_m) ** 2).sum(axis=2)
    return {r: float(1e3 * np.sqrt(square[:, list(regions()[r])].mean())) for r in REGION_NAMES}


def find_drift(
    learned: Learned, seen: Recording, usual_mm: dict[str, float], body: Body, names: Sequence[str]
) -> Drift:
    """Compare a few frames of a moving face with what its self-model expects.

    `usual_mm`: error per region when the calibration was made (models.self-model.error_mm of calibration.json).
    Raises CalibrationError for fewer than five frames.
    """
    if len(seen.frame_s) < _FEWEST:
        raise CalibrationError(f"drift needs {_FEWEST} frames or more, found {len(seen.frame_s)}",
                               next_step="let the face move in front of the camera for a few seconds")  # fmt: skip
    found = Drift(region_errors_mm(learned, seen), usual_mm, {})
    if not found.regions:
        return found
    slips = adapt(learned, [seen], body, steps=150, adjust=0).model.slip.tolist()
    return replace(
        found, slips={n: round(s, 3) for n, s in zip(names, slips, strict=True) if abs(s) > SLIPPED_U}
    )


def recalibration_path(body: Body, poses: int, seed: int, frame_hz: float) -> Array:
    """[T, N] babbling for so many poses, from a seed that training did not use."""
    return babbling_path(body, poses / frame_hz, 7919 + seed)


def adapt(
    learned: Learned,
    recordings: Sequence[Recording],
    body: Body,
    *,
    steps: int = 300,
    adjust: int = 250,
    seed: int = 0,
) -> Learned:
    """A self-model for the face as it is now, from few poses; `learned` itself stays as it was.

    `steps` of Adam for the slips alone, then `adjust` steps for everything, where babbling that nobody
    photographed, as the model with its new slips imagines it, holds back what the poses say nothing about.
    """
    torch.manual_seed(seed)
    model = copy.deepcopy(learned.model)
    x = _tensor(np.concatenate([learned.inputs(r) for r in recordings]))
    y = pack(
        np.concatenate([r.landmarks_m for r in recordings]), np.concatenate([r.head_rad for r in recordings])
    )
    target = _coefficients(model, y)
    _fit_slips(model, x, target, steps, _tensor(learned.observed.astype(np.float64)))
    if adjust:
        imagined = babbling_path(body, _IMAGINED_S, seed)
        known = learned.history.inputs(learned.response.follow(imagined))[:: round(0.1 / TICK_S)]
        _adjust(model, x, target, _tensor(known), adjust, seed)
    return replace(learned, model=model.eval())


def _fit_slips(model: SelfModel, x: Tensor, target: Tensor, steps: int, free: Tensor) -> None:
    for p in model.parameters():
        p.requires_grad_(False)
    before = model.slip.clone()
    slip = torch.zeros_like(before, requires_grad=True)
    optimiser = torch.optim.Adam([slip], lr=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.02, total_steps=max(steps, 2))
    for _ in range(steps):
        model.slip = before + free * slip
        loss = _error(model, x, target) + 0.02 * slip.abs().sum()  # few slip, and most not at all
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    model.slip = (before + free * slip).detach()


def _adjust(model: SelfModel, x: Tensor, target: Tensor, imagined: Tensor, steps: int, seed: int) -> None:
    """Train on, at a low rate; imagined poses, answered by the model before, keep it from forgetting."""
    with torch.no_grad():
        known = model.members(imagined)
    random = np.random.default_rng(seed)
    learning = [model.linear, model.bias, model.w1, model.w2, model.w3, model.memory]
    for p in learning:
        p.requires_grad_(True)
    optimiser = torch.optim.Adam(learning, lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    for _ in range(steps):
        pick = torch.as_tensor(random.integers(0, len(imagined), 128))
        forgotten = ((model.members(imagined[pick]) - known[:, pick]) ** 2).sum(dim=2).mean()
        loss = _error(model, x, target) + _HOLD * forgotten
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()


def _coefficients(model: SelfModel, y: Array) -> Tensor:
    """Targets [B, rows] in the units that members answer in."""
    off = _tensor(y) - model.mean
    return (off @ model.basis.T) / model.scale


def _error(model: SelfModel, x: Tensor, target: Tensor) -> Tensor:
    return ((model.members(x) - target) ** 2).sum(dim=2).mean()


def _tensor(a: Array) -> Tensor:
    return torch.as_tensor(a, dtype=torch.float32)

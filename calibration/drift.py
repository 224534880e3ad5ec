"""A face ages: noticing it from a few frames, and learning it again from fifty poses. Needs torch.

Cables stretch, a horn slips on its teeth, skin grows soft. What that does is mostly that actuators stand elsewhere
than their commands say, or go further, so a few dozen poses are enough: first two numbers per actuator are fitted
(slip and stretch), most of them nothing (a Cauchy prior); then the curves are corrected in closed form (kernel ridge, mostly
those of actuators that have changed), as far as poses that were left out say that it helps.
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
FRAME_HZ: Final = 2.5
"""Photos a second while learning again: they are few, so each should show something else."""
_IMAGINED: Final = 24
"""Paths that are thought through for the one that is driven."""
_SLIP_U, _STRETCH = 0.01, 0.02
"""What slips and stretches are usually below."""
_ROUNDS: Final = 12
_NUDGE: Final = 0.01
_NOISE: Final = 0.04
"""Error of a good model, in units of a block's motion."""
_CORRECTIONS: Final = (0.0, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.3, 1.0)
_FOLDS: Final = 5


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


def find_drift(learned: Learned, seen: Recording, usual_mm: dict[str, float], names: Sequence[str]) -> Drift:
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
    slips = adapt(learned, [seen], correct=False).model.slip.tolist()
    return replace(
        found, slips={n: round(s, 3) for n, s in zip(names, slips, strict=True) if abs(s) > SLIPPED_U}
    )


def recalibration_path(learned: Learned, body: Body, poses: int, seed: int) -> Array:
    """[T, N] babbling for so many poses at FRAME_HZ, from seeds that training did not use: of many such paths the one whose
    photos tell most about all slips and stretches at once (D-optimal: Fedorov 1972)."""
    every = round(1.0 / (FRAME_HZ * TICK_S))
    paths = [babbling_path(body, poses / FRAME_HZ, 7919 + _IMAGINED * seed + k) for k in range(_IMAGINED)]

    def told(path: Array) -> float:
        model = copy.deepcopy(learned.model)
        x = _tensor(learned.history.inputs(learned.response.follow(path))[::every])
        with torch.no_grad():
            slopes = _slopes(model, x, _tensor(learned.observed)).flatten(1).double() / _NOISE
        prior = torch.tensor([_SLIP_U**-2, _STRETCH**-2], dtype=torch.double).repeat_interleave(
            len(learned.observed)
        )
        return float(torch.logdet(slopes @ slopes.T + torch.diag(prior)))

    return max(paths, key=told)


def adapt(learned: Learned, recordings: Sequence[Recording], *, correct: bool = True) -> Learned:
    """A self-model for the face as it is now, from few poses; `learned` itself stays as it was.

    `correct`: the curves too, and not only where actuators stand.
    """
    model = copy.deepcopy(learned.model)
    x = _tensor(np.concatenate([learned.inputs(r) for r in recordings]))
    y = pack(
        np.concatenate([r.landmarks_m for r in recordings]), np.concatenate([r.head_rad for r in recordings])
    )
    with torch.no_grad():
        target = ((_tensor(y) - model.mean) @ model.basis.T) / model.scale
        _fit_stands(model, x, target, _tensor(learned.observed))
        if correct:
            _correct(model, x, target)
    return replace(learned, model=model.eval())


def _fit_stands(model: SelfModel, x: Tensor, target: Tensor, free: Tensor) -> None:
    """Slips and stretches by Gauss-Newton; the prior's weights follow what was found (iteratively reweighted)."""
    n = len(free)
    first = torch.cat([model.slip, model.stretch]).clone()
    usual = torch.tensor([_SLIP_U, _STRETCH]).repeat_interleave(n)
    found = torch.zeros(2 * n)
    for _ in range(_ROUNDS):
        left = _left(model, x, target)
        noise = (
            left.square().sum(dim=2).mean(dim=0).clamp(min=_NOISE**2).sqrt()[None, :, None]
        )  # of each block
        slopes = (_slopes(model, x, free) / noise).flatten(1).double()
        prior = 2.0 / (usual**2 + found**2).double()
        gram = slopes @ slopes.T + torch.diag(prior)
        step = torch.linalg.solve(gram, slopes @ (left / noise).flatten().double() - prior * found)
        found = found + step.float().clamp(-0.15, 0.15)
        model.slip.copy_((first + found)[:n])
        model.stretch.copy_((first + found)[n:].clamp(-0.5, 0.5))


def _slopes(model: SelfModel, x: Tensor, free: Tensor) -> Tensor:
    """[2 N, B, blocks, components] what a unit of each slip, then of each stretch, would change."""
    base, out = _left(model, x, torch.zeros(())), []
    for numbers in (model.slip, model.stretch):
        for i, moves in enumerate(free):
            numbers[i] += _NUDGE
            out.append(moves * (base - _left(model, x, torch.zeros(()))) / _NUDGE)
            numbers[i] -= _NUDGE
    return torch.stack(out)


def _left(model: SelfModel, x: Tensor, target: Tensor) -> Tensor:
    """[B, blocks, components] what the model has not explained of the targets."""
    return (target - model.members(x).mean(dim=0)).view(len(x), model.shape.n_blocks, -1)


def _correct(model: SelfModel, x: Tensor, target: Tensor) -> None:
    """Kernel ridge on the curves of each block; how much, is what poses that were left out say."""
    s = model.shape
    left = _left(model, x, target).transpose(0, 1).double()  # [blocks, B, components]
    changed = 1.0 + (model.slip / 0.05) ** 2 + (model.stretch / 0.05) ** 2
    smooth = torch.tensor([1.0 / (d + 1) ** 2 for d in range(s.degree)] + [1.0] * s.n_creeps)
    size = (changed[:, None] * smooth).flatten().double()
    for b, f in enumerate(model.curves(x).double()):
        f = torch.cat([f, torch.ones(len(f), 1, dtype=f.dtype)], dim=1)
        weights = torch.cat([size, size.new_ones(1)])
        kernel = (f * weights) @ f.T
        most = min(_CORRECTIONS, key=lambda share: _left_out(kernel, left[b], share))
        change = weights[:, None] * (f.T @ _answer(kernel, left[b], most))
        model.linear[b] += change[:-1].float()
        model.bias[b] += change[-1:].float()


def _answer(kernel: Tensor, left: Tensor, share: float) -> Tensor:
    """[B, components] weights of the poses, so that kernel @ weights is the correction; errors of the poses count 1."""
    system = share * kernel + torch.eye(len(kernel), dtype=kernel.dtype)
    found: Tensor = share * torch.linalg.solve(system, left)
    return found


def _left_out(kernel: Tensor, left: Tensor, share: float) -> float:
    """Sum of squares that is left of poses in pieces of the path that were not used."""
    total = 0.0
    for out in torch.arange(len(left)).tensor_split(_FOLDS):
        kept = torch.ones(len(left), dtype=torch.bool)
        kept[out] = False
        told = kernel[out][:, kept] @ _answer(kernel[kept][:, kept], left[kept], share)
        total += float(((left[out] - told) ** 2).sum())
    return total


def _tensor(a: NDArray[Any]) -> Tensor:
    return torch.as_tensor(a, dtype=torch.float32)

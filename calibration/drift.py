"""A face ages: noticing it from a few frames, and learning it again from fifty poses. Needs torch.

Cables stretch, a horn slips on its teeth, skin grows soft. What that does is mostly that actuators stand elsewhere
than their commands say, or go further, so a few dozen poses are enough: first two numbers per actuator are fitted
(slip and stretch), most of them nothing (a Cauchy prior); then the curves are corrected in closed form (kernel ridge, mostly
those of actuators that have changed), as far as poses that were left out say that it helps.

The poses are a piece of the babbling of its youth, driven again. What the self-model did not know there it does not know
now: taken out photo by photo, it leaves what has changed. With poses that have no photo from before, the model's own
error is most of what is seen of skin that grew a little softer.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animaface.calibration.album import beginning
from animaface.calibration.learn import Learned
from animaface.calibration.paths import Body, babbling_path
from animaface.calibration.recording import Recording
from animaface.robot.face.errors import CalibrationError
from animaface.robot.face.landmarks import REGION_NAMES, regions
from animaface.selfmodel.history import TICK_S
from animaface.selfmodel.network import SelfModel, pack

Array = NDArray[np.float64]

DRIFTED_RATIO: Final = 1.5
DRIFTED_MM: Final = 0.15
"""A region has drifted when its error is this many times, and by this much, above what was usual."""
SLIPPED_U: Final = 0.03
_FEWEST: Final = 5
FRAME_HZ: Final = 2.5
"""Photos a second while learning again, or a little more (again_hz): they are few, so each should show something else."""
_IMAGINED: Final = 24
"""Paths that are thought through for the one that is driven."""
_SLIP_U, _STRETCH = 0.01, 0.02
"""What slips and stretches are usually below."""
_ROUNDS: Final = 10
_SHORTEST_S: Final = 1.0
"""A piece shorter than this isn't worth the way to where it begins."""
_NUDGE: Final = 0.01
_NOISE: Final = 0.02
"""The least error of a good model along a component, in units of its block's motion."""
_SAME_S: Final = 0.05
"""Photos of the same path that were taken within this time of each other show the same pose."""
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


def region_errors_mm(learned: Learned, seen: Sequence[Recording]) -> dict[str, float]:
    """Rms error of the self-model in each region on recordings, mm."""
    wrong = [learned.model.predict(learned.inputs(r))[0] - r.landmarks_m for r in seen]
    square = (np.concatenate(wrong) ** 2).sum(axis=2)
    return {r: float(1e3 * np.sqrt(square[:, list(regions()[r])].mean())) for r in REGION_NAMES}


def find_drift(
    learned: Learned, seen: Sequence[Recording], usual_mm: dict[str, float], names: Sequence[str],
    before: Sequence[Recording | None] = (),
) -> Drift:  # fmt: skip
    """Compare a few frames of a moving face with what its self-model expects.

    `usual_mm`: error per region when the calibration was made, best of the same poses (`region_errors_mm` of `before`), else of
    its fixed path (models.self-model.error_mm of calibration.json).
    `before`: for each recording the same path in the face's youth, or None.
    Raises CalibrationError for fewer than five frames.
    """
    frames = sum(len(r.frame_s) for r in seen)
    if frames < _FEWEST:
        raise CalibrationError(f"drift needs {_FEWEST} frames or more, found {frames}",
                               next_step="let the face move in front of the camera for a few seconds")  # fmt: skip
    found = Drift(region_errors_mm(learned, seen), usual_mm, {})
    if not found.regions:
        return found
    slips = adapt(learned, seen, before, correct=False).model.slip.tolist()
    return replace(
        found, slips={n: round(s, 3) for n, s in zip(names, slips, strict=True) if abs(s) > SLIPPED_U}
    )


def again_hz(album: Sequence[Recording]) -> float:
    """Poses a second when pieces of the album are driven again: FRAME_HZ or a little more, so that each meets a photo of it."""
    gaps_s = [gap for r in album for gap in np.diff(r.frame_s)]
    if not gaps_s:
        return FRAME_HZ
    own_hz = 1.0 / max(float(np.median(gaps_s)), TICK_S)
    return own_hz / max(1, round(own_hz / FRAME_HZ))


def pieces_again(learned: Learned, album: Sequence[Recording], poses: int) -> list[Recording]:
    """What to drive again for so many poses, `again_hz` of them a second: beginnings of pieces of the album, those first whose photos tell
    most about all slips and stretches at once (D-optimal: Fedorov 1972). Empty when the album shows no moving face."""
    left_s, chosen = poses / again_hz(album), []
    pieces = [
        beginning(r, left_s) for r in album if len(r.frame_s) and np.ptp(r.landmarks_m, axis=0).max() > 0.0
    ]
    known = _prior(len(learned.observed))
    told = [_information(learned, p.u) for p in pieces]
    while pieces and left_s > _SHORTEST_S:
        best = max(range(len(pieces)), key=lambda k: float(torch.logdet(known + told[k])))
        known = known + told.pop(best)
        chosen.append(beginning(pieces.pop(best), left_s))
        left_s -= TICK_S * len(chosen[-1].u)
    return chosen


def recalibration_path(learned: Learned, body: Body, poses: int, seed: int) -> Array:
    """[T, N] the same from babbling that was never driven, for a calibration that keeps no photos."""
    paths = [babbling_path(body, poses / FRAME_HZ, 7919 + _IMAGINED * seed + k) for k in range(_IMAGINED)]
    known = _prior(len(learned.observed))
    return max(paths, key=lambda path: float(torch.logdet(known + _information(learned, path))))


def _prior(n: int) -> Tensor:
    return torch.diag(torch.tensor([_SLIP_U**-2, _STRETCH**-2], dtype=torch.double).repeat_interleave(n))


def _information(learned: Learned, path: Array) -> Tensor:
    """[2 N, 2 N] of photos of path[T, N] about slips and stretches."""
    every = round(1.0 / (FRAME_HZ * TICK_S))
    model = copy.deepcopy(learned.model)
    x = _tensor(learned.history.inputs(learned.response.follow(path))[::every])
    with torch.no_grad():
        slopes = _slopes(model, x, _tensor(learned.observed)).flatten(1).double() / (2.0 * _NOISE)
    return slopes @ slopes.T


def adapt(
    learned: Learned, recordings: Sequence[Recording], before: Sequence[Recording | None] = (), *,
    correct: bool = True,
) -> Learned:  # fmt: skip
    """A self-model for the face as it is now, from few poses; `learned` itself stays as it was.

    `before`: for each recording the same path in the face's youth, or None. `correct`: the curves too, and not only where
    actuators stand.
    """
    model = copy.deepcopy(learned.model)
    x = _tensor(np.concatenate([learned.inputs(r) for r in recordings]))
    known = [
        _known(learned, young, r)
        for young, r in zip(before or [None] * len(recordings), recordings, strict=True)
    ]
    with torch.no_grad():
        target = torch.cat([_target(model, r) for r in recordings]) - torch.cat(known)
        _fit_stands(model, x, target, _tensor(learned.observed))
        if correct:
            _correct(model, x, target)
    return replace(learned, model=model.eval())


def _target(model: SelfModel, seen: Recording) -> Tensor:
    """[F, rows] what the model should say, in units of its scale."""
    return ((_tensor(pack(seen.landmarks_m, seen.head_rad)) - model.mean) @ model.basis.T) / model.scale


def _known(learned: Learned, young: Recording | None, now: Recording) -> Tensor:
    """[F, rows] by how much the model was wrong at these photos in the face's youth; 0 where there is none of them."""
    model = learned.model
    if young is None:
        return torch.zeros(len(now.frame_s), len(model.basis))
    apart_s = np.abs((now.frame_s - now.start_s)[:, None] - (young.frame_s - young.start_s)[None])
    with torch.no_grad():
        wrong = _target(model, young) - model.members(_tensor(learned.inputs(young))).mean(dim=0)
    same = _tensor(apart_s.min(axis=1) < _SAME_S)[:, None]
    return same * wrong[torch.as_tensor(apart_s.argmin(axis=1))]


def _fit_stands(model: SelfModel, x: Tensor, target: Tensor, free: Tensor) -> None:
    """Slips and stretches by Gauss-Newton; the prior's weights follow what was found (iteratively reweighted)."""
    n = len(free)
    first = torch.cat([model.slip, model.stretch]).clone()
    usual = torch.tensor([_SLIP_U, _STRETCH]).repeat_interleave(n)
    found = torch.zeros(2 * n)
    for _ in range(_ROUNDS):
        left = _left(model, x, target)
        noise = left.square().mean(dim=0).clamp(min=_NOISE**2).sqrt()  # of each block's components
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

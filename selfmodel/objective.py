"""What a good command is, in one differentiable number: near the target, lips as asked, little effort.

All in mm^2 per landmark. Targets are taken once into the space of the self-model's components, where the
weighted landmark error is a plain distance, so that a thousand poses are judged in one small product.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animaface.robot.face.landmarks import (
    IRIS_LEFT,
    IRIS_RIGHT,
    LIP_GAP_PAIRS,
    N_LANDMARKS,
    regions,
)
from animaface.selfmodel.history import History, straight_from
from animaface.selfmodel.limits import CommandLimits
from animaface.selfmodel.network import SelfModel, pack

Array = NDArray[np.float64]
_MM: Final = 1e3
_SEALED_BELOW_M: Final = 0.0007
_HELD_S: Final = 0.7
NEAR_REST_MM2: Final = 0.25
"""Mean square of a movement at which half of what the self-model has wrong about the face at rest is still taken off."""


@dataclass(frozen=True)
class Weights:
    """Of the parts of the objective. Regions: how much a landmark counts against one of the cheeks.

    `gap` of poses, `spoken_gap` of takes: in speech the opening of the lips is what is looked at, in a pose it may not
    outweigh the rest of the face. `shrunk`: what falls short of the target along the way to it, beside the distance itself.
    At 1 the inverse score of the hybrid face is .033 instead of .025, and 48 instead of 43 of 50 shapes go .9 as far as
    the best pose does. `brows_aside`: motion of the brows across and in depth against their height, which is what is read
    in them: no servo draws brows together, and asked in full it keeps a sad face from raising their inner ends.
    `closure`: lips that mean to be sealed and are not when commands are shaken by `overtravel_u`, in motion; `held_closure`, share
    of it for expressions held still. Counted in full there, a jaw was pressed shut by two millimetres for a dimple.
    """

    lips: float = 1.5
    eyes: float = 2.0
    brows: float = 1.5
    brows_aside: float = 0.15
    head: float = 0.15
    gap: float = 0.03
    spoken_gap: float = 0.8
    closure: float = 1.0
    held_closure: float = 0.5
    doubt: float = 0.05
    shrunk: float = 1.0
    effort: float = 0.005
    collision: float = 400.0
    overtravel_u: float = 0.05


@dataclass(frozen=True)
class Targets:
    """Many targets in the model's space: point [B, rows] mm, gap [B, 3] m, seal [B] 0..1, floor [B] mm^2.

    `floor` is the part of the error that no command can change, so error = distance^2 + floor.
    """

    point: Tensor
    gap: Tensor
    seal: Tensor
    floor: Tensor

    def pick(self, index: Tensor) -> "Targets":
        """Some of them."""
        return Targets(self.point[index], self.gap[index], self.seal[index], self.floor[index])


class Objective:
    """Judges the predictions of one frozen self-model."""

    def __init__(
        self, model: SelfModel, history: History, limits: CommandLimits, neutral_m: Array,
        weights: Weights | None = None,
    ) -> None:  # fmt: skip
        """`neutral_m` [478, 3]: the face at rest, whose lip gap counts as sealed."""
        self.model, self.history, self.limits = model, history, limits
        self.weights = weights or Weights()
        for p in model.parameters():
            p.requires_grad_(False)
        root = np.sqrt(_output_weights(self.weights))
        basis, self._mean = model.basis.double().numpy(), model.mean.double().numpy()
        weighted = basis * root  # [rows, outputs]
        # weighted = chol @ orthonormal rows; a ridge keeps empty components harmless
        gram = weighted @ weighted.T + 1e-10 * np.eye(len(weighted))
        chol = np.linalg.cholesky(gram)
        self._into = (np.linalg.solve(chol, weighted) * root).T * _MM  # outputs -> point
        self._root = root
        self.chol = torch.as_tensor(chol * _MM, dtype=torch.float32)
        lips = [3 * i + axis for pair in LIP_GAP_PAIRS for i in pair for axis in range(3)]
        self._lip_basis, self._lip_mean = model.basis[:, lips].clone(), model.mean[lips].clone()
        self._depth = model.sees_depth
        self._sealed = torch.as_tensor(self._pair_gaps(neutral_m[None])[0], dtype=torch.float32)
        self._neutral = torch.as_tensor(limits.neutral_u, dtype=torch.float32)
        self._skin = [torch.tensor(row) for row in history.skin]
        self._rows = torch.as_tensor(limits.rows, dtype=torch.float32)
        self._most = torch.as_tensor(limits.collision_at_most, dtype=torch.float32)
        self._rest_m = neutral_m
        with torch.no_grad():
            self._at_rest: Tensor = model(self.settled(self._neutral[None])) @ self.chol

    def targets(self, landmarks_m: Array, head_rad: Array, seal: Array | None = None) -> Targets:
        """Targets [B, 478, 3] m and [B, 3] rad; seal[B] in 0..1: how much closed lips are really meant.

        Near rest they are counted from rest: what the self-model has wrong about the face there is no movement to make.
        """
        y = pack(landmarks_m, head_rad) - self._mean
        point = y @ self._into
        floor = ((y * self._root * _MM) ** 2).sum(axis=1) - (point**2).sum(axis=1)
        rest = (pack(self._rest_m[None], np.zeros((1, 3))) - self._mean) @ self._into
        near = 1.0 / (1.0 + ((point - rest) ** 2).sum(axis=1, keepdims=True) / NEAR_REST_MM2)
        point = point + near * (self._at_rest.double().numpy() - rest)
        gap = self._pair_gaps(landmarks_m)
        meant = np.zeros(len(y)) if seal is None else seal
        closed = meant * (gap - self._sealed.numpy() < _SEALED_BELOW_M).all(axis=1)
        return Targets(*(torch.as_tensor(a, dtype=torch.float32) for a in (point, gap, closed, floor)))

    def at_rest(self) -> Tensor:
        """[1, rows] mm, the face at rest as a target."""
        return self._at_rest

    def loss(self, u: Tensor, inputs: Tensor, t: Targets, *, spoken: bool = False) -> Tensor:
        """[B] of commands u[B, N], their network inputs [B, F] and targets."""
        w = self.weights
        members = self.model.members(inputs) * self.model.scale
        c = members.mean(dim=0)
        off = c @ self.chol - t.point
        out = (off**2).sum(dim=1) + self.short(off, t.point - self._at_rest)
        if len(members) > 1:
            out = out + w.doubt * (((members - c) @ self.chol) ** 2).sum(dim=2).mean(dim=0)
        gap_error = (self.gaps_m(c) - t.gap) * _MM
        out = out + (w.spoken_gap if spoken else w.gap) * (gap_error**2).mean(dim=1)
        out = out + w.effort * ((u - self._neutral) ** 2).sum(dim=1)
        if len(self._most):
            out = out + w.collision * (torch.relu(u @ self._rows.T - self._most + 0.01) ** 2).sum(dim=1)
        return out

    def residuals(self, inputs: Tensor, t: Targets) -> Tensor:
        """[B, R] mm of network inputs [B, F], as in speech: the sum of their squares is the loss but for effort, doubt, collisions."""
        w, c = self.weights, self.model(inputs)
        off = c @ self.chol - t.point
        short = self.short(off, t.point - self._at_rest).clamp(min=1e-12).sqrt()
        gap_error = (w.spoken_gap / len(LIP_GAP_PAIRS)) ** 0.5 * (self.gaps_m(c) - t.gap) * _MM
        return torch.cat([off, short.unsqueeze(1), gap_error], dim=1)

    def short(self, off: Tensor, way: Tensor) -> Tensor:
        """[B] what falling short costs beside the distance: off[B, rows] from the target, along the `way` to it from rest."""
        missing = torch.relu(-(off * way).sum(dim=1))
        return self.weights.shrunk * missing**2 / ((way**2).sum(dim=1) + NEAR_REST_MM2)

    def closure_loss(self, inputs: Tensor, t: Targets) -> Tensor:
        """[B] gap left at targets that mean sealed lips, for inputs of commands that were disturbed."""
        gap = self.gaps_m(self.model(inputs)) - self._sealed
        return self.weights.closure * t.seal * (torch.relu(gap * _MM - 0.1) ** 2).mean(dim=1)

    def gaps_m(self, coefficients: Tensor) -> Tensor:
        """[B, 3] openings of the lip pairs, m; a jaw that slides sideways opens none. Without depth, how far the upper lip is above
        the lower one: beside depth that the eye guessed at rest, a small opening would hardly count."""
        p = (coefficients @ self._lip_basis + self._lip_mean).view(-1, len(LIP_GAP_PAIRS), 2, 3)
        apart = p[:, :, 0] - p[:, :, 1]
        opening: Tensor = (apart[..., 1:] ** 2).sum(dim=2).add(1e-10).sqrt() if self._depth else apart[..., 1]
        return opening

    def _pair_gaps(self, landmarks_m: Array) -> Array:
        """[B, 3] the same of landmarks [B, 478, 3]."""
        up, low = [u for u, _ in LIP_GAP_PAIRS], [b for _, b in LIP_GAP_PAIRS]
        apart = landmarks_m[:, up] - landmarks_m[:, low]
        return np.asarray(np.linalg.norm(apart[..., 1:], axis=2) if self._depth else apart[..., 1])

    def creep_left(self) -> list[float]:
        """Per creep of the history: the share of a move that is still to come when a pose has been held."""
        return [float(np.exp(-_HELD_S / tau)) for tau in self.history.creep_s]

    def settled(self, u: Tensor) -> Tensor:
        """Network inputs [B, F] of poses reached straight from neutral and held for _HELD_S."""
        plays, drawn = straight_from(self._neutral, u, self.history.play, self._skin)
        return torch.cat([u, *plays, *(drawn * left for left in self.creep_left())], dim=1)

    def landmark_error_mm(self, u: Tensor, inputs: Tensor, t: Targets) -> Tensor:
        """[B] weighted rms landmark error as the self-model sees it."""
        c = self.model(inputs)
        square = ((c @ self.chol - t.point) ** 2).sum(dim=1) + t.floor
        return torch.relu(square).sqrt()


def _output_weights(w: Weights) -> Array:
    """[N_OUTPUTS] summing to 1 over the landmarks, x, y, z alike; the head beside them."""
    region = regions()
    per = np.ones(N_LANDMARKS)
    for name in ("upper_lip", "lower_lip", "corners"):
        per[list(region[name])] = w.lips
    per[list(region["brows"])] = w.brows
    per[[*region["lids"], *IRIS_LEFT, *IRIS_RIGHT]] = w.eyes
    per /= per.sum()
    each = np.repeat(per[:, None], 3, axis=1)
    each[list(region["brows"])] *= (w.brows_aside, 1.0, w.brows_aside)
    return np.concatenate([each.ravel(), np.full(3, w.head)])

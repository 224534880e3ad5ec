"""Training the self-model on the photos of a babbling session. One readable script.

The sum of the linkages' curves is solved first (ridge), then everything is trained together. Error is counted in the
blocks' components, divided by each block's motion, so that a nose that moves 3 mm counts as much as a jaw
that moves 30. What a block sees of an actuator is weighed by how much of its motion the actuator makes, and high polynomials
count less: with few photos that is worth more than any network. The rate comes down to nothing and every photo is learned from: a part kept apart to stop in time cost more than
it saved (docs/selfmodel.md).
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.polynomial.chebyshev import chebvander
from numpy.typing import NDArray
from torch import Tensor

from animaface.robot.face.errors import InputError
from animaface.robot.face.landmarks import N_LANDMARKS
from animaface.selfmodel.history import History
from animaface.selfmodel.linear import solve_positive
from animaface.selfmodel.network import N_OUTPUTS, SelfModel, Shape, blocks, pack

Array = NDArray[np.float64]
log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]

_EFFECT_DEGREE: Final = 3
_OTHER_TIMES: Final = (0.31, 0.5, 0.67)
_SEEN_POWER: Final = 0.4
"""An actuator with a hundredth of the first one's share is seen at a sixth."""


@dataclass(frozen=True)
class TrainOptions:
    """Defaults train 2,000 poses in about a minute on one core.

    `components` of each block: 16 of them miss .035 of what cheeks and the upper lip do (lips that meet), 24 miss .01.
    `seen_over_chance`: a block sees the actuators whose effect on it is so many times what chance would give them.
    """

    seed: int = 0
    steps: int = 2500
    batch: int = 256
    rate: float = 4e-3
    decay: float = 2e-3
    members: int = 4
    hidden: int = 32
    components: int = 24
    degree: int = 4
    seen_over_chance: float = 1.5
    ridge: float = 1e-3


def train_self_model(
    inputs: Array, landmarks_m: Array, head_rad: Array, n_actuators: int, history: History,
    options: TrainOptions | None = None, progress: Progress | None = None, start: SelfModel | None = None,
) -> SelfModel:  # fmt: skip
    """inputs[T, F] (History.inputs), landmarks_m[T, 478, 3], head_rad[T, 3] -> a trained self-model.

    `start`: a model of the same sizes to go on from, in its components.
    `history` made the inputs; input f belongs to actuator f mod n_actuators.
    Raises InputError when the shapes do not fit or there are too few poses.
    """
    o = options or TrainOptions()
    if (
        len(inputs) < 30
        or inputs.shape[1] != n_actuators * history.per_actuator
        or landmarks_m.shape != (len(inputs), N_LANDMARKS, 3)
        or head_rad.shape != (len(inputs), 3)
    ):
        raise InputError(
            f"a self-model needs 30 poses or more, landmarks [T, {N_LANDMARKS}, 3] and head [T, 3]; "
            f"found inputs {inputs.shape}, landmarks {landmarks_m.shape}, head {head_rad.shape}"
        )
    torch.manual_seed(o.seed)
    y = pack(landmarks_m, head_rad)
    shape = Shape(n_actuators, len(history.play), len(history.creep_s), len(blocks()), o.components, o.hidden,
                  o.members, o.degree)  # fmt: skip
    model = SelfModel(shape)
    started = time.monotonic()
    target = _prepare(model, inputs, y, o) if start is None else _go_on_from(model, start, inputs, y, o)
    _fit(model, torch.as_tensor(inputs, dtype=torch.float32), target, o, progress)
    log.info("self-model: %d poses, %.0f s", len(inputs), time.monotonic() - started)
    return model.eval()


def _prepare(model: SelfModel, x: Array, y: Array, o: TrainOptions) -> Tensor:
    """Set scales, components, what each block sees and the linear path; -> targets in units of scale."""
    mean, k = y.mean(axis=0), o.components
    basis = np.zeros((len(blocks()) * k, N_OUTPUTS))
    scale = np.ones(len(basis))
    for b, columns in enumerate(blocks()):
        part = y[:, columns] - mean[columns]
        direction = np.linalg.svd(part, full_matrices=False)[2][:k]
        basis[b * k : b * k + len(direction), columns] = direction
        scale[b * k : (b + 1) * k] = max(float(np.sqrt((part**2).sum(axis=1).mean())), 1e-4)
    target = (y - mean) @ basis.T / scale
    seen = _seen(x[:, : model.shape.n_actuators], target.reshape(len(y), -1, k), o.seen_over_chance)
    with torch.no_grad():
        for name, value in (("basis", basis), ("mean", mean), ("scale", scale), ("seen", seen)):
            getattr(model, name).copy_(torch.as_tensor(value))
        out = torch.as_tensor(target, dtype=torch.float32)
        _solve_linear(model, torch.as_tensor(x, dtype=torch.float32), out, o.ridge)
    return out


def _go_on_from(model: SelfModel, start: SelfModel, x: Array, y: Array, o: TrainOptions) -> Tensor:
    """Everything as in `start`, but what each block sees, which more photos tell better; -> targets in its units of scale."""
    model.load_state_dict(start.state_dict())
    with torch.no_grad():
        target = (torch.as_tensor(y, dtype=torch.float32) - model.mean) @ model.basis.T / model.scale
        blocked = target.double().numpy().reshape(len(y), model.shape.n_blocks, -1)
        seen = torch.as_tensor(
            _seen(x[:, : model.shape.n_actuators], blocked, o.seen_over_chance), dtype=torch.float32
        )
        rows = torch.where(
            seen > 0.0, model.seen / seen.clamp(min=1e-6), 1.0
        )  # the same function of what was seen before
        rows = rows.repeat_interleave(model.shape.degree + model.shape.n_creeps, dim=1)[:, :, None]
        model.linear.mul_(rows)
        model.w1.mul_(rows.repeat(model.shape.n_members, 1, 1))
        model.seen.copy_(seen)
    return target


def _seen(q: Array, target: Array, over_chance: float) -> Array:
    """[blocks, N] how much a block (targets[T, blocks, k]) shall see of an actuator: a power of the share that the actuator has
    in its motion, by additive curves; 0 where the positions of another time explain as much."""
    n = q.shape[1]
    chance = [
        _effect(np.concatenate([q, np.roll(q, round(s * len(q)), axis=0)], axis=1), target)[:, n:]
        for s in _OTHER_TIMES
    ]
    by_chance = (np.array(chance) ** 2).mean(axis=(0, 2))[:, None]
    square = _effect(q, target) ** 2
    own = np.where(square > over_chance**2 * by_chance, square - by_chance, 0.0)
    most = np.maximum(own.max(axis=1, keepdims=True), 1e-12)
    return np.asarray((own / most) ** (0.5 * _SEEN_POWER))


def _effect(q: Array, target: Array) -> Array:
    """[blocks, N] rms of what each actuator adds in a sum of curves of q[T, N] fitted to targets[T, blocks, k]."""
    frames, n = q.shape
    z = chebvander(2.0 * q - 1.0, _EFFECT_DEGREE)[..., 1:]
    z = z - z.mean(axis=0)
    flat = z.reshape(frames, -1)
    gram = flat.T @ flat + 1e-3 * frames * np.eye(flat.shape[1])
    found = np.linalg.solve(gram, flat.T @ target.reshape(frames, -1))
    found = found.reshape(n, _EFFECT_DEGREE, *target.shape[1:])
    together = np.einsum("tnd,tne->nde", z, z) / frames
    return np.asarray(np.sqrt(np.einsum("ndbk,nde,nebk->bn", found, together, found)))


def _solve_linear(model: SelfModel, x: Tensor, target: Tensor, ridge: float) -> None:
    """The linear path on the curves, by ridge."""
    f = model.curves(x).double()
    blocks_, n, width = f.shape
    f = torch.cat([f, torch.ones(blocks_, n, 1, dtype=f.dtype)], dim=2)
    penalty = ridge * n * torch.eye(width + 1, dtype=f.dtype)
    penalty[-1, -1] = 0.0
    y = target.double().view(n, blocks_, -1).transpose(0, 1)
    found = solve_positive(f.transpose(1, 2) @ f + penalty, f.transpose(1, 2) @ y)
    model.linear.copy_(found[:, :-1])
    model.bias.copy_(found[:, -1:])


def _fit(model: SelfModel, x: Tensor, target: Tensor, o: TrainOptions, progress: Progress | None) -> None:
    random = np.random.default_rng(o.seed)
    model.grade(model.grades())
    optimiser = torch.optim.AdamW([
        {"params": [model.w1, model.b1, model.w2, model.b2, model.w3], "weight_decay": o.decay},
        {"params": [model.memory], "weight_decay": 0.0},
        {"params": [model.linear, model.bias], "weight_decay": 0.0, "lr": 0.1 * o.rate},
    ], lr=o.rate)  # fmt: skip
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [o.rate, o.rate, 0.1 * o.rate], total_steps=o.steps, pct_start=0.1
    )
    for step in range(o.steps):
        pick = torch.as_tensor(random.integers(0, len(x), min(o.batch, len(x))))
        loss = ((model.members(x[pick]) - target[pick]) ** 2).sum(dim=2).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        if progress and (step % 100 == 99 or step == o.steps - 1):
            progress(step + 1, o.steps)
    model.grade(torch.ones_like(model.graded))

"""Training the self-model on the photos of a babbling session. One readable script.

The linear path is solved first (ridge), then everything is trained together. Error is counted in the
blocks' components, divided by each block's motion, so that a nose that moves 3 mm counts as much as a jaw
that moves 30. Part of the path is kept apart to stop in time.
"""

import copy
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animaface.robot.face.errors import InputError
from animaface.robot.face.landmarks import N_LANDMARKS
from animaface.selfmodel.network import N_OUTPUTS, SelfModel, Shape, blocks, pack

Array = NDArray[np.float64]
log = logging.getLogger(__name__)

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class TrainOptions:
    """Defaults train 2,000 poses in well under a minute on two cores.

    `memory_share`: how much the curved part sees of play and creep; with 0 they enter the linear path only,
    which learns them from few poses without learning noise.
    """

    seed: int = 0
    steps: int = 1500
    batch: int = 256
    rate: float = 4e-3
    decay: float = 2e-3
    members: int = 2
    hidden: int = 64
    components: int = 16
    seen_share: float = 0.02
    memory_share: float = 0.0
    ridge: float = 1e-2
    memory_ridge: float = 1.0
    validation_share: float = 0.08


def train_self_model(
    inputs: Array, landmarks_m: Array, head_rad: Array, n_actuators: int,
    options: TrainOptions | None = None, progress: Progress | None = None,
) -> SelfModel:  # fmt: skip
    """inputs[T, F] (History.inputs), landmarks_m[T, 478, 3], head_rad[T, 3] -> a trained self-model.

    `n_actuators`: F is a multiple of it; input f belongs to actuator f mod n_actuators.
    Raises InputError when the shapes do not fit or there are too few poses.
    """
    o = options or TrainOptions()
    if (
        len(inputs) < 30
        or landmarks_m.shape != (len(inputs), N_LANDMARKS, 3)
        or head_rad.shape != (len(inputs), 3)
    ):
        raise InputError(
            f"a self-model needs 30 poses or more, landmarks [T, {N_LANDMARKS}, 3] and head [T, 3]; "
            f"found inputs {inputs.shape}, landmarks {landmarks_m.shape}, head {head_rad.shape}"
        )
    torch.manual_seed(o.seed)
    y = pack(landmarks_m, head_rad)
    model = SelfModel(Shape(inputs.shape[1], len(blocks()), o.components, o.hidden, o.members))
    target = _prepare(model, inputs, y, n_actuators, o)
    started = time.monotonic()
    _fit(model, torch.as_tensor(inputs, dtype=torch.float32), target, o, progress)
    log.info("self-model: %d poses, %.0f s", len(inputs), time.monotonic() - started)
    return model.eval()


def _prepare(model: SelfModel, x: Array, y: Array, n_actuators: int, o: TrainOptions) -> Tensor:
    """Set scales, components, the linear path and what each block sees; -> targets in units of scale."""
    mean, k = y.mean(axis=0), o.components
    basis = np.zeros((len(blocks()) * k, N_OUTPUTS))
    scale = np.ones(len(basis))
    for b, columns in enumerate(blocks()):
        part = y[:, columns] - mean[columns]
        direction = np.linalg.svd(part, full_matrices=False)[2][:k]
        basis[b * k : b * k + len(direction), columns] = direction
        scale[b * k : (b + 1) * k] = max(float(np.sqrt((part**2).sum(axis=1).mean())), 1e-4)
    target = (y - mean) @ basis.T / scale
    x_mean, x_scale = x.mean(axis=0), np.maximum(x.std(axis=0), 1e-3)
    z = (x - x_mean) / x_scale
    penalty = np.full(z.shape[1], o.memory_ridge)
    penalty[:n_actuators] = o.ridge
    ridge = z.T @ z + np.diag(len(z) * penalty)
    linear = np.linalg.solve(ridge, z.T @ target)
    effect = (linear.reshape(-1, n_actuators, len(blocks()), k) ** 2).sum(axis=(0, 3))  # [N, blocks]
    seen = np.sqrt(effect) > o.seen_share
    with torch.no_grad():
        for name, value in (("basis", basis), ("mean", mean), ("scale", scale), ("x_mean", x_mean),
                            ("x_scale", x_scale), ("linear", linear),
                            ("seen", _seen(seen, x.shape[1], o.memory_share))):  # fmt: skip
            getattr(model, name).copy_(torch.as_tensor(value))
    return torch.as_tensor(target, dtype=torch.float32)


def _seen(seen: NDArray[np.bool_], n_inputs: int, memory_share: float) -> Array:
    """[blocks, F] how strongly a block's network sees an input: positions in full, their memory as told."""
    memories = n_inputs // len(seen) - 1
    return np.concatenate([seen.T, *[memory_share * seen.T] * memories], axis=1).astype(np.float64)


def _fit(model: SelfModel, x: Tensor, target: Tensor, o: TrainOptions, progress: Progress | None) -> None:
    random = np.random.default_rng(o.seed)
    chunks = np.array_split(np.arange(len(x)), max(8, len(x) // 25))  # neighbours on the path stay together
    held = {
        int(c)
        for c in random.choice(len(chunks), max(1, int(len(chunks) * o.validation_share)), replace=False)
    }
    check = torch.as_tensor(np.concatenate([c for i, c in enumerate(chunks) if i in held]))
    train = torch.as_tensor(np.concatenate([c for i, c in enumerate(chunks) if i not in held]))
    curved = [p for n, p in model.named_parameters() if n not in ("linear", "bias")]
    optimiser = torch.optim.AdamW(
        [{"params": curved, "weight_decay": o.decay}, {"params": [model.linear, model.bias], "weight_decay": 0.0,
                                                       "lr": 0.1 * o.rate}], lr=o.rate)  # fmt: skip
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [o.rate, 0.1 * o.rate], total_steps=o.steps, pct_start=0.1
    )
    best, kept = float("inf"), copy.deepcopy(model.state_dict())
    for step in range(o.steps):
        pick = train[torch.as_tensor(random.integers(0, len(train), min(o.batch, len(train))))]
        loss = ((model.members(x[pick]) - target[pick]) ** 2).sum(dim=2).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimiser.step()
        schedule.step()
        if step % 100 == 99 or step == o.steps - 1:
            with torch.no_grad():
                error = float(((model(x[check]) / model.scale - target[check]) ** 2).sum(dim=1).mean())
            if error < best:
                best, kept = error, copy.deepcopy(model.state_dict())
            if progress:
                progress(step + 1, o.steps)
    model.load_state_dict(kept)

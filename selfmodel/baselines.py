"""What a self-model has to beat beside linear and nearest neighbour: networks that know nothing of faces. torch.

`feed_forward` is a plain network from positions to landmarks. `emo_layout` is laid out as EMO's (Hu et al.,
Science Robotics 2024): one network for the eye region and one for the mouth region, each from its own actuators only,
frame by frame and without memory, because their poses were photographed apart and recombined.
"""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from animaface.robot.face.landmarks import IRIS_LEFT, IRIS_RIGHT, N_LANDMARKS, regions

Array = NDArray[np.float64]
_COMPONENTS = 60


def feed_forward(
    train_q: Array, train_m: Array, test_q: Array, *, steps: int = 2000, hidden: int = 256, seed: int = 0
) -> Array:
    """[T, L, 3] two hidden layers on positions q[., N], landmarks [., L, 3] as their principal components."""
    torch.manual_seed(seed)
    flat = train_m.reshape(len(train_m), -1)
    mean = flat.mean(axis=0)
    basis = np.linalg.svd(flat - mean, full_matrices=False)[2][:_COMPONENTS]
    y = (flat - mean) @ basis.T
    scale = np.sqrt((y**2).sum(axis=1).mean())
    x, target = _tensor(2.0 * train_q - 1.0), _tensor(y / scale)
    net = nn.Sequential(nn.Linear(x.shape[1], hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                        nn.Linear(hidden, len(basis)))  # fmt: skip
    optimiser = torch.optim.Adam(net.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    random = np.random.default_rng(seed)
    for _ in range(steps):
        pick = torch.as_tensor(random.integers(0, len(x), 256))
        loss = ((net(x[pick]) - target[pick]) ** 2).sum(dim=1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        found = net(_tensor(2.0 * test_q - 1.0)).double().numpy() * scale
    return np.asarray(found @ basis + mean).reshape(-1, *train_m.shape[1:])


def emo_layout(
    train_q: Array,
    train_m: Array,
    test_q: Array,
    eye_actuators: Sequence[int],
    *,
    steps: int = 2000,
    seed: int = 0,
) -> Array:
    """[T, 478, 3] brows, lids and irises from `eye_actuators` alone, everything else from the others alone."""
    region = regions()
    upper = sorted({*region["brows"], *region["lids"], *IRIS_LEFT, *IRIS_RIGHT})
    lower = [i for i in range(N_LANDMARKS) if i not in set(upper)]
    others = [i for i in range(train_q.shape[1]) if i not in set(eye_actuators)]
    out = np.tile(train_m.mean(axis=0), (len(test_q), 1, 1))
    for landmarks, actuators in ((upper, list(eye_actuators)), (lower, others)):
        if actuators:
            out[:, landmarks] = feed_forward(
                train_q[:, actuators], train_m[:, landmarks], test_q[:, actuators], steps=steps, seed=seed
            )
    return out


def _tensor(a: Array) -> torch.Tensor:
    return torch.as_tensor(a, dtype=torch.float32)

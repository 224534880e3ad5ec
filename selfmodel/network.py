"""The self-model: actuators and their memory -> 478 landmarks and the head. torch, for training and solving.

The face is cut into blocks (its regions, the irises, the rest, the head). Each block has principal
components of its own, a linear path, and a small network that sees only those actuators that were found to
move this block. A few members that differ in nothing but their start form an ensemble: their mean is the
prediction, their disagreement says where the model does not know.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animaface.robot.face.landmarks import IRIS_LEFT, IRIS_RIGHT, N_LANDMARKS, regions

N_OUTPUTS: Final = 3 * N_LANDMARKS + 3
"""478 landmarks (x, y, z of each), then head yaw, pitch, roll."""
HEAD_SCALE_M_PER_RAD: Final = 0.1
"""A radian of head rotation counts as 10 cm: a point of the face's own size moves that far."""


def blocks() -> list[NDArray[np.int64]]:
    """Output columns of each block: the regions, the irises, the other landmarks, the head."""
    groups = [list(index) for index in regions().values()]
    groups.append([*IRIS_RIGHT, *IRIS_LEFT])
    taken = {i for g in groups for i in g}
    groups.append([i for i in range(N_LANDMARKS) if i not in taken])
    columns = [(3 * np.array(g)[:, None] + np.arange(3)).ravel() for g in groups]
    return [*columns, np.arange(3 * N_LANDMARKS, N_OUTPUTS)]


def pack(landmarks_m: NDArray[np.float64], head_rad: NDArray[np.float64]) -> NDArray[np.float64]:
    """[T, 478, 3] m and [T, 3] rad -> [T, N_OUTPUTS] in m (the head on its lever)."""
    flat = landmarks_m.reshape(len(landmarks_m), -1)
    return np.concatenate([flat, HEAD_SCALE_M_PER_RAD * head_rad], axis=1)


@dataclass(frozen=True)
class Shape:
    """Sizes of a self-model: inputs, blocks, components per block, hidden units, ensemble members."""

    n_inputs: int
    n_blocks: int
    n_components: int = 16
    n_hidden: int = 64
    n_members: int = 2


class SelfModel(nn.Module):
    """inputs[B, F] (History.inputs) -> coefficients of the blocks' components; `decode` gives metres."""

    x_mean: Tensor
    x_scale: Tensor
    seen: Tensor
    basis: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        s, rows = shape, shape.n_blocks * shape.n_components
        self.register_buffer("x_mean", torch.zeros(s.n_inputs))
        self.register_buffer("x_scale", torch.ones(s.n_inputs))
        self.register_buffer("seen", torch.ones(s.n_blocks, s.n_inputs))
        self.register_buffer("basis", torch.zeros(rows, N_OUTPUTS))
        self.register_buffer("mean", torch.zeros(N_OUTPUTS))
        self.register_buffer("scale", torch.ones(rows))
        self.linear = nn.Parameter(torch.zeros(s.n_inputs, rows))
        self.bias = nn.Parameter(torch.zeros(rows))
        nets = s.n_members * s.n_blocks
        self.w1 = nn.Parameter(torch.randn(nets, s.n_inputs, s.n_hidden) / s.n_inputs**0.5)
        self.b1 = nn.Parameter(0.5 * torch.randn(nets, 1, s.n_hidden))
        self.w2 = nn.Parameter(torch.randn(nets, s.n_hidden, s.n_hidden) / s.n_hidden**0.5)
        self.b2 = nn.Parameter(torch.zeros(nets, 1, s.n_hidden))
        self.w3 = nn.Parameter(torch.zeros(nets, s.n_hidden, s.n_components))

    def members(self, x: Tensor) -> Tensor:
        """[members, B, rows] coefficients in units of `scale`, one per member."""
        s = self.shape
        x = (x - self.x_mean) / self.x_scale
        first = self.w1 * self.seen.repeat(s.n_members, 1).unsqueeze(2)
        h = torch.tanh(torch.einsum("bf,nfh->nbh", x, first) + self.b1)
        h = h + torch.tanh(torch.bmm(h, self.w2) + self.b2)
        curved = torch.bmm(h, self.w3)  # [members * blocks, B, components]
        curved = curved.view(s.n_members, s.n_blocks, x.shape[0], s.n_components).permute(0, 2, 1, 3)
        return (x @ self.linear + self.bias).unsqueeze(0) + curved.reshape(
            s.n_members, x.shape[0], s.n_blocks * s.n_components
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, rows] mean coefficients, in m."""
        return self.members(x).mean(dim=0) * self.scale

    def decode(self, coefficients: Tensor) -> Tensor:
        """[B, rows] in m -> [B, N_OUTPUTS] in m (the head on its lever)."""
        return coefficients @ self.basis + self.mean

    def predict(self, x: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """inputs[T, F] -> landmarks [T, 478, 3] m, head [T, 3] rad."""
        with torch.no_grad():
            y = self.decode(self(torch.as_tensor(x, dtype=torch.float32))).double().numpy()
        return y[:, :-3].reshape(-1, N_LANDMARKS, 3), y[:, -3:] / HEAD_SCALE_M_PER_RAD

    def uncertainty_m(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """inputs[T, F] -> [T, 478] m, how far the members stand apart (rms about their mean)."""
        with torch.no_grad():
            members = self.members(torch.as_tensor(x, dtype=torch.float32)) * self.scale
            apart = (members - members.mean(dim=0)) @ self.basis
        square = (apart[:, :, :-3].view(len(members), len(x), N_LANDMARKS, 3) ** 2).sum(dim=3)
        return np.asarray(square.mean(dim=0).sqrt().double().numpy())

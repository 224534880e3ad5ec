"""The self-model: actuators and their memory -> 478 landmarks and the head. torch, for training and solving.

The face is cut into blocks (its regions, the irises, the rest, the head). Each block has principal components
of its own and sees only those actuators that were found to move it. What a face does is built in as far as it
is known of every face: each actuator's memory (play, creep) shifts where the block takes it to be, differently
on the way up and down; each linkage bends that by a curve of its own (Chebyshev polynomials); the skin adds the
curves up (a linear path); and what actuators do to each other (five-bars, lips that meet) is left to a small
network on top. A few members that differ in nothing but their start form an ensemble: their mean is the
prediction, their disagreement says where the model does not know.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animaface.robot.face.landmarks import IRIS_LEFT, IRIS_RIGHT, N_LANDMARKS, N_VERTICES, regions

_PLAY_UNIT: Final = 0.05
_GRADE_CREEP: Final = 0.5
_STEEP: Final = 0.3
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
    """Sizes of a self-model: actuators, plays and creeps of each (History), blocks, components per block, hidden
    units, ensemble members, degree of the linkages' curves."""

    n_actuators: int
    n_plays: int
    n_creeps: int
    n_blocks: int
    n_components: int = 16
    n_hidden: int = 64
    n_members: int = 2
    degree: int = 4

    @property
    def n_memories(self) -> int:
        """Of each actuator."""
        return self.n_plays + self.n_creeps

    @property
    def n_inputs(self) -> int:
        """Numbers per pose: positions, then one memory after the other (History.inputs)."""
        return self.n_actuators * (1 + self.n_memories)


class SelfModel(nn.Module):
    """inputs[B, F] (History.inputs) -> coefficients of the blocks' components; `decode` gives metres."""

    CURVE_END: Final = 1.4
    """Where curves end; ranges are -1..1, memory may shift positions beyond."""
    NO_END: Final = -10.0

    slip: Tensor
    """[N] ranges by which horns have slipped since the model was trained (calibration/drift.py)."""
    stretch: Tensor
    """[N] share by which actuators go further from the middle of their range than then."""
    least: Tensor
    """[N] where ranges end from below: a cable that is slack stands at 0 however slack it is. NO_END: nowhere."""
    seen: Tensor
    """[blocks, N] how much each block sees of each actuator, 0..1; what it sees less of, it learns more slowly."""
    graded: Tensor
    """[degree + creeps] units of the curves while training (`grade`), else ones."""
    basis: Tensor
    mean: Tensor
    scale: Tensor

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        s, rows = shape, shape.n_blocks * shape.n_components
        self.register_buffer("seen", torch.ones(s.n_blocks, s.n_actuators))
        self.register_buffer("basis", torch.zeros(rows, N_OUTPUTS))
        self.register_buffer("mean", torch.zeros(N_OUTPUTS))
        self.register_buffer("scale", torch.ones(rows))
        curves, nets = s.n_actuators * (s.degree + s.n_creeps), s.n_members * s.n_blocks
        self.register_buffer("slip", torch.zeros(s.n_actuators))
        self.register_buffer("stretch", torch.zeros(s.n_actuators))
        self.register_buffer("least", torch.full((s.n_actuators,), self.NO_END))
        self.memory = nn.Parameter(torch.zeros(s.n_blocks, s.n_actuators, 2 * s.n_memories))
        self.linear = nn.Parameter(torch.zeros(s.n_blocks, curves, s.n_components))
        self.bias = nn.Parameter(torch.zeros(s.n_blocks, 1, s.n_components))
        self.register_buffer("graded", torch.ones(s.degree + s.n_creeps), persistent=False)
        steep = self.grades() * torch.tensor([1.0] + [_STEEP] * (s.degree - 1 + s.n_creeps))
        steep = steep.repeat(s.n_actuators).view(1, curves, 1)
        self.w1 = nn.Parameter(steep * torch.randn(nets, curves, s.n_hidden) / s.n_actuators**0.5)
        self.b1 = nn.Parameter(0.5 * torch.randn(nets, 1, s.n_hidden))
        self.w2 = nn.Parameter(torch.randn(nets, s.n_hidden, s.n_hidden) / s.n_hidden**0.5)
        self.b2 = nn.Parameter(torch.zeros(nets, 1, s.n_hidden))
        self.w3 = nn.Parameter(torch.zeros(nets, s.n_hidden, s.n_components))

    def curves(self, x: Tensor) -> Tensor:
        """inputs[B, F] -> [blocks, B, actuators * (degree + creeps)]: bent positions as each block takes them to be,
        and the creeps themselves: what skin has crept to acts at slack cables and closed lips in its own way."""
        s = self.shape
        q = self.stands(x[:, : s.n_actuators]).expand(s.n_blocks, -1, -1)
        memory = x[:, s.n_actuators :].reshape(x.shape[0], s.n_memories, s.n_actuators)
        if s.n_memories:
            way = torch.cat([memory.clamp(min=0.0), memory.clamp(max=0.0)], dim=1)  # coming up, coming down
            q = q + torch.einsum("bjn,rnj->rbn", way, self.shifts())
        t = (2.0 * q - 1.0).clamp(-self.CURVE_END, self.CURVE_END)
        bent = [t, 2.0 * t * t - 1.0]
        while len(bent) < s.degree:
            bent.append(2.0 * t * bent[-1] - bent[-2])
        crept = memory[:, s.n_plays :].transpose(1, 2).expand(s.n_blocks, -1, -1, -1)
        out = torch.cat([torch.stack(bent[: s.degree], dim=3), crept], dim=3)
        return (out * (self.seen[:, None, :, None] * self.graded)).flatten(2)

    def grades(self) -> Tensor:
        """[degree + creeps] what a curve counts to begin with: the k-th polynomial 1/k, since linkages are smooth."""
        s = self.shape
        return torch.tensor([1.0 / k for k in range(1, s.degree + 1)] + [_GRADE_CREEP] * s.n_creeps)

    @torch.no_grad()
    def grade(self, graded: Tensor) -> None:
        """The same function with curves in other units, `graded` [degree + creeps]: an optimiser whose steps have one
        size moves what counts less more slowly."""
        rows = (self.graded / graded).repeat(self.shape.n_actuators)[:, None]
        self.w1.mul_(rows)
        self.linear.mul_(rows)
        self.graded.copy_(graded)

    def stands(self, q: Tensor) -> Tensor:
        """q[B, N] -> where those actuators stood for the same face when the model was trained."""
        return torch.maximum(q + self.slip + self.stretch * (q - 0.5), self.least)

    def asked(self, stands: Tensor) -> Tensor:
        """The other way round: positions [..., N] that stand there."""
        return (stands - self.slip + 0.5 * self.stretch) / (1.0 + self.stretch)

    def shifts(self) -> Tensor:
        """[blocks, N, 2 * memories] ranges by which one unit of memory shifts a position, coming up and down.

        A play counts -1..1 and shifts by hundredths of a range: smaller steps of the optimiser suit it.
        """
        s = self.shape
        unit = torch.tensor([_PLAY_UNIT] * s.n_plays + [1.0] * s.n_creeps, dtype=self.memory.dtype)
        return self.memory * unit.repeat(2)

    def members(self, x: Tensor) -> Tensor:
        """[members, B, rows] coefficients in units of `scale`, one per member."""
        s = self.shape
        f = self.curves(x)
        straight = torch.baddbmm(self.bias, f, self.linear)
        h = nn.functional.silu(torch.bmm(f.repeat(s.n_members, 1, 1), self.w1) + self.b1)
        h = h + nn.functional.silu(torch.bmm(h, self.w2) + self.b2)
        crossed = torch.bmm(h, self.w3).view(s.n_members, s.n_blocks, -1, s.n_components)
        y = (straight.unsqueeze(0) + crossed).permute(0, 2, 1, 3)
        return y.reshape(s.n_members, -1, s.n_blocks * s.n_components)

    def forward(self, x: Tensor) -> Tensor:
        """[B, rows] mean coefficients, in m."""
        return self.members(x).mean(dim=0) * self.scale

    def decode(self, coefficients: Tensor) -> Tensor:
        """[B, rows] in m -> [B, N_OUTPUTS] in m (the head on its lever)."""
        return coefficients @ self.basis + self.mean

    @property
    def sees_depth(self) -> bool:
        """Whether the skin that it learned from moved in z at all."""
        moves = self.basis[:, : 3 * N_VERTICES].abs().view(-1, N_VERTICES, 3).amax(dim=(0, 1))
        return bool(moves[2] > 1e-3 * moves.max())

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

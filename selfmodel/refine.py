"""Refinement at run time: Gauss-Newton steps through the frozen self-model, as plain products without autograd.

The distilled inverse answers in one pass; these steps look at what the self-model says that answer does, and
correct it. Forward pass and Jacobian-transpose product of the settled face are written out, so that they are part
of the exported graph. All that is known beforehand is folded into constants, so that the graph stays short: every
pair of a block and an actuator it sees is a function of that actuator alone, a power series of where the block
takes it to be; and of the ensemble one member is left that answers like the mean of all (fold.py). The target comes
from a small network that stands in for the rig. All is counted from rest: no shape asked, nothing corrected. The
Gauss-Newton matrix is the mean over many poses, inverted once, and then learns.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.polynomial.chebyshev import cheb2poly
from torch import Tensor, nn

from animaface.robot.face.arkit import N_CHANNELS
from animaface.selfmodel.fold import OF_MEMBER, condensed, fold
from animaface.selfmodel.history import straight_from
from animaface.selfmodel.objective import NEAR_REST_MM2, Objective

_DAMPING: Final = 0.02
_PROBE_U: Final = 0.01
_SLOPES_AT: Final = 200
"""Poses over which the Gauss-Newton matrix is the mean."""
_SHAKEN_U: Final = 0.05
"""The condensed self-model has to hold beside good commands, too: that is where a refinement begins."""


class TargetNet(nn.Module):
    """values[B, 55] -> where the landmarks should be, in the objective's space, counted from rest, [B, rows] mm."""

    linear: Tensor
    nothing: Tensor

    def __init__(self, rows: int, hidden: int = 128) -> None:
        super().__init__()
        self.register_buffer("linear", torch.zeros(N_CHANNELS, rows))
        self.register_buffer("nothing", torch.zeros(1, N_CHANNELS))
        self.curved = nn.Sequential(nn.Linear(N_CHANNELS, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
                                    nn.Linear(hidden, rows))  # fmt: skip

    def forward(self, values: Tensor) -> Tensor:
        """Zero at rest, by construction."""
        bent: Tensor = self.curved(values) - self.curved(self.nothing)
        return values @ self.linear + bent

    def fit(self, values: Tensor, point: Tensor, steps: int, seed: int) -> float:
        """Learn points[B, rows] (counted from rest); -> what is left of them, rms error / rms."""
        gram = values.T @ values + 1e-3 * len(values) * torch.eye(N_CHANNELS)
        self.linear.copy_(torch.linalg.solve(gram, values.T @ point))
        random = np.random.default_rng(seed)
        optimiser = torch.optim.Adam(self.curved.parameters(), lr=3e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
        for _ in range(steps):
            pick = torch.as_tensor(random.integers(0, len(values), 256))
            loss = ((self(values[pick]) - point[pick]) ** 2).sum(dim=1).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
        with torch.no_grad():
            left = ((self(values) - point) ** 2).sum() / (point**2).sum()
        for p in self.parameters():
            p.requires_grad_(False)
        return float(left.sqrt())


@dataclass(frozen=True)
class Way:
    """What `pull` needs of the way through the network: slopes of both layers, and positions[blocks, B, seen]."""

    first: Tensor
    second: Tensor
    at: Tensor


class Refinement(nn.Module):
    """u[B, N] that should show the target -> u nearer to it, by `steps` damped Gauss-Newton steps."""

    neutral: Tensor
    rest: Tensor
    out: Tensor
    inverse: Tensor
    free: Tensor
    least: Tensor
    lead: Tensor
    lead_bias: Tensor
    crept: Tensor
    from_crept: Tensor
    w1: Tensor
    b1: Tensor
    w2: Tensor
    b2: Tensor
    w3: Tensor
    straight: Tensor
    bias: Tensor
    skin: Tensor
    grades: Tensor

    def __init__(self, objective: Objective, observed: Tensor, ties: Tensor, steps: int) -> None:
        """`ties` [M, N]: groups that move as one (CommandLimits.ties)."""
        super().__init__()
        model = objective.model
        self.steps, self._shape, self._end = steps, model.shape, model.CURVE_END
        self._shrunk = objective.weights.shrunk
        self._plays = tuple(float(r) for r in objective.history.play)
        self._ties, n = ties, len(observed)
        self._folded = fold(model, objective.creep_left(), self._plays, objective.limits.neutral_u)
        for name, value in self._folded.items():
            self.register_buffer(name, (value[0] if name in OF_MEMBER else value).clone())
        self.register_buffer("from_crept", nn.functional.one_hot(self.crept, n).to(torch.float32))
        self._seen = self.w1.shape[1] // (model.shape.degree + 1)
        grades = torch.tensor([*range(1, model.shape.degree + 1), 1], dtype=torch.float32)
        self.register_buffer("grades", grades.repeat_interleave(self._seen))
        self.register_buffer("out", self._blocks_of(model.scale.unsqueeze(1) * objective.chol))
        self.register_buffer("neutral", torch.as_tensor(objective.limits.neutral_u, dtype=torch.float32))
        self.register_buffer("skin", _powers(objective.history.skin, n))
        self.register_buffer("free", observed)
        self.register_buffer("least", model.asked(model.least))
        self._slack = bool((self.least > 0.0).any())
        self.register_buffer("rest", torch.zeros(1, len(objective.chol)))
        self.register_buffer("inverse", torch.zeros(n, n))
        self.learned = nn.ParameterList(nn.Parameter(torch.zeros(n, n)) for _ in range(steps))

    def prepare(self, u: Tensor) -> None:
        """Condense the self-model, and set the mean Gauss-Newton matrix, for poses u[B, N]; and what rest looks like."""
        near = u + _SHAKEN_U * torch.randn(u.shape, generator=torch.Generator().manual_seed(0))
        poses = torch.cat([u, near.clamp(0.0, 1.0), self.neutral[None]])
        for name, value in condensed(self._folded, self._features(self._pieces(poses))[0]).items():
            self.get_buffer(name).copy_(value)
        u = u[:_SLOPES_AT]
        self.rest.copy_(self.look(self.neutral[None]))
        base = self.look(u)
        columns = []
        for i in range(u.shape[1]):
            moved = u.clone()
            moved[:, i] += _PROBE_U
            columns.append((self.look(moved) - base) / _PROBE_U)
        jacobian = torch.stack(columns, dim=2) * self.free
        gram = torch.einsum("bpi,bpj->ij", jacobian, jacobian) / len(u)
        tied = self._ties @ gram @ self._ties.T
        tied = tied + _DAMPING * tied.diagonal().mean() * torch.eye(len(tied))
        self.inverse.copy_((self._ties.T @ torch.linalg.inv(tied) @ self._ties) * self.free)

    def forward(self, u: Tensor, target: Tensor) -> Tensor:
        """u[B, N], target[B, rows] mm counted from rest. Learns its matrices; the pull is a constant to that."""
        with torch.no_grad():
            back = self.out.transpose(1, 2)
            way, square = self._by_block(target) @ back, self.out @ back
            goal = way + self._by_block(self.rest) @ back
            far = (target * target).sum(dim=1, keepdim=True)
            there, share = far + target @ self.rest.T, self._shrunk / (far + NEAR_REST_MM2)
        eye = torch.eye(len(self.inverse))
        for learned in self.learned[: self.steps]:
            with torch.no_grad():
                y, through, pieces = self._through(u)
                short = share * torch.relu(there - (y * way).sum(dim=(0, 2)).unsqueeze(1))
                pulled = self._back(y @ square - goal - short * way, through) * self._slopes(u, pieces)
            matrix = (self.inverse @ (eye + learned)).repeat(pulled.shape[1] // len(eye), 1)
            u = (u - (pulled @ matrix) * self.free).clamp(0.0, 1.0)
        return u

    def look(self, u: Tensor) -> Tensor:
        """What the settled face shows, [B, rows] mm."""
        return (self._through(u)[0] @ self.out).transpose(0, 1).flatten(1)

    def pull(self, error: Tensor, u: Tensor) -> Tensor:
        """[B, N] Jacobian transposed times error[B, rows]: what each actuator has to do with it."""
        _, way, pieces = self._through(u)
        pulled = self._back(self._by_block(error) @ self.out.transpose(1, 2), way) * self._slopes(u, pieces)
        return pulled.view(len(u), -1, u.shape[1]).sum(dim=1)

    def _pieces(self, u: Tensor) -> list[Tensor]:
        """What the positions that blocks take an actuator to be at are made of, each [B, N]; see `fold`."""
        plays, _ = straight_from(self.neutral, u, self._plays, ())
        crept, off = self._drawn(u) - self._drawn(self.neutral), u - self.neutral
        if self._slack:
            off = torch.maximum(u, self.least) - torch.maximum(self.neutral, self.least)
        return [off, crept, torch.relu(crept), *(p for c in plays for p in (c, torch.relu(c)))]

    def _drawn(self, u: Tensor) -> Tensor:
        """[B, N] how far the skin goes with each actuator (History.drawn, but for a constant)."""
        t = 2.0 * u - 1.0
        return _horner(list(self.skin), t) * t

    def _slopes(self, u: Tensor, pieces: list[Tensor]) -> Tensor:
        """[B, pieces * N] slope of each piece in the command."""
        one = (u >= self.least).to(u.dtype) if self._slack else torch.ones_like(u)
        skin = _horner([2.0 * k * row for k, row in enumerate(self.skin, 1)], 2.0 * u - 1.0)
        out = [one, skin, skin * (pieces[1] > 0.0)]
        for r, c in zip(self._plays, pieces[3::2], strict=True):
            inside = (c.abs() < 1.0) * (1.0 / r)
            out += [inside, inside * (c > 0.0)]
        return torch.cat(out, dim=1)

    def _features(self, pieces: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Powers of positions and what has crept, [blocks, B, features], and positions[blocks, B, seen]."""
        s = self._shape
        led = torch.cat(pieces, dim=1) @ self.lead + self.lead_bias
        at = led.view(-1, s.n_blocks, self._seen).transpose(0, 1).clamp(-self._end, self._end)
        crept = pieces[1][:, self.crept].view(-1, s.n_blocks, self._seen).transpose(0, 1)
        powers = [at, at * at]
        while len(powers) < s.degree:
            powers.append(powers[-2] * powers[1])
        return torch.cat([*powers[: s.degree], crept], dim=2), at

    def _through(self, u: Tensor) -> tuple[Tensor, Way, list[Tensor]]:
        """[blocks, B, components] the self-model's coefficients in units of its scale, and the way there."""
        pieces = self._pieces(u)
        f, at = self._features(pieces)
        below = f @ self.w1 + self.b1  # [blocks, B, hidden]
        gate1 = torch.sigmoid(below)
        first = below * gate1
        above = first @ self.w2 + self.b2
        gate2 = torch.sigmoid(above)
        second = above * gate2
        y = (first + second) @ self.w3 + f @ self.straight + self.bias
        return y, Way(gate1 + first * (1.0 - gate1), gate2 + second * (1.0 - gate2), at), pieces

    def _back(self, g: Tensor, way: Way) -> Tensor:
        """[B, pieces * N] from what is pulled at each coefficient, g[blocks, B, components]."""
        s = self._shape
        up = g @ self.w3.transpose(1, 2)
        down = up + (up * way.second) @ self.w2.transpose(1, 2)
        on_f = (down * way.first) @ self.w1.transpose(1, 2) + g @ self.straight.transpose(1, 2)
        on_f = on_f * self.grades
        parts = [on_f[..., k * self._seen : (k + 1) * self._seen] for k in range(s.degree + 1)]
        on_at = parts[s.degree - 1]
        for part in parts[s.degree - 2 :: -1]:  # Horner's rule on the derivative
            on_at = on_at * way.at + part
        on_pieces = on_at.transpose(0, 1).flatten(1) @ self.lead.T
        on_crept = parts[-1].transpose(0, 1).flatten(1) @ self.from_crept
        n = on_crept.shape[1]
        return torch.cat([on_pieces[:, :n], on_pieces[:, n : 2 * n] + on_crept, on_pieces[:, 2 * n :]], dim=1)

    def _by_block(self, flat: Tensor) -> Tensor:
        """[B, blocks * components] -> [blocks, B, components]."""
        return flat.view(-1, self._shape.n_blocks, self._shape.n_components).transpose(0, 1)

    def _blocks_of(self, square: Tensor) -> Tensor:
        """What a matrix of all coefficients does within each block, [blocks, components, components]: blocks share no
        landmark, so it does nothing else."""
        s = self._shape
        parts = square.view(s.n_blocks, s.n_components, s.n_blocks, s.n_components)
        return parts.diagonal(dim1=0, dim2=2).permute(2, 0, 1).contiguous()


def _horner(coefficients: list[Tensor], x: Tensor) -> Tensor:
    """Sum of coefficients[k] * x^k, two or more of them."""
    out = coefficients[-1] * x + coefficients[-2]
    for c in coefficients[-3::-1]:
        out = out * x + c
    return out


def _powers(skin: tuple[tuple[float, ...], ...], n: int) -> Tensor:
    """History.skin as a power series of 2u - 1 without its constant, [degree, N]: a third of the work, in a graph."""
    if not skin:
        return torch.tensor([[0.5], [0.0]]).repeat(1, n)
    rows = np.concatenate([np.zeros((1, n)), np.array(skin)])
    return torch.as_tensor(np.stack([cheb2poly(c) for c in rows.T], axis=1)[1:], dtype=torch.float32)

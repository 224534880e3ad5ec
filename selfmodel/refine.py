"""Refinement at run time: Gauss-Newton steps through the frozen self-model, as plain products without autograd.

The distilled inverse answers in one pass; these steps look at what the self-model says that answer does, and
correct it. Forward pass and Jacobian-transpose product of the settled face are written out, so that they are part
of the exported graph. The target comes from a small network that stands in for the rig. All is counted from rest:
no shape asked, nothing corrected. The Gauss-Newton matrix is the mean over many poses, inverted once.
"""

from typing import Final

import numpy as np
import torch
from torch import Tensor, nn

from animaface.robot.face.arkit import N_CHANNELS
from animaface.selfmodel.history import along_skin, skin_slope
from animaface.selfmodel.objective import Objective

_DAMPING: Final = 0.02
_PROBE_U: Final = 0.01


class TargetNet(nn.Module):
    """values[B, 55] -> where the landmarks should be, in the objective's space, counted from rest, [B, rows] mm."""

    linear: Tensor

    def __init__(self, rows: int, hidden: int = 128) -> None:
        super().__init__()
        self.register_buffer("linear", torch.zeros(N_CHANNELS, rows))
        self.curved = nn.Sequential(nn.Linear(N_CHANNELS, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
                                    nn.Linear(hidden, rows))  # fmt: skip

    def forward(self, values: Tensor) -> Tensor:
        """Zero at rest, by construction."""
        bent: Tensor = self.curved(values) - self.curved(torch.zeros_like(values[:1]))
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


class Refinement(nn.Module):
    """u[B, N] that should show the target -> u nearer to it, by `steps` damped Gauss-Newton steps."""

    neutral: Tensor
    rest: Tensor
    chol: Tensor
    inverse: Tensor
    free: Tensor

    def __init__(self, objective: Objective, observed: Tensor, ties: Tensor, steps: int) -> None:
        """`ties` [M, N]: groups that move as one (CommandLimits.ties)."""
        super().__init__()
        self.model, self.steps = objective.model, steps
        self._history = objective.history
        self._held = [float(k) for k in objective.creep_left()]
        self._skin = [torch.tensor(row) for row in objective.history.skin]
        chol = objective.chol
        self.register_buffer("chol", chol)
        self.register_buffer("neutral", torch.as_tensor(objective.limits.neutral_u, dtype=torch.float32))
        self.register_buffer("free", observed)
        self.register_buffer("rest", torch.zeros(1, chol.shape[1]))
        n = len(observed)
        self.register_buffer("inverse", torch.zeros(n, n))
        self._ties = ties

    def prepare(self, u: Tensor) -> None:
        """Set the mean Gauss-Newton matrix over poses u[B, N], and what rest looks like."""
        self.rest.copy_(self.look(self.neutral[None])[0])
        base = self.look(u)[0]
        columns = []
        for i in range(u.shape[1]):
            moved = u.clone()
            moved[:, i] += _PROBE_U
            columns.append((self.look(moved)[0] - base) / _PROBE_U)
        jacobian = torch.stack(columns, dim=2) * self.free
        gram = torch.einsum("bpi,bpj->ij", jacobian, jacobian) / len(u)
        tied = self._ties @ gram @ self._ties.T
        tied = tied + _DAMPING * tied.diagonal().mean() * torch.eye(len(tied))
        self.inverse.copy_(self._ties.T @ torch.linalg.inv(tied) @ self._ties)

    def forward(self, u: Tensor, target: Tensor) -> Tensor:
        """u[B, N], target[B, rows] mm counted from rest."""
        for _ in range(self.steps):
            seen, f = self.look(u)
            u = u - (self.pull(seen - self.rest - target, u, f) @ self.inverse) * self.free
            u = u.clamp(0.0, 1.0)
        return u

    def look(self, u: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """What the settled face shows [B, rows] mm, and what `pull` needs of the way there."""
        m, s = self.model, self.model.shape
        f = m.curves(self._settled(u))
        below = torch.bmm(f.repeat(s.n_members, 1, 1), m.w1) + m.b1
        first = nn.functional.silu(below)
        above = torch.bmm(first, m.w2) + m.b2
        crossed = torch.bmm(first + nn.functional.silu(above), m.w3)
        mean = crossed.view(s.n_members, s.n_blocks, -1, s.n_components).mean(dim=0)
        y = (torch.baddbmm(m.bias, f, m.linear) + mean).permute(1, 0, 2).flatten(1)
        return (y * m.scale) @ self.chol, (f, below, above)

    def pull(self, error: Tensor, u: Tensor, way: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        """[B, N] Jacobian transposed times error[B, rows]: what each actuator has to do with it."""
        m, s = self.model, self.model.shape
        _, below, above = way
        g = (error @ self.chol.T) * m.scale
        g = g.view(-1, s.n_blocks, s.n_components).permute(1, 0, 2)
        up = torch.bmm((g / s.n_members).repeat(s.n_members, 1, 1), m.w3.transpose(1, 2))
        down = up + torch.bmm(up * _silu_slope(above), m.w2.transpose(1, 2))
        net = torch.bmm(down * _silu_slope(below), m.w1.transpose(1, 2))
        net = net.view(s.n_members, s.n_blocks, *net.shape[1:]).sum(dim=0)
        on_curves = torch.bmm(g, m.linear.transpose(1, 2)) + net
        on_curves = on_curves.view(s.n_blocks, -1, s.n_actuators, s.degree + s.n_creeps)
        return ((on_curves * self._slopes(u)).sum(dim=3) * m.seen[:, None]).sum(dim=0)

    def _settled(self, u: Tensor) -> Tensor:
        off = u - self.neutral
        plays = [(off / r).clamp(-1.0, 1.0) for r in self._history.play]
        drawn = self._drawn(u)
        return torch.cat([u, *plays, *(drawn * k for k in self._held)], dim=1)

    def _drawn(self, u: Tensor) -> Tensor:
        """[B, N] how far the skin has gone from rest."""
        drawn: Tensor = along_skin(u, self._skin) - along_skin(self.neutral, self._skin)
        return drawn

    def _slopes(self, u: Tensor) -> Tensor:
        """[blocks, B, N, degree + creeps] slope of every curve in the command."""
        m, s = self.model, self.model.shape
        off, shifts = u - self.neutral, m.shifts()
        q, slope = m.stands(u).unsqueeze(0), torch.ones_like(u).unsqueeze(0) * (1.0 + m.stretch)
        drawn, stretch = self._drawn(u), skin_slope(u, self._skin)
        flat = [(off / r, torch.full_like(u, 1.0 / r), 1.0) for r in self._history.play]
        flat += [(drawn * k, stretch * k, float("inf")) for k in self._held]
        for j, (memory, rate, ends) in enumerate(flat):
            up, down = shifts[:, None, :, j], shifts[:, None, :, s.n_memories + j]
            gain = torch.where(memory > 0.0, up, down)
            q = q + gain * memory.clamp(-ends, ends)
            slope = slope + gain * rate * (memory.abs() < ends)
        t = 2.0 * q - 1.0
        inside = (t.abs() < m.CURVE_END).to(u.dtype)
        t = t.clamp(-m.CURVE_END, m.CURVE_END)
        second = [torch.ones_like(t), 2.0 * t]  # Chebyshev polynomials of the second kind: T_n' = n U_(n-1)
        while len(second) < s.degree:
            second.append(2.0 * t * second[-1] - second[-2])
        bent = torch.stack([(k + 1) * c for k, c in enumerate(second[: s.degree])], dim=3)
        bent = bent * (2.0 * slope * inside).unsqueeze(3)
        crept = [(stretch * k).expand_as(q) for k in self._held]
        return torch.cat([bent, torch.stack(crept, dim=3)], dim=3) if crept else bent


def _silu_slope(x: Tensor) -> Tensor:
    gate = torch.sigmoid(x)
    return gate * (1.0 + x * (1.0 - gate))

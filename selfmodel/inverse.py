"""The gradient inverse: motor commands for landmark targets, by backpropagation through the frozen self-model.

`solve_poses` finds one command per target (shapes, emotions), from several starts. `solve_takes` finds whole
trajectories at 60 frames a second: smooth, within speed and acceleration, the memory of servos and skin
included. Lags are compensated outside (each command is sent ahead by its actuator's lag), so here an
actuator's answer is early by its lag and only what a lag loses of fast movement remains to be won back.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.selfmodel.history import History, Response, along_skin, shifted
from animaface.selfmodel.objective import Objective, Targets

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SolveOptions:
    """steps of Adam, its first rate in ranges, random starts beside the given one, seed."""

    steps: int = 160
    rate: float = 0.06
    extra_starts: int = 0
    seed: int = 0


class Solver:
    """Solves for the actuators the camera sees; the others stay where the start has them."""

    def __init__(self, objective: Objective, response: Response, observed: NDArray[np.bool_]) -> None:
        """`observed` [N]: which actuators the self-model knows the effect of."""
        self.objective = objective
        self.limits = objective.limits
        self._ties = torch.as_tensor(self.limits.ties(), dtype=torch.float32)
        self._free = torch.as_tensor(observed, dtype=torch.float32)
        self._memory = Memory(response, objective.history)

    def solve_poses(self, targets: Targets, start_u: Array, options: SolveOptions | None = None) -> Array:
        """[B, N] commands for settled poses from start_u[B, N], legal by CommandLimits."""
        o = options or SolveOptions()
        generator = torch.Generator().manual_seed(o.seed)
        first = torch.as_tensor(start_u, dtype=torch.float32)
        best_u, best = first, torch.full((len(first),), float("inf"))
        for k in range(1 + o.extra_starts):
            noise = 0.25 * torch.randn(first.shape, generator=generator) if k else torch.zeros_like(first)
            u = self._descend(targets, (first + noise * self._free).clamp(0.0, 1.0), o, generator)
            with torch.no_grad():
                loss = self.objective.loss(u, self.objective.settled(u), targets)
            better = loss < best
            best_u, best = torch.where(better[:, None], u, best_u), torch.where(better, loss, best)
        return self.limits.made_legal(best_u.double().numpy())

    def _descend(
        self, targets: Targets, start: Tensor, o: SolveOptions, generator: torch.Generator
    ) -> Tensor:
        ties, o_ = self._ties, self.objective
        sealed = torch.nonzero(targets.seal > 0.0)[:, 0]
        closing = targets.pick(sealed)
        z = (start @ ties.T / ties.sum(dim=1)).clone().requires_grad_(True)
        optimiser = torch.optim.Adam([z], lr=o.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, o.steps, 0.02 * o.rate)
        for _ in range(o.steps):
            u = self._free * (z @ ties) + (1.0 - self._free) * start
            loss = o_.loss(u, o_.settled(u), targets)
            total = loss.sum()
            if len(sealed):
                noise = o_.weights.overtravel_u * torch.randn((len(sealed), u.shape[1]), generator=generator)
                total = total + o_.closure_loss(o_.settled(u[sealed] + noise * self._free), closing).sum()
            optimiser.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                z.clamp_(0.0, 1.0)
        return (self._free * (z @ ties) + (1.0 - self._free) * start).detach()

    def solve_takes(self, targets: Targets, start_u: Array, options: SolveOptions | None = None) -> Array:
        """start_u[B, T, N] at 60 Hz and targets of B * T frames (take after take) -> commands [B, T, N]."""
        o = options or SolveOptions(rate=0.02)
        b, t, n = start_u.shape
        ties, start = self._ties, torch.as_tensor(start_u, dtype=torch.float32)
        z = (start @ ties.T / ties.sum(dim=1)).clone().requires_grad_(True)
        optimiser = torch.optim.Adam([z], lr=o.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, o.steps, 0.05 * o.rate)
        for _ in range(o.steps):
            u = self._free * (z @ ties) + (1.0 - self._free) * start
            loss = self.take_loss(u, targets).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                z.clamp_(0.0, 1.0)
        found = (self._free * (z @ ties) + (1.0 - self._free) * start).detach().double().numpy()
        return self.limits.made_legal(found.reshape(-1, n)).reshape(b, t, n)

    def take_loss(self, u: Tensor, targets: Targets, shake: Tensor | None = None) -> Tensor:
        """[B * T] of trajectories u[B, T, N]; `shake` [B, 1, N]: a disturbance under which lips must still meet."""
        b, t, n = u.shape
        x = self._memory.inputs(u).reshape(b * t, -1)
        loss = self.objective.loss(u.reshape(b * t, n), x, targets, spoken=True)
        if shake is not None:
            sealed = torch.nonzero(targets.seal > 0.0)[:, 0]
            x = self._memory.inputs(u + shake).reshape(b * t, -1)[sealed]
            loss = loss.index_add(0, sealed, self.objective.closure_loss(x, targets.pick(sealed)))
        return loss + self._motion_cost(u).reshape(b * t)

    def _motion_cost(self, u: Tensor) -> Tensor:
        """[B, T] of moving faster than the gate will allow, and a little for shaking."""
        speed = torch.diff(u, dim=1, prepend=u[:, :1]) * FRAME_RATE_HZ
        bend = torch.diff(speed, dim=1, prepend=speed[:, :1]) * FRAME_RATE_HZ
        cost = 2e-6 * (bend**2).sum(dim=2) * 1e-2
        if len(self.limits.speed_per_s):
            most = torch.as_tensor(0.9 * self.limits.speed_per_s, dtype=u.dtype)
            cost = cost + 0.5 * (torch.relu(speed.abs() - most) ** 2).sum(dim=2)
        if len(self.limits.acceleration_per_s2):
            most = torch.as_tensor(self.limits.acceleration_per_s2, dtype=u.dtype)
            cost = cost + 0.5 * (torch.relu(bend.abs() / most - 0.9) ** 2).sum(dim=2)
        return cost


class Memory:
    """History.inputs of lag-compensated commands at 60 frames a second, differentiable, for batches of takes."""

    def __init__(self, response: Response, history: History) -> None:
        self._response, self._history = response, history
        self._skin = [torch.tensor(row) for row in history.skin]
        self._made: dict[int, tuple[Tensor, list[Tensor]]] = {}

    def inputs(self, u: Tensor) -> Tensor:
        """u[B, T, N] -> [B, T, F]."""
        follow, slow = self._operators(u.shape[1], u.shape[2])
        q = torch.einsum("nts,bsn->btn", follow, u)
        parts = [q, *_plays(q, self._history.play)]
        drawn = along_skin(q, self._skin)
        parts += [drawn - torch.einsum("ts,bsn->btn", s, drawn) for s in slow]
        return torch.cat(parts, dim=2)

    def _operators(self, frames: int, n: int) -> tuple[Tensor, list[Tensor]]:
        """Lag and creep are linear in time: as matrices [N, T, T] and [T, T], made once per length."""
        if frames not in self._made:
            tick = 1.0 / FRAME_RATE_HZ
            tau = self._response.tau_s
            follow = np.empty((n, frames, frames))
            for i in range(n):
                early = shifted(np.eye(frames), np.full(frames, -tau[i] / tick))
                follow[i] = Response(np.zeros(frames), np.full(frames, tau[i])).follow(early, tick)
            slow = [
                Response(np.zeros(frames), np.full(frames, s)).follow(np.eye(frames), tick)
                for s in self._history.creep_s
            ]
            as_tensor = [torch.as_tensor(s, dtype=torch.float32) for s in slow]
            self._made[frames] = torch.as_tensor(follow, dtype=torch.float32), as_tensor
        return self._made[frames]


def _plays(q: Tensor, radii: tuple[float, ...]) -> list[Tensor]:
    """Where q[B, T, N] stands in each play, -1..1: one loop over time for all radii."""
    if not radii:
        return []
    r = torch.tensor(radii, dtype=q.dtype).view(-1, 1, 1)
    state, out = q[:, 0].expand(len(radii), -1, -1), []
    for now in q.unbind(dim=1):
        state = torch.minimum(torch.maximum(state, now - r), now + r)
        out.append(now - state)
    return list((torch.stack(out, dim=2) / r.unsqueeze(1)).unbind(dim=0))

"""The gradient inverse: motor commands for landmark targets, by backpropagation through the frozen self-model.

`solve_poses` finds one command per target (shapes, emotions), from several starts. `solve_takes` finds whole
trajectories at 60 frames a second: smooth, within speed and acceleration, the memory of servos and skin
included. Lags are compensated outside (each command is sent ahead by its actuator's lag), so here an
actuator's answer is early by its lag and only what a lag loses of fast movement remains to be won back.
"""

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.selfmodel import newton
from animaface.selfmodel.history import Response
from animaface.selfmodel.objective import Objective, Targets
from animaface.selfmodel.rollout import Gate, Memory

Array = NDArray[np.float64]
_DAMPING: Final = 0.02
"""mm^2 per squared range: twice what effort costs, and a little against actuators that move next to nothing."""

_SHAKING: Final = 2e-8
"""mm^2 per squared (range / s^2)."""
_TOO_FAST: Final = 0.5
"""mm^2 per squared (range / s) above what the gate allows, and per square of so many times its acceleration."""
_HURRY: Final = 0.05
"""The same where takes pass through the gate: what is too fast comes late there, and that has its own price. Ten times dearer, a face
of four servos left its lips open rather than hurry."""

_ELSEWHERE_U: Final = (0.1, 0.3, 0.5, 0.7, 0.9)
"""Where each actuator is tried when all descents have ended."""
_SLOWLY: Final = 0.25
"""Share of the rate of a descent that stays near the given start: what is asked can be smaller than the first steps of the others."""
_KEY_EVERY: Final = 4
"""Frames between the poses that a take begins with."""


@dataclass(frozen=True)
class SolveOptions:
    """steps of Adam, its first rate in ranges, random starts beside the given one (then two more, see `solve_poses`), seed. Whole takes go on by `newton`
    Gauss-Newton steps, each of which costs about as much as ten of Adam."""

    steps: int = 160
    rate: float = 0.06
    extra_starts: int = 0
    seed: int = 0
    newton: int = 8


class Solver:
    """Solves for the actuators the camera sees; the others stay where the start has them."""

    def __init__(self, objective: Objective, response: Response, observed: NDArray[np.bool_]) -> None:
        """`observed` [N]: which actuators the self-model knows the effect of."""
        self.objective = objective
        self.limits = objective.limits
        self._ties = torch.as_tensor(self.limits.ties(), dtype=torch.float32)
        self._free = torch.as_tensor(observed, dtype=torch.float32)
        self._gate, self._memory = Gate(self.limits), Memory(response, objective.history)

    def solve_poses(self, targets: Targets, start_u: Array, options: SolveOptions | None = None) -> Array:
        """[B, N] commands for settled poses from start_u[B, N], legal by CommandLimits. With extra starts also slowly from the given
        one, and from where each actuator does best alone."""
        o = options or SolveOptions()
        generator = torch.Generator().manual_seed(o.seed)
        first = torch.as_tensor(start_u, dtype=torch.float32)
        best_u, best = first, torch.full((len(first),), float("inf"))
        starts = [
            "given",
            *(["random"] * o.extra_starts),
            *(["slowly", "elsewhere"] if o.extra_starts else []),
        ]
        for kind in starts:
            start, how = first, o
            if kind == "random":
                noise = 0.25 * torch.randn(first.shape, generator=generator)
                start = (first + noise * self._free).clamp(0.0, 1.0)
            elif kind == "slowly":
                how = replace(o, rate=_SLOWLY * o.rate)
            elif kind == "elsewhere":
                start = self._elsewhere(best_u, best, targets)
            u = self._descend(targets, start, how, generator)
            with torch.no_grad():
                loss = self.objective.loss(u, self.objective.settled(u), targets)
            better = loss < best
            best_u, best = torch.where(better[:, None], u, best_u), torch.where(better, loss, best)
        return self.limits.made_legal(best_u.double().numpy())

    def _elsewhere(self, u: Tensor, loss: Tensor, targets: Targets) -> Tensor:
        """[B, N] of u[B, N] with `loss` [B]: each actuator where it does best alone, all of them or the one that helps most. A slack cable
        has no slope, so no descent ever pulls it."""
        where, single, gained = u, u, torch.zeros_like(loss)
        with torch.no_grad():
            for group in self._ties * self._free:
                moves = group > 0.0
                tried = [torch.where(moves, torch.full_like(u, value), u) for value in _ELSEWHERE_U]
                losses = torch.stack(
                    [self.objective.loss(t, self.objective.settled(t), targets) for t in tried]
                )
                lowest, which = losses.min(dim=0)
                best = torch.stack(tried)[which, torch.arange(len(u))]
                helps = lowest < loss
                where = torch.where(helps[:, None] & moves, best, where)
                most = loss - lowest > gained
                single = torch.where(most[:, None], best, single)
                gained = torch.where(most, loss - lowest, gained)
            least = self.objective.loss(where, self.objective.settled(where), targets)
        return torch.where((least < loss - gained)[:, None], where, single)

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

    def takes_by_key_frames(self, targets: Targets, takes: int, options: SolveOptions | None = None) -> Array:
        """[takes, T, N] commands to begin `solve_takes` with: every few frames a pose from neutral, straight lines between.

        Solved pose by pose, a cable may start slack in one frame and pulled in the next, as its neighbours happen to make up
        for it; several starts each and fewer frames cost the same and end at better takes.
        """
        frames = len(targets.point) // takes
        keys = np.unique(np.append(np.arange(0, frames, _KEY_EVERY), frames - 1))
        at = (np.arange(takes)[:, None] * frames + keys).ravel()
        start = np.tile(self.limits.neutral_u, (len(at), 1))
        chosen = options or SolveOptions(steps=80, extra_starts=2)
        poses = self.solve_poses(targets.pick(torch.as_tensor(at)), start, chosen).reshape(
            takes, len(keys), -1
        )
        low = np.clip(np.searchsorted(keys, np.arange(frames), side="right") - 1, 0, len(keys) - 2)
        share = ((np.arange(frames) - keys[low]) / (keys[low + 1] - keys[low]))[:, None]
        return np.asarray((1.0 - share) * poses[:, low] + share * poses[:, low + 1])

    def solve_takes(self, targets: Targets, start_u: Array, options: SolveOptions | None = None) -> Array:
        """start_u[B, T, N] at 60 Hz and targets of B * T frames (take after take) -> commands [B, T, N]."""
        o = options or SolveOptions(rate=0.02)
        b, t, n = start_u.shape
        ties, start = self._ties, torch.as_tensor(start_u, dtype=torch.float32)
        z = (start @ ties.T / ties.sum(dim=1)).clone().requires_grad_(True)
        optimiser = torch.optim.Adam([z], lr=o.rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, max(o.steps, 1), 0.05 * o.rate)
        for _ in range(o.steps):
            u = self._free * (z @ ties) + (1.0 - self._free) * start
            loss = self.take_loss(u, targets).mean()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
            with torch.no_grad():
                z.clamp_(0.0, 1.0)
        found = self._newton(z.detach(), start, targets, o.newton).double().numpy()
        return self.limits.made_legal(found.reshape(-1, n)).reshape(b, t, n)

    def _newton(self, z: Tensor, start: Tensor, targets: Targets, steps: int) -> Tensor:
        """Commands [B, T, N] of free numbers z[B, T, M], after Gauss-Newton steps that each make a take better or leave it."""

        def commands(z: Tensor) -> Tensor:
            return self._free * (z @ self._ties) + (1.0 - self._free) * start

        def cost(z: Tensor) -> Tensor:
            return self.take_loss(commands(z), targets).view(z.shape[:2]).sum(dim=1)

        frames = torch.zeros(0)
        for k in range(steps):
            at = z.clone().requires_grad_(True)
            (slope,) = torch.autograd.grad(cost(at).sum(), at)
            held = ((z <= 0.0) & (slope > 0.0)) | ((z >= 1.0) & (slope < 0.0))
            if k % 2 == 0:  # they cost more than all the rest, and change little from one step to the next
                frames = self._frame_matrices(commands(z), targets)
            product = self._second_derivatives(commands(z), frames, held)
            step = newton.conjugate_gradients(product, torch.where(held, 0.0, -slope))
            z = newton.best_along(z, step, cost, lambda z: z.clamp(0.0, 1.0))
        return commands(z)

    def _frame_matrices(self, u: Tensor, targets: Targets) -> Tensor:
        b, t, n = u.shape
        x = self._memory.inputs(u).reshape(b * t, -1)
        found = newton.frame_matrices(lambda x: self.objective.residuals(x, targets), x, self._free)
        return found.view(b, t, n, n)

    def _second_derivatives(self, u: Tensor, frames: Tensor, held: Tensor) -> newton.Product:
        """Of the loss at commands u[B, T, N], for free numbers [B, T, M] of which `held` stay; as far as Gauss-Newton goes."""
        follow, _ = self._memory.operators(u.shape[1], u.shape[2])
        motion = newton.curvature(self._motion_cost, u)

        def product(v: Tensor) -> Tensor:
            du = self._free * (torch.where(held, 0.0, v) @ self._ties)
            q = torch.einsum("btnm,btm->btn", frames, torch.einsum("nts,bsn->btn", follow, du))
            out = torch.einsum("nts,btn->bsn", follow, q) + motion(du) + _DAMPING * du
            return torch.where(held, v, (self._free * out) @ self._ties.T)

        return product

    def take_loss(
        self, u: Tensor, targets: Targets, shake: Tensor | None = None, *, gated: bool = False
    ) -> Tensor:
        """[B * T] of trajectories u[B, T, N]; `shake` [B, 1, N]: a disturbance under which lips must still meet; gated: what
        the robot's gate holds back comes late. (A network learns well through it; whole takes, solved by second
        derivatives that know nothing of a gate, end four times as far from what a face had performed.)"""
        b, t, n = u.shape
        passed = self._gate.passed(u) if gated else u
        x = self._memory.inputs(passed).reshape(b * t, -1)
        loss = self.objective.loss(u.reshape(b * t, n), x, targets, spoken=True)
        if shake is not None:
            sealed = torch.nonzero(targets.seal > 0.0)[:, 0]
            x = self._memory.inputs(passed + shake).reshape(b * t, -1)[sealed]
            loss = loss.index_add(0, sealed, self.objective.closure_loss(x, targets.pick(sealed)))
        return loss + self._motion_cost(u, _HURRY if gated else _TOO_FAST).reshape(b * t)

    def _motion_cost(self, u: Tensor, too_fast: float = _TOO_FAST) -> Tensor:
        """[B, T] of moving faster than the gate will allow, and a little for shaking."""
        speed = torch.diff(u, dim=1, prepend=u[:, :1]) * FRAME_RATE_HZ
        bend = torch.diff(speed, dim=1, prepend=speed[:, :1]) * FRAME_RATE_HZ
        cost = _SHAKING * (bend**2).sum(dim=2)
        if len(self.limits.speed_per_s):
            most = torch.as_tensor(0.9 * self.limits.speed_per_s, dtype=u.dtype)
            cost = cost + too_fast * (torch.relu(speed.abs() - most) ** 2).sum(dim=2)
        if len(self.limits.acceleration_per_s2):
            most = torch.as_tensor(self.limits.acceleration_per_s2, dtype=u.dtype)
            cost = cost + too_fast * (torch.relu(bend.abs() / most - 0.9) ** 2).sum(dim=2)
        return cost

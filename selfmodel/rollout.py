"""What commands become on their way to the skin, in whole takes and differentiable: the gate, lag, the memory of servos and skin."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.selfmodel.history import History, Response, along_skin, shifted
from animaface.selfmodel.limits import CommandLimits

Array = NDArray[np.float64]
_TICK_S = 1.0 / FRAME_RATE_HZ


class Gate:
    """What the robot's gate (robot/gate.py) lets through of commands at 60 frames a second, as far as speed and acceleration go."""

    def __init__(self, limits: CommandLimits) -> None:
        self._limited = bool(len(limits.speed_per_s) and len(limits.acceleration_per_s2))
        self._speed = torch.as_tensor(limits.speed_per_s, dtype=torch.float32)
        self._acceleration = torch.as_tensor(limits.acceleration_per_s2, dtype=torch.float32)

    def passed(self, u: Tensor) -> Tensor:
        """u[B, T, N] -> [B, T, N]; takes begin at rest."""
        if not self._limited:
            return u
        most, a, tick = self._speed, self._acceleration, _TICK_S
        x, v, out = u[:, 0], torch.zeros_like(u[:, 0]), [u[:, 0]]
        aims = (torch.diff(u, dim=1) / tick).clamp(-most, most)
        for goal, aim in zip(u.unbind(dim=1)[1:], aims.unbind(dim=1), strict=True):
            behind = goal - x - aim * tick
            catch = a * ((tick * tick + 2.0 * behind.abs() / a).sqrt() - tick)
            wanted = aim + torch.copysign(catch, behind)
            v = torch.clamp(torch.clamp(wanted, v - a * tick, v + a * tick), -most, most)
            x = x + v * tick
            out.append(x)
        return torch.stack(out, dim=1)


class Memory:
    """History.inputs of lag-compensated commands at 60 frames a second, differentiable, for batches of takes."""

    def __init__(self, response: Response, history: History) -> None:
        self._response, self._history = response, history
        self._skin = [torch.tensor(row) for row in history.skin]
        self._made: dict[int, tuple[Tensor, list[Tensor]]] = {}

    def inputs(self, u: Tensor) -> Tensor:
        """u[B, T, N] -> [B, T, F]."""
        follow, slow = self.operators(u.shape[1], u.shape[2])
        q = torch.einsum("nts,bsn->btn", follow, u)
        parts = [q, *_plays(q, self._history.play)]
        drawn = along_skin(q, self._skin)
        parts += [drawn - torch.einsum("ts,bsn->btn", s, drawn) for s in slow]
        return torch.cat(parts, dim=2)

    def operators(self, frames: int, n: int) -> tuple[Tensor, list[Tensor]]:
        """Lag and creep are linear in time: as matrices [N, T, T] and [T, T], made once per length."""
        if frames not in self._made:
            tau = self._response.tau_s
            follow = np.empty((n, frames, frames))
            for i in range(n):
                early = shifted(np.eye(frames), np.full(frames, -tau[i] / _TICK_S))
                follow[i] = Response(np.zeros(frames), np.full(frames, tau[i])).follow(early, _TICK_S)
            slow = [
                Response(np.zeros(frames), np.full(frames, s)).follow(np.eye(frames), _TICK_S)
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

"""The distilled inverse: blendshapes and a few frames around them -> motor commands, for run time without torch.

It first learns from gradient solutions of many sampled expressions, then goes on by itself through the frozen
self-model: expressions held still, and spoken takes with the memory of servos and skin in the loop, so that it
learns to lead where a servo would come too late and to come back where cables drag. A held expression is
answered by the static part alone, which two Gauss-Newton steps through the self-model then correct (refine.py), as
far as a gate lets them; the rest pose is neutral exactly.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS, shape_indices
from animaface.selfmodel.asked import TONGUE, Asked, held_closed
from animaface.selfmodel.expressions import random_expressions, shapes_alone, spoken_take
from animaface.selfmodel.inverse import SolveOptions, Solver
from animaface.selfmodel.objective import Objective, Targets
from animaface.selfmodel.refine import Refinement, TargetNet
from animaface.selfmodel.retarget import Retarget
from animaface.selfmodel.window import N_WINDOW, Numbers, windows

Array = NDArray[np.float64]
log = logging.getLogger(__name__)
Progress = Callable[[int, int], None]

_TAKE_FRAMES: Final = 96
_TRUST: Final = 2.0
"""What the gate of the refinement begins with: nearly all of a correction is let through."""
_SMALL_MM2: Final = 0.5
"""Mean square of a movement that counts as small."""
_PRESSING: Final = shape_indices("mouthPress", "mouthRoll")
_SHAPING: Final = np.setdiff1d(shape_indices("mouth", "noseSneer", "cheekPuff"), ARKIT_INDEX["mouthClose"])
_PRESSED, _SHAPED = 0.1, 0.3
"""From how much on a shape means that sealed lips must stay so."""
_HEAD_SCALE: Final = 4.0
"""Head angles are a few tenths of a radian; the network sees them as large as shapes."""


@dataclass(frozen=True)
class HandPart:
    """The hand map for actuators the camera does not see: shares[55, N], linear on each side of neutral."""

    shares: Array

    def __call__(self, values: Array, neutral_u: Array) -> Array:
        """values[..., 55] -> u[..., N]."""
        du = values @ self.shares
        return np.asarray(np.clip(neutral_u + du * np.where(du > 0.0, 1.0 - neutral_u, neutral_u), 0.0, 1.0))


@dataclass(frozen=True)
class DistillOptions:
    """Defaults fit into three minutes on one core."""

    seed: int = 0
    expressions: int = 8000
    solved: int = 1600
    takes: int = 60
    solve_steps: int = 70
    hidden: int = 224
    imitate_steps: int = 500
    steps: int = 1000
    batch: int = 224
    take_batch: int = 3
    rate: float = 2e-3
    refine: int = 2
    target_steps: int = 1200


class DistilledInverse(nn.Module):
    """window[B, W, 55] (see window.py) -> u[B, N] in 0..1."""

    neutral_u: Tensor
    shares: Tensor
    observed: Tensor
    agreed: Tensor
    rows: Tensor
    most: Tensor
    scale: Tensor
    nothing: Tensor

    def __init__(
        self, solver: Solver, hand: HandPart, observed: NDArray[np.bool_], hidden: int, refine: int = 2
    ) -> None:
        super().__init__()
        limits = solver.limits
        ties = limits.ties()
        for name, value in (("neutral_u", limits.neutral_u), ("shares", hand.shares), ("observed", observed),
                            ("agreed", (ties.T / ties.sum(axis=1)) @ ties), ("rows", limits.rows), ("most", limits.collision_at_most)):  # fmt: skip
            self.register_buffer(name, torch.as_tensor(value, dtype=torch.float32))
        n = limits.n
        self.still = nn.Sequential(
            nn.Linear(N_CHANNELS, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU(),
            nn.Linear(hidden, hidden), nn.SiLU(), nn.Linear(hidden, n))  # fmt: skip
        self.direct = nn.Linear(N_CHANNELS, n, bias=False)
        self.moving = nn.Sequential(nn.Linear(N_CHANNELS * N_WINDOW, hidden), nn.SiLU(), nn.Linear(hidden, hidden),
                                    nn.SiLU(), nn.Linear(hidden, n, bias=False))  # fmt: skip
        self.gate = nn.Linear(N_CHANNELS, n)
        self.target = TargetNet(solver.objective.chol.shape[1])
        self.refinement = Refinement(
            solver.objective, self.observed, torch.as_tensor(ties, dtype=torch.float32), refine
        )
        scale = torch.ones(N_CHANNELS)
        scale[-3:], scale[TONGUE] = _HEAD_SCALE, 0.0
        self.register_buffer("scale", scale)
        self.register_buffer("nothing", torch.zeros(1, N_CHANNELS))
        self.asked = Asked()
        with torch.no_grad():
            self.gate.bias.fill_(_TRUST)
            for last in (self.still[-1], self.moving[-1]):
                last.get_parameter("weight").mul_(0.1)

    def learning(self) -> list[nn.Parameter]:
        """What training changes: not the self-model inside, nor the targets."""
        return [p for p in self.parameters() if p.requires_grad]

    def raw(self, window: Tensor) -> Tensor:
        """[B, N] before clipping: refined(neutral + still(v) - still(0)) + moving(v, dv) - moving(v, 0)."""
        window = window * self.scale
        now = window[:, 0]
        asked = self.asked(now)
        still = self.guess(asked)
        if self.refinement.steps:
            still = still + torch.sigmoid(self.gate(asked)) * self.correction(still.detach(), asked)
        flat = torch.cat([now, (window[:, 1:] - now.unsqueeze(1)).flatten(1)], dim=1)
        held = nn.functional.pad(now, (0, flat.shape[1] - now.shape[1]))
        moved: Tensor = self.moving(torch.stack([flat, held]))
        return still + (moved[0] - moved[1])

    def guess(self, asked: Tensor) -> Tensor:
        """[B, N] held commands before the refinement, of asked[B, 55] in units of `scale`."""
        out: Tensor = self.still(asked) + self.direct(asked) + (self.neutral_u - self.still(self.nothing))
        return out

    def correction(self, u: Tensor, scaled: Tensor) -> Tensor:
        """[B, N] what the refinement changes about held commands u[B, N]."""
        held = u.clamp(0.0, 1.0)
        found: Tensor = self.refinement(held, self.target(scaled)) - held
        return found

    def forward(self, window: Tensor) -> Tensor:
        """[B, N]: groups agreed, collisions kept out of, unseen actuators by the hand map."""
        return self.legal(self.raw(window), window[:, 0])

    def legal(self, raw: Tensor, values: Tensor) -> Tensor:
        """What `raw` commands of values[B, 55] may be."""
        du = values @ self.shares
        hand = self.neutral_u + du * torch.where(du > 0.0, 1.0 - self.neutral_u, self.neutral_u)
        u = torch.where(self.observed > 0.5, raw, hand)
        u = (u @ self.agreed).clamp(0.0, 1.0)
        for k in range(len(self.most)):
            row = self.rows[k]
            here, rest = u @ row, self.neutral_u @ row
            room = ((self.most[k] - rest) / (here - rest).clamp(min=1e-9)).clamp(0.0, 1.0)
            room = torch.where(here > self.most[k], room, torch.ones_like(room)).unsqueeze(1)
            u = torch.where(row != 0.0, self.neutral_u + room * (u - self.neutral_u), u)
        return u

    def prepare(
        self,
        values: Array,
        targets: Targets,
        solved: Array,
        solver: Solver,
        retarget: Retarget,
        o: DistillOptions,
    ) -> float:
        """Fit what the refinement needs: targets[B] of values[B, 55], and good commands to take slopes at."""
        rest = solver.objective.at_rest()
        x = self.asked(torch.as_tensor(values, dtype=torch.float32) * self.scale)
        left = self.target.fit(x, targets.point - rest, o.target_steps, o.seed)
        with torch.no_grad():
            self.refinement.prepare(torch.as_tensor(solved, dtype=torch.float32))
        return left


def _by_size(solver: Solver, targets: Targets) -> Tensor:
    """[B] weights, 1 in the mean: a tenth of a millimetre counts more where little was asked."""
    rest = solver.objective.at_rest()
    weight = 1.0 / (_SMALL_MM2 + ((targets.point - rest) ** 2).sum(dim=1))
    return weight / weight.mean()


def seal_meant(values: Array) -> Array:
    """[T] 0..1: how much values[T, 55] mean lips that stay together, not only at rest: pressed, held against the jaw, or
    sealed (Objective.targets tells whether they are) in a mouth that smiles, sneers or frowns."""
    pressed = np.maximum(values[:, _PRESSING].max(axis=1), held_closed(values)) / _PRESSED
    return np.asarray(np.clip(np.maximum(pressed, values[:, _SHAPING].max(axis=1) / _SHAPED), 0.0, 1.0))


def distil(
    solver: Solver, retarget: Retarget, hand: HandPart, observed: NDArray[np.bool_],
    options: DistillOptions | None = None, progress: Progress | None = None,
) -> DistilledInverse:  # fmt: skip
    """Train the run-time inverse of one face. Rates and frames are those of takes: 60 a second."""
    o = options or DistillOptions()
    torch.manual_seed(o.seed)
    neutral = solver.limits.neutral_u
    net = DistilledInverse(solver, hand, observed, o.hidden, o.refine)
    alone = np.tile(shapes_alone(), (max(1, o.expressions // 2000), 1))
    values = np.concatenate([alone, random_expressions(o.expressions, o.seed)])
    values[-(o.expressions // 3) :] = _spoken_frames(o.seed, o.expressions // 3)
    targets = _targets(solver, retarget, values)
    some = np.random.default_rng(o.seed).permutation(len(values))[: o.solved]
    solved = solver.solve_poses(
        targets.pick(torch.as_tensor(some)),
        hand(values[some], neutral),
        SolveOptions(steps=o.solve_steps, seed=o.seed),
    )
    takes = [
        spoken_take(10_000 + 100 * o.seed + k, (_TAKE_FRAMES + 20) / 60.0).values for k in range(o.takes)
    ]
    bank = [(windows(v), _targets(solver, retarget, v)) for v in takes]
    total = o.imitate_steps + o.steps
    report = progress or (lambda done, of: None)
    left = net.prepare(values, targets, solved, solver, retarget, o)
    log.info("targets at run time: %.1f %% of their motion left unexplained", 100.0 * left)
    _imitate(net, values[some], solved, o, lambda done: report(done, total))
    _go_on(net, solver, values, targets, bank, o, lambda done: report(o.imitate_steps + done, total))
    return net.eval()


def _targets(solver: Solver, retarget: Retarget, values: Array) -> Targets:
    parts = []
    for chunk in np.array_split(values, max(1, len(values) // 500)):
        parts.append(
            solver.objective.targets(retarget.landmarks_m(chunk), retarget.head_rad(chunk), seal_meant(chunk))
        )
    return Targets(
        *(torch.cat([getattr(p, name) for p in parts]) for name in ("point", "gap", "seal", "floor"))
    )


def _spoken_frames(seed: int, n: int) -> Array:
    frames = np.concatenate([spoken_take(20_000 + 100 * seed + k).values for k in range(12)])
    return frames[np.random.default_rng(seed).choice(len(frames), n)]


def _imitate(
    net: DistilledInverse, values: Array, solved: Array, o: DistillOptions, report: Callable[[int], None]
) -> None:
    """Learn held expressions from their gradient solutions, unrefined."""
    steps, net.refinement.steps = net.refinement.steps, 0
    random = np.random.default_rng(o.seed)
    x = torch.as_tensor(np.repeat(values[:, None], N_WINDOW, axis=1), dtype=torch.float32)
    y = torch.as_tensor(solved, dtype=torch.float32)
    optimiser = torch.optim.Adam(net.learning(), lr=o.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, o.rate, total_steps=o.imitate_steps)
    for step in range(o.imitate_steps):
        pick = torch.as_tensor(random.integers(0, len(x), o.batch))
        loss = (net.observed * (net.raw(x[pick]) - y[pick]) ** 2).sum(dim=1).mean()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % 50 == 49:
            report(step + 1)
    net.refinement.steps = steps


def _go_on(
    net: DistilledInverse, solver: Solver, values: Array, targets: Targets, bank: list[tuple[Numbers, Targets]],
    o: DistillOptions, report: Callable[[int], None],
) -> None:  # fmt: skip
    """Go on through the frozen self-model: half held expressions, half takes in motion."""
    random = np.random.default_rng(o.seed + 1)
    generator = torch.Generator().manual_seed(o.seed)
    held = torch.as_tensor(np.repeat(values[:, None], N_WINDOW, axis=1), dtype=torch.float32)
    takes = [torch.as_tensor(w, dtype=torch.float32) for w, _ in bank]
    optimiser = torch.optim.Adam(net.learning(), lr=o.rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, 0.5 * o.rate, total_steps=o.steps, pct_start=0.1
    )
    objective, shake = solver.objective, solver.objective.weights.overtravel_u
    size = _by_size(solver, targets)
    for step in range(o.steps):
        pick = torch.as_tensor(random.integers(0, len(held), o.batch))
        t = targets.pick(pick)
        u, loss = _held(net, held[pick], t, size[pick], objective)
        sealed = torch.nonzero(t.seal > 0.0)[:, 0]
        shaken = (
            u[sealed] + shake * torch.randn((len(sealed), u.shape[1]), generator=generator) * net.observed
        )
        closed = objective.closure_loss(objective.settled(shaken), t.pick(sealed)).sum() / len(u)
        loss = loss + objective.weights.held_closure * closed
        chosen, first = random.integers(0, len(takes), o.take_batch), int(random.integers(0, 20))
        cut = slice(first, first + _TAKE_FRAMES)
        w = torch.stack([takes[k][cut] for k in chosen])
        ts = [bank[k][1].pick(torch.arange(cut.start, cut.stop)) for k in chosen]
        joined = Targets(
            *(torch.cat([getattr(p, name) for p in ts]) for name in ("point", "gap", "seal", "floor"))
        )
        w = w.flatten(0, 1)
        moved, out = _leaky(net, net.raw(w), w[:, 0])
        moved = moved.view(len(chosen), _TAKE_FRAMES, -1)
        disturbed = shake * torch.randn((len(chosen), 1, moved.shape[2]), generator=generator) * net.observed
        per_frame = solver.take_loss(moved, joined, disturbed, gated=True).view(len(chosen), -1)[
            :, 12:
        ]  # memory has warmed up
        loss = loss + per_frame.mean() + out
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(net.learning(), 20.0)
        optimiser.step()
        schedule.step()
        if step % 50 == 49:
            report(step + 1)
            log.info("distilled inverse: step %d, loss %.3f mm^2", step + 1, float(loss.detach()))


def _held(
    net: DistilledInverse, window: Tensor, t: Targets, size: Tensor, objective: Objective
) -> tuple[Tensor, Tensor]:
    """Commands of held expressions, and what they cost: refined, and as they are guessed before that.

    The correction is a constant to the gradient. A guess that learned from the refined commands alone would move as far as
    these are wrong, while the refinement takes nearly all of that back: it ended farther from the target than rest.
    """
    now = window[:, 0]
    u, out = _leaky(net, net.raw(window), now)
    guess, beyond = _leaky(net, net.guess(net.asked(now * net.scale)), now)
    cost = objective.loss(u, objective.settled(u), t) + objective.loss(guess, objective.settled(guess), t)
    return u, (size * cost).mean() + out + beyond


def _leaky(net: DistilledInverse, raw: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
    """What may be of `raw` commands of values[B, 55], whose clipping does not stop the gradient; and the cost of what
    had to be clipped."""
    u = net.legal(raw, values)
    beyond = torch.relu(-raw - 0.02) ** 2 + torch.relu(raw - 1.02) ** 2
    return u + net.observed * 0.05 * (raw - raw.detach()), 20.0 * (net.observed * beyond).sum(dim=1).mean()

"""The refinement of the run-time inverse: its written-out Jacobian product is the true one, and its steps help."""

import numpy as np
import torch

from animaface.robot.face.landmarks import neutral_m
from animaface.selfmodel.history import History
from animaface.selfmodel.limits import CommandLimits
from animaface.selfmodel.network import SelfModel, Shape, blocks
from animaface.selfmodel.objective import Objective
from animaface.selfmodel.refine import Refinement

N = 5


def wild_objective(members: int = 1) -> Objective:
    """A self-model of random numbers, with every kind of memory, on actuators of which three move as they like."""
    torch.manual_seed(3)
    model = SelfModel(Shape(N, 1, 2, len(blocks()), n_components=4, n_hidden=12, n_members=members))
    with torch.no_grad():
        for p in (model.linear, model.w3, model.memory):
            p.copy_(0.3 * torch.randn(p.shape))
        model.slip[1], model.stretch[2] = 0.1, -0.2
        model.least[3] = 0.5  # a cable that is slack at rest and in one of two poses
        model.seen.copy_(torch.relu(torch.rand(model.seen.shape) - 0.3))
        basis = torch.zeros(len(blocks()), 4, model.basis.shape[1])
        for k, columns in enumerate(blocks()):  # of its own landmarks alone
            basis[k][:, columns] = torch.randn(4, len(columns)) / model.basis.shape[1] ** 0.5
        model.basis.copy_(basis.flatten(0, 1))
        model.scale.fill_(2e-3)
        model.mean.copy_(torch.as_tensor(np.concatenate([neutral_m().ravel(), np.zeros(3)])))
    limits = CommandLimits(np.full(N, 0.4), equal=[[0, 1]])
    skin = np.random.default_rng(3).normal([[0.4], [0.1], [0.0]], 0.05, (3, N)).tolist()
    return Objective(model, History((0.04,), (0.3, 0.9), skin), limits, neutral_m())


def refinement(objective: Objective, steps: int = 2) -> Refinement:
    """Prepared on poses of its own; the last actuator is not seen."""
    seen = torch.tensor([1.0] * (N - 1) + [0.0])
    made = Refinement(objective, seen, torch.as_tensor(objective.limits.ties(), dtype=torch.float32), steps)
    with torch.no_grad():
        made.prepare(0.2 + 0.6 * torch.rand(400, N))
    return made


def test_the_written_out_product_is_what_autograd_says() -> None:
    """Away from the corners of play and clipping."""
    objective = wild_objective()
    made = refinement(objective)
    u = torch.tensor([[0.2, 0.9, 0.37, 0.43, 0.6], [0.8, 0.1, 0.42, 0.7, 0.3]], requires_grad=True)
    seen = made.look(u)
    inside = objective.model(objective.settled(u)) @ objective.chol
    torch.testing.assert_close(seen, inside, rtol=1e-5, atol=1e-5)
    error = torch.randn(seen.shape)
    (wanted,) = torch.autograd.grad((inside * error).sum(), u)
    torch.testing.assert_close(made.pull(error, u), wanted, rtol=1e-4, atol=1e-4)


def test_one_member_is_left_that_answers_like_the_mean_of_all() -> None:
    """At poses that nobody fitted, nearer than half as far as any member alone is off, though these are four strangers."""
    objective = wild_objective(members=4)
    before = {k: v.clone() for k, v in objective.model.state_dict().items()}
    made = refinement(objective)
    for name, value in objective.model.state_dict().items():
        torch.testing.assert_close(
            value, before[name], rtol=0.0, atol=0.0, msg=f"the self-model's {name} was touched"
        )
    u = 0.25 + 0.5 * torch.rand(60, N)
    with torch.no_grad():
        members = objective.model.members(objective.settled(u)) * objective.model.scale @ objective.chol
        mean = members.mean(dim=0)
        apart = float((members - mean).square().mean().sqrt())
        left = float((made.look(u) - mean).square().mean().sqrt())
    assert made.w1.shape[0] == len(blocks()), "one member a block"
    assert left < 0.5 * apart


def test_steps_come_nearer_and_rest_stays_rest() -> None:
    """From a wrong start to what a known command shows; groups stay together, the unseen stays where it is."""
    objective = wild_objective()
    made = refinement(objective, 2)
    right = torch.tensor([[0.5, 0.5, 0.3, 0.6, 0.4], [0.3, 0.3, 0.55, 0.25, 0.4]])
    wrong = right + torch.tensor([0.08, 0.08, -0.06, 0.07, 0.0])
    with torch.no_grad():
        target = made.look(right) - made.rest
        found = made(wrong, target)

        def error(u: torch.Tensor) -> float:
            return float((made.look(u) - made.rest - target).norm())

        assert error(found) < 0.4 * error(wrong)
        torch.testing.assert_close(found[:, 0], found[:, 1])
        torch.testing.assert_close(found[:, -1], wrong[:, -1])
        rest = made(made.neutral[None], torch.zeros(1, target.shape[1]))
    torch.testing.assert_close(rest[0], made.neutral, rtol=0.0, atol=1e-6)


def test_a_step_follows_the_slope_of_what_is_judged() -> None:
    """Out of reach, the steps and the objective weigh alike what falls short of the target and what lies beside it."""
    objective = wild_objective()
    made = refinement(objective, 1)
    u = torch.tensor([[0.45, 0.45, 0.37, 0.62, 0.4], [0.5, 0.5, 0.42, 0.7, 0.4]], requires_grad=True)
    target = 3.0 * (made.look(u).detach() - made.rest) + 0.3 * torch.randn(2, made.rest.shape[1])
    off = made.look(u) - made.rest - target
    short = objective.short(off, target).detach()
    assert bool((short > 0.1 * (off.detach() ** 2).sum(dim=1)).all())
    judged = 0.5 * ((off**2).sum(dim=1) + objective.short(off, target)).sum()
    (slope,) = torch.autograd.grad(judged, u)
    with torch.no_grad():
        wanted = (u - (slope @ made.inverse) * made.free).clamp(0.0, 1.0)
        torch.testing.assert_close(made(u, target), wanted, rtol=1e-4, atol=1e-5)
    assert float(objective.short(-off, target).detach().abs().max()) == 0.0, (
        "going too far is no falling short"
    )

"""Whole takes solved with a gradient that knows how steep the face is."""

import numpy as np
import pytest
import torch

from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS
from animaface.robot.face.landmarks import neutral_m
from animaface.selfmodel import newton
from animaface.selfmodel.history import History, Response
from animaface.selfmodel.inverse import SolveOptions, Solver
from animaface.selfmodel.limits import CommandLimits
from animaface.selfmodel.objective import Objective, Targets, Weights
from animaface.selfmodel.rig import default_rig
from animaface.selfmodel.train import TrainOptions, train_self_model

SHAPES = ("jawOpen", "mouthSmileLeft", "browInnerUp", "eyeBlinkLeft")


def values_of(u: np.ndarray) -> np.ndarray:
    """Actuator i is shape i; the last one pulls smile and brow together, so that others can nearly do its work."""
    v = np.zeros((len(u), N_CHANNELS))
    for i, name in enumerate(SHAPES):
        v[:, ARKIT_INDEX[name]] = u[:, i]
    v[:, ARKIT_INDEX["mouthSmileLeft"]] += 0.5 * u[:, 4]
    v[:, ARKIT_INDEX["browInnerUp"]] += 0.4 * u[:, 4]
    return v


@pytest.fixture(scope="module")
def solver() -> Solver:
    """A face of five actuators, one of which does nearly what two others do."""
    u = np.random.default_rng(0).random((900, 5))
    history = History(play=(), creep_s=())
    m = default_rig().landmarks_m(values_of(u))
    model = train_self_model(u, m, np.zeros((900, 3)), 5, history, TrainOptions(steps=300, hidden=24))
    limits = CommandLimits(np.zeros(5), equal=((0,),), speed_per_s=np.full(5, 8.0))
    weights = Weights(effort=0.0, doubt=0.0)
    return Solver(
        Objective(model, history, limits, neutral_m(), weights), Response.uniform(5, 0.01, 0.04), np.ones(5)
    )


def performed(solver: Solver, takes: int, frames: int) -> Targets:
    """What the self-model shows of smooth random takes: all of it can be reached."""
    t = np.arange(frames) / 60.0
    random = np.random.default_rng(4)
    phase, hz = random.uniform(0, 6, (takes, 1, 5)), random.uniform(0.3, 1.2, (takes, 1, 5))
    u = torch.as_tensor(0.5 + 0.4 * np.sin(2 * np.pi * hz * t[:, None] + phase), dtype=torch.float32)
    x = solver._memory.inputs(u).reshape(takes * frames, -1)
    landmarks_m, head_rad = solver.objective.model.predict(x.numpy())
    return solver.objective.targets(landmarks_m, head_rad)


def test_steps_that_know_the_slope_end_nearer(solver: Solver) -> None:
    """From the same start, a dozen Gauss-Newton steps leave a small part of what as much work of Adam leaves."""
    targets = performed(solver, 2, 60)
    start = np.zeros((2, 60, 5))

    def error(u: np.ndarray) -> float:
        x = solver._memory.inputs(torch.as_tensor(u, dtype=torch.float32)).reshape(120, -1)
        return float((solver.objective.residuals(x, targets) ** 2).sum(dim=1).mean())

    adam = solver.solve_takes(targets, start, SolveOptions(steps=60, rate=0.02, newton=0))
    both = solver.solve_takes(targets, start, SolveOptions(steps=20, rate=0.02, newton=8))
    assert error(both) < 0.3 * error(adam)
    assert both.min() >= 0.0
    assert both.max() <= 1.0
    speed = np.abs(np.diff(both, axis=1)) * 60.0
    assert np.percentile(speed, 99) < 8.5, "speeds stay within what the gate lets through"


def test_key_frames_begin_a_take(solver: Solver) -> None:
    """Every take gets a start of its length, near its targets, from few poses."""
    targets = performed(solver, 2, 30)
    start = solver.takes_by_key_frames(targets, 2)
    assert start.shape == (2, 30, 5)
    x = solver._memory.inputs(torch.as_tensor(start, dtype=torch.float32)).reshape(60, -1)
    here = float((solver.objective.residuals(x, targets) ** 2).sum(dim=1).mean())
    rest = float(((targets.point - solver.objective.at_rest()) ** 2).sum(dim=1).mean())
    assert here < 0.15 * rest


def test_conjugate_gradients_solve_each_take() -> None:
    """Two systems of other steepness at once."""
    torch.manual_seed(1)
    a = torch.randn(2, 12, 12, dtype=torch.float64)
    a = a @ a.transpose(1, 2) + 0.5 * torch.eye(12, dtype=torch.float64)
    b = torch.randn(2, 4, 3, dtype=torch.float64)
    x = newton.conjugate_gradients(lambda v: (a @ v.reshape(2, 12, 1)).reshape(2, 4, 3), b, steps=60)
    torch.testing.assert_close((a @ x.reshape(2, 12, 1)).reshape(2, 4, 3), b, rtol=1e-4, atol=1e-5)

"""The inverse on a face of the test's own whose right answers are known: actuators that are ARKit shapes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS
from animaface.robot.face.errors import CalibrationError, InputError
from animaface.robot.face.landmarks import lip_gap_m, neutral_m
from animaface.selfmodel.distill import DistilledInverse, DistillOptions, HandPart, _held, distil
from animaface.selfmodel.export import export_inverse, export_self_model, import_self_model, parity
from animaface.selfmodel.expressions import random_expressions, spoken_take
from animaface.selfmodel.history import History, Response
from animaface.selfmodel.inverse import SolveOptions, Solver
from animaface.selfmodel.limits import CommandLimits
from animaface.selfmodel.objective import Objective
from animaface.selfmodel.retarget import Retarget
from animaface.selfmodel.rig import default_rig
from animaface.selfmodel.rollout import Memory
from animaface.selfmodel.runtime import FaceInverse
from animaface.selfmodel.train import TrainOptions, train_self_model
from animaface.selfmodel.window import N_WINDOW

Array = NDArray[np.float64]
DRIVES = (
    "jawOpen",
    "mouthClose",
    "mouthSmileLeft",
    "mouthSmileRight",
    "browInnerUp",
    "eyeBlinkLeft",
    "headYaw",
    "mouthPucker",
)
N = len(DRIVES) + 1  # the last one moves nothing that can be seen
RESPONSE = Response.uniform(N, 0.015, 0.03)
HISTORY = History(play=(), creep_s=())
NAMES = (*DRIVES, "tongue")
OBSERVED = np.array([True] * (N - 1) + [False])


def values_of(u: Array) -> Array:
    """What this face does: actuator i is shape i, the head's yaw is u - .5 rad."""
    v = np.zeros((len(u), N_CHANNELS))
    for i, name in enumerate(DRIVES):
        v[:, 52 if name == "headYaw" else ARKIT_INDEX[name]] = u[:, i]
    v[:, 52] -= 0.5
    return v


@pytest.fixture(scope="module")
def solver() -> Solver:
    """A solver on a self-model trained from 1,200 poses; lips agree with the jaw by a collision row."""
    random = np.random.default_rng(0)
    u = random.random((1200, N))
    values = values_of(u)
    m = default_rig().landmarks_m(values)
    model = train_self_model(u, m, values[:, 52:], N, HISTORY, TrainOptions(steps=400, hidden=32))
    neutral = np.zeros(N)
    neutral[6] = 0.5
    limits = CommandLimits(neutral, collision_rows=np.array([[1.0] + [0.0] * (N - 2) + [1.0]]),
                           collision_at_most=np.array([1.6]))  # fmt: skip
    return Solver(Objective(model, HISTORY, limits, neutral_m()), RESPONSE, OBSERVED)


@pytest.fixture(scope="module")
def retarget() -> Retarget:
    """The face is as large as the rig."""
    return Retarget(default_rig(), default_rig().neutral_m)


def ask(**shapes: float) -> Array:
    """[1, 55]."""
    v = np.zeros((1, N_CHANNELS))
    for name, x in shapes.items():
        v[0, 52 if name == "headYaw" else ARKIT_INDEX[name]] = x
    return v


def test_finds_the_commands_that_make_what_was_asked(solver: Solver, retarget: Retarget) -> None:
    """Shapes this face has are found to a few percent, the unseen actuator stays where it was put."""
    asked = np.concatenate(
        [ask(jawOpen=0.5), ask(mouthSmileLeft=0.8, browInnerUp=0.4), ask(headYaw=0.3, eyeBlinkLeft=1.0)]
    )
    targets = solver.objective.targets(retarget.landmarks_m(asked), retarget.head_rad(asked))
    start = np.tile(solver.limits.neutral_u, (3, 1))
    start[:, -1] = 0.25
    u = solver.solve_poses(targets, start, SolveOptions(steps=200, extra_starts=3))
    assert u[0, 0] == pytest.approx(0.5, abs=0.05)
    assert u[1, 2] == pytest.approx(0.8, abs=0.06)
    assert u[1, 4] == pytest.approx(0.4, abs=0.06)
    assert u[1, 3] < 0.1
    assert u[2, 6] == pytest.approx(0.8, abs=0.03)
    assert u[2, 5] > 0.93
    np.testing.assert_allclose(u[:, -1], 0.25)


def test_slack_cables_are_pulled(solver: Solver, retarget: Retarget) -> None:
    """Below .5 a cable is slack and has no slope: no descent from rest moves it, and it is found all the same."""
    asked = ask(mouthSmileLeft=0.9, browInnerUp=0.9)
    targets = solver.objective.targets(retarget.landmarks_m(asked), retarget.head_rad(asked))
    model = solver.objective.model
    whole = model.least.clone()
    model.least[[2, 3, 4, 5]] = 0.5
    try:
        rest = solver.limits.neutral_u[None]
        slack = solver.solve_poses(targets, rest, SolveOptions(steps=100))
        found = solver.solve_poses(targets, rest, SolveOptions(steps=100, extra_starts=1))
    finally:
        model.least.copy_(whole)
    assert slack[0, [2, 4]].max() < 0.5
    assert found[0, [2, 4]].min() > 0.8
    assert found[0, [3, 5]].max() < 0.55


def test_closed_lips_are_closed_on_an_open_jaw(solver: Solver, retarget: Retarget) -> None:
    """jawOpen .3 with mouthClose .3 means sealed lips: the true face, driven so, has them sealed."""
    asked = ask(jawOpen=0.3, mouthClose=0.3)
    targets = solver.objective.targets(retarget.landmarks_m(asked), retarget.head_rad(asked), np.ones(1))
    u = solver.solve_poses(targets, solver.limits.neutral_u[None], SolveOptions(steps=250))
    truth = default_rig().landmarks_m(values_of(u))
    assert lip_gap_m(truth)[0] - lip_gap_m(default_rig().neutral_m) < 0.0015


def test_limits_hold(solver: Solver, retarget: Retarget) -> None:
    """Whatever is asked, commands are in range and keep out of the collision."""
    asked = 1.7 * random_expressions(40, 3)
    targets = solver.objective.targets(retarget.landmarks_m(asked), retarget.head_rad(asked))
    start = np.tile(solver.limits.neutral_u, (40, 1))
    start[:, -1] = 1.0
    u = solver.solve_poses(targets, start, SolveOptions(steps=60))
    assert u.min() >= 0.0
    assert u.max() <= 1.0
    assert (u @ solver.limits.rows.T <= solver.limits.collision_at_most + 1e-9).all()


def test_memory_in_torch_is_the_memory_in_numpy() -> None:
    """The batched, differentiable form and the plain one agree on a wandering command."""
    skin = np.random.default_rng(3).normal(0.3, 0.2, (4, N)).tolist()
    history = History(play=(0.05, 0.2), creep_s=(0.1, 1.0), skin=skin)
    t = np.arange(120) / 60.0
    u = 0.5 + 0.45 * np.sin(2 * np.pi * (1.0 + np.arange(N)) * t[:, None] / 2.0)
    early = Response(-RESPONSE.tau_s, RESPONSE.tau_s).follow(u, 1 / 60)
    plain = history.inputs(early, 1 / 60)
    ours = Memory(RESPONSE, history).inputs(torch.as_tensor(u[None], dtype=torch.float32))[0].numpy()
    np.testing.assert_allclose(ours, plain, atol=2e-5)


def test_a_take_is_solved_against_the_lag(solver: Solver, retarget: Retarget) -> None:
    """Speech through servos of 90 ms: the temporal solution leads and follows better than pose after pose."""
    slow = Response.uniform(N, 0.015, 0.09)
    solver = Solver(solver.objective, slow, OBSERVED)
    flat = values_of(np.clip(values_as_u(spoken_take(5, 1.6, emotion=False).values[:90]), 0.0, 1.0))
    asked = retarget.landmarks_m(flat)
    targets = solver.objective.targets(asked, retarget.head_rad(flat))
    start = np.tile(solver.limits.neutral_u, (90, 1))
    poses = solver.solve_poses(targets, start, SolveOptions(steps=120, extra_starts=3)).reshape(1, 90, N)
    moves = solver.solve_takes(targets, poses, SolveOptions(steps=100, rate=0.04))
    assert moves.shape == poses.shape
    late = Response(-slow.tau_s, slow.tau_s)

    def error(u: Array) -> float:
        done = default_rig().landmarks_m(values_of(late.follow(u[0], 1 / 60)))
        return float(np.sqrt(((done - asked) ** 2).mean()))

    assert error(moves) < 0.6 * error(poses)


def values_as_u(values: Array) -> Array:
    """The commands that would make exactly the part of `values` this face has."""
    u = np.zeros((len(values), N))
    for i, name in enumerate(DRIVES):
        u[:, i] = values[:, 52] + 0.5 if name == "headYaw" else values[:, ARKIT_INDEX[name]]
    return u


def test_distilled_exported_and_run_without_torch(solver: Solver, retarget: Retarget, tmp_path: Path) -> None:
    """From blendshapes to commands by onnxruntime: as asked, neutral at rest, the tongue by its hand map."""
    shares = np.zeros((N_CHANNELS, N))
    shares[ARKIT_INDEX["tongueOut"], -1] = 0.7
    net = distil(solver, retarget, HandPart(shares), OBSERVED,
                 DistillOptions(expressions=600, solved=400, takes=6, hidden=96, imitate_steps=250, steps=60, take_batch=1, batch=96, target_steps=200))  # fmt: skip
    export_inverse(net, tmp_path / "inverse.onnx", NAMES, {"seed": 0})
    assert parity(net, tmp_path / "inverse.onnx", torch.rand(50, 6, N_CHANNELS), "window") < 1e-5
    assert b"stack_trace" not in (tmp_path / "inverse.onnx").read_bytes(), "paths of the exporting machine"
    face = FaceInverse.load(tmp_path / "inverse.onnx")
    assert face.names == NAMES
    still = face.solve(np.repeat(ask(jawOpen=0.5, tongueOut=1.0), 5, axis=0))
    assert still[2, 0] == pytest.approx(0.5, abs=0.12)
    assert still[2, -1] == pytest.approx(0.7, abs=1e-5)
    np.testing.assert_allclose(
        face.solve(np.zeros((3, N_CHANNELS))), np.tile(solver.limits.neutral_u, (3, 1)), atol=1e-5
    )
    take = spoken_take(3, 1.5).values
    pieces = [
        face.push(take[:1]),
        face.push(take[1:20]),
        face.push(take[20:20]),
        face.push(take[20:]),
        face.flush(),
    ]
    np.testing.assert_allclose(np.concatenate(pieces), face.solve(take), atol=1e-6)
    with pytest.raises(InputError, match="55"):
        face.solve(np.zeros((4, 52)))


def test_a_guess_is_judged_by_itself(solver: Solver, retarget: Retarget) -> None:
    """The run-time network learned through its refined commands alone, and what it guessed before the refinement ran away
    to where the steps no longer found back: worse than rest, where a mixture was rare."""
    torch.manual_seed(0)
    net = DistilledInverse(solver, HandPart(np.zeros((N_CHANNELS, N))), OBSERVED, hidden=16)
    values = random_expressions(20, 5)
    targets = solver.objective.targets(retarget.landmarks_m(values), retarget.head_rad(values))
    window = torch.as_tensor(np.repeat(values[:, None], N_WINDOW, axis=1), dtype=torch.float32)
    size = torch.ones(len(values))
    _, cost = _held(net, window, targets, size, solver.objective)
    with torch.no_grad():
        net.still[-1].get_parameter("bias").add_(
            0.5 * torch.rand(N)
        )  # rest is taken off again: nothing changes
        torch.testing.assert_close(_held(net, window, targets, size, solver.objective)[1], cost)
        net.direct.weight.add_(0.5)
        net.gate.bias.fill_(50.0)
        net.refinement.inverse.zero_()
    guess = net.legal(net.guess(net.asked(window[:, 0] * net.scale)), window[:, 0])
    alone = solver.objective.loss(guess, solver.objective.settled(guess), targets).mean()
    _, cost = _held(net, window, targets, size, solver.objective)
    assert float(cost.detach()) > 1.9 * float(alone.detach()), (
        "once refined (here by nothing), once as it was guessed"
    )


def test_self_model_leaves_torch_whole(solver: Solver, tmp_path: Path) -> None:
    """selfmodel.onnx says the same as the network, doubt included."""
    from animaface.selfmodel.export import _AsLandmarks

    path = tmp_path / "selfmodel.onnx"
    model = solver.objective.model
    export_self_model(model, path, NAMES, RESPONSE, HISTORY, {"poses": 1200})
    assert parity(_AsLandmarks(model).eval(), path, torch.rand(20, N), "inputs") < 1e-5
    back, response, history, facts = import_self_model(path)
    x = np.random.default_rng(0).random((7, N))
    np.testing.assert_array_equal(back.predict(x)[0], model.predict(x)[0])
    np.testing.assert_array_equal(response.tau_s, RESPONSE.tau_s)
    assert history == HISTORY
    assert facts["poses"] == 1200
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(CalibrationError, match="no self-model"):
        import_self_model(path)


def test_a_broken_inverse_says_what_to_run(tmp_path: Path) -> None:
    """A missing or broken file is a CalibrationError with the next step."""
    with pytest.raises(CalibrationError, match="calibrate"):
        FaceInverse.load(tmp_path / "inverse.onnx")
    (tmp_path / "inverse.onnx").write_bytes(b"not a network")
    with pytest.raises(CalibrationError, match="no inverse"):
        FaceInverse.load(tmp_path / "inverse.onnx")

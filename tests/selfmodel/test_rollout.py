"""What commands become on their way to the skin, against the robot's own gate."""

import numpy as np
import pytest
import torch

from animaface.calibration.paths import command_limits
from animaface.robot.config import load_face
from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.gate import GateState, gate
from animaface.robot.limits import GateLimits
from animaface.selfmodel.limits import CommandLimits
from animaface.selfmodel.rollout import Gate


@pytest.mark.parametrize("face", ["hybrid", "bench4"])
def test_the_gate_of_training_is_the_robots_gate(face: str) -> None:
    """Requests that no servo can follow, inside the ranges: the same path within a thousandth of a range."""
    config = load_face(face)
    robot, ours = GateLimits.of(config), Gate(command_limits(config))
    n, rng = len(config.names), np.random.default_rng(3)
    asked = np.repeat(rng.uniform(0.4, 0.6, (20, n)), 6, axis=0)
    for members in robot.equal:
        asked[:, members] = asked[:, members[:1]]
    state, passed = GateState.at(asked[0]), []
    free = np.ones(n, bool)
    for row in robot.collisions:
        free &= row == 0.0
    for request in asked:
        state, applied, _ = gate(state, request, robot, 1.0 / FRAME_RATE_HZ)
        passed.append(applied)
    seen = ours.passed(torch.as_tensor(asked[None], dtype=torch.float32))[0].numpy()
    assert np.abs(np.array(passed) - asked)[1:, free].max() > 0.03  # it had to hold them back
    np.testing.assert_allclose(seen[1:, free], np.array(passed)[1:, free], atol=2e-3)


def test_where_nothing_is_limited_everything_passes() -> None:
    """A solver of a face without limits sees commands as they are."""
    u = torch.rand((2, 9, 3))
    assert Gate(CommandLimits(np.full(3, 0.5))).passed(u) is u


def test_what_comes_late_has_a_gradient() -> None:
    """A command in the middle of a leap that is cut off still says where it ought to have begun."""
    gate_of_one = Gate(
        CommandLimits(np.array([0.0]), speed_per_s=np.array([3.0]), acceleration_per_s2=np.array([60.0]))
    )
    u = torch.zeros((1, 30, 1))
    u[:, 15:] = 1.0
    u.requires_grad_(True)
    late = gate_of_one.passed(u)[0, 20, 0]
    assert 0.0 < float(late.detach()) < 0.3
    late.backward()  # type: ignore[no-untyped-call]
    assert u.grad is not None
    assert torch.isfinite(u.grad).all()
    assert float(u.grad[0, :15].sum()) > 0.1

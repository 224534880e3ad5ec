"""Lags set right by the photos of babbling, on a face of the test's own whose lags are known."""

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.paths import Body, babbling_path
from animaface.calibration.recording import Recording
from animaface.calibration.timing import timed
from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS
from animaface.selfmodel.history import TICK_S, Response
from animaface.selfmodel.limits import CommandLimits
from animaface.selfmodel.rig import default_rig

DRIVES = ("jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp", "browOuterUpLeft", "noseSneerLeft")
N = len(DRIVES)
TRUE = Response(
    np.array([0.03, 0.05, 0.045, 0.02, 0.06, 0.04]), np.array([0.02, 0.01, 0.01, 0.03, 0.02, 0.015])
)
OFF_S = np.array([0.006, -0.005, 0.007, -0.006, 0.005, -0.006])
"""What the steps got wrong."""


def babbled(seconds: float, equal: list[list[int]] | None = None) -> Recording:
    """Photos of a face whose commands bend skin and act on each other, with .1 mm of noise, three a second."""
    limits = CommandLimits(np.full(N, 0.3), equal or [])
    path = babbling_path(
        Body(limits, {"mouth": [0, 1, 2], "brows": [3, 4], "nose": [5]}, {1: 2, 2: 1}), seconds, 0
    )
    at = np.arange(0, len(path), 33)
    q: NDArray[np.float64] = TRUE.follow(path)[at]
    v = np.zeros((len(at), N_CHANNELS))
    v[:, [ARKIT_INDEX[n] for n in DRIVES]] = np.sin(1.3 * q) * (1.0 - 0.3 * q[:, [0]])
    noise = np.random.default_rng(0).normal(0.0, 6e-5, (len(at), 478, 3))
    return Recording(0.0, path, at * TICK_S, default_rig().landmarks_m(v) + noise, np.zeros((len(at), 3)))


def test_photos_set_the_lags_of_steps_right() -> None:
    """Each lag was 5-7 ms off and is 4 ms off at most, 2 on the mean."""
    seen = babbled(90.0)
    found = timed(Response(TRUE.delay_s + OFF_S, TRUE.tau_s), [seen])
    left_s = np.abs(found.lag_s - TRUE.lag_s)
    assert left_s.max() < 0.004
    assert left_s.mean() < 0.002
    right = timed(TRUE, [seen])
    assert np.abs(right.lag_s - TRUE.lag_s).max() < 0.004


def test_those_that_move_alike_are_moved_alike() -> None:
    """Two servos of one part can't be told apart; their mean is found, their difference stays."""
    found = timed(Response(TRUE.delay_s + 0.006, TRUE.tau_s), [babbled(90.0, [[0, 1]])])
    moved = found.lag_s - TRUE.lag_s - 0.006
    assert abs(moved[0] - moved[1]) < 1e-6
    assert moved[0] < -0.003


def test_few_photos_change_nothing() -> None:
    """A sum of curves fits ten photos at any lag."""
    start = Response(TRUE.delay_s + OFF_S, TRUE.tau_s)
    assert timed(start, [babbled(3.0)]) is start

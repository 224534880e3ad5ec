"""Drift and recalibration on a face of the test's own, whose actuators are ARKit shapes."""

import copy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from animaface.calibration.active import Curiosity
from animaface.calibration.album import NAME, beginning, load_album, packed
from animaface.calibration.drift import (
    FRAME_HZ,
    adapt,
    again_hz,
    find_drift,
    pieces_again,
    recalibration_path,
    region_errors_mm,
)
from animaface.calibration.learn import Learned
from animaface.calibration.paths import Body, babbling_path
from animaface.calibration.recording import Recording
from animaface.calibration.work import Work
from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS
from animaface.robot.face.errors import CalibrationError
from animaface.selfmodel.history import TICK_S, History, Response
from animaface.selfmodel.limits import CommandLimits
from animaface.selfmodel.rig import default_rig
from animaface.selfmodel.train import TrainOptions, train_self_model

Array = NDArray[np.float64]
DRIVES = ("jawOpen", "mouthSmileLeft", "mouthSmileRight", "browInnerUp", "browOuterUpLeft", "noseSneerLeft")
N = len(DRIVES)
BODY = Body(CommandLimits(np.full(N, 0.3)), {"mouth": [0, 1, 2], "brows": [3, 4], "nose": [5]}, {1: 2, 2: 1})
HISTORY, RESPONSE = History((), ()), Response.uniform(N, 0.0, 0.01)


def watch(path: Array, slip: Array | None = None, frame_hz: float = 5.0) -> Recording:
    """What an eye with .1 mm of noise sees of this face, whose horns may have slipped."""
    step = round(1.0 / (frame_hz * TICK_S))
    at = np.arange(0, len(path), step)
    v = np.zeros((len(at), N_CHANNELS))
    stands = RESPONSE.follow(path)[at] + (0.0 if slip is None else slip)
    v[:, [ARKIT_INDEX[n] for n in DRIVES]] = np.sin(1.3 * np.clip(stands, -0.2, 1.2))
    noise = np.random.default_rng(len(at)).normal(0.0, 6e-5, (len(at), 478, 3))
    return Recording(0.0, path, at * TICK_S, default_rig().landmarks_m(v) + noise, np.zeros((len(at), 3)))


def learn(seen: Recording, steps: int = 300) -> Learned:
    """A self-model of this face."""
    options = TrainOptions(steps=steps, hidden=24, components=8)
    inputs = seen.at_frames(HISTORY.inputs(RESPONSE.follow(seen.u)))
    model = train_self_model(inputs, seen.landmarks_m, seen.head_rad, N, HISTORY, options)
    return Learned(model, RESPONSE, HISTORY, np.ones(N, dtype=bool), default_rig().neutral_m)


@cache
def young() -> Learned:
    """The face as built, learned from 600 poses."""
    return learn(watch(babbling_path(BODY, 120.0, 1)))


def test_drift_is_noticed_and_fifty_poses_give_the_accuracy_back() -> None:
    """One horn sits a seventh of its range elsewhere: 25 frames tell which, 50 bring 90 % of the loss back."""
    slip = np.zeros(N)
    slip[4] = 0.14
    learned, exam = young(), babbling_path(BODY, 40.0, 99)
    usual_mm = region_errors_mm(learned, [watch(exam)])
    few = recalibration_path(learned, BODY, 25, 4)
    assert not find_drift(learned, [watch(few, frame_hz=FRAME_HZ)], usual_mm, DRIVES).regions
    found = find_drift(learned, [watch(few, slip, FRAME_HZ)], usual_mm, DRIVES)
    assert found.regions == ("brows",)
    assert set(found.slips) == {"browOuterUpLeft"}
    assert found.slips["browOuterUpLeft"] == pytest.approx(0.14, abs=0.03)
    new = adapt(learned, [watch(recalibration_path(learned, BODY, 50, 0), slip, FRAME_HZ)])
    aged = [watch(exam, slip)]
    lost = region_errors_mm(learned, aged)["brows"] - usual_mm["brows"]
    back = region_errors_mm(learned, aged)["brows"] - region_errors_mm(new, aged)["brows"]
    assert back > 0.9 * lost
    assert region_errors_mm(new, aged)["jaw"] < 1.5 * usual_mm["jaw"] + 0.05
    assert float(learned.model.slip.abs().max()) == 0.0, "the old model stays as it was"


def test_a_small_change_is_found_beside_a_larger_error_of_the_model() -> None:
    """One actuator stands a fiftieth of its range elsewhere, on a face whose model has seen forty poses: the same poses from
    before tell the one from the other, new poses don't."""
    album = [watch(babbling_path(BODY, 20.0, k)) for k in range(3)]
    learned, slip = learn(watch(babbling_path(BODY, 8.0, 3)), steps=3), np.zeros(N)
    slip[3] = 0.02
    before = pieces_again(learned, album, 25)
    assert [len(r.u) for r in before] == [1000]
    assert sum(len(r.u) for r in pieces_again(learned, album, 120)) == 4800
    found = adapt(
        learned, [watch(r.u, slip, FRAME_HZ) for r in before], before, correct=False
    ).model.slip.numpy()
    np.testing.assert_allclose(found, slip, atol=0.006)
    alone = adapt(learned, [watch(r.u, slip, FRAME_HZ) for r in before], correct=False).model.slip.numpy()
    assert np.abs(alone - slip).max() > 2.0 * np.abs(found - slip).max()


def test_a_cable_that_is_slack_stands_at_zero() -> None:
    """However much longer it has grown; what else has slipped goes on below its range."""
    learned = young()
    model = copy.deepcopy(learned.model)
    model.slip.fill_(-0.2)
    model.least[2] = 0.0
    stands = model.stands(torch.full((1, N), 0.1))[0]
    assert float(stands[2]) == 0.0
    assert float(stands[1]) == pytest.approx(-0.1)


def test_an_album_gives_its_photos_back(tmp_path: Path) -> None:
    """To a hundredth of a millimetre; where there is none, or a broken one, there are no photos."""
    pieces = [watch(babbling_path(BODY, 4.0, k), frame_hz=2.0 + k) for k in range(2)]
    assert load_album(tmp_path) == []
    Work(tmp_path).keep(NAME, **packed(pieces))
    for was, now in zip(pieces, load_album(tmp_path), strict=True):
        np.testing.assert_allclose(now.u, was.u, atol=3e-4)
        np.testing.assert_allclose(now.landmarks_m, was.landmarks_m, atol=5.1e-6)
        np.testing.assert_array_equal(now.frame_s, was.frame_s)
        short = beginning(now, 2.0)
        assert (len(short.u), len(short.frame_s)) == (200, sum(now.frame_s < 2.0))
    path = tmp_path / f"{NAME}.npz"
    path.write_bytes(path.read_bytes()[:2000])
    assert load_album(tmp_path) == []


def test_too_few_frames_are_refused() -> None:
    """Three frames say nothing."""
    with pytest.raises(CalibrationError, match="5 frames"):
        find_drift(young(), [watch(np.full((60, N), 0.5))], {}, DRIVES)


@pytest.mark.parametrize("own_hz", [2.5, 10 / 3, 5.0, 10.0])
def test_poses_driven_again_meet_the_photos_of_youth(own_hz: float) -> None:
    """Photos taken at whatever rate babbling had: nearly all poses of a recalibration are among them."""
    path = babbling_path(BODY, 24.0, 0)
    album = [taken(path, own_hz)]
    hz = again_hz(album)
    assert FRAME_HZ - 0.1 <= hz <= 1.5 * FRAME_HZ
    now_s, then_s = taken(path, hz).frame_s, album[0].frame_s
    assert (np.abs(now_s[:, None] - then_s[None]).min(axis=1) < 0.05).mean() > 0.95
    (again,) = pieces_again(young(), album, 20)
    assert len(again.u) * TICK_S == pytest.approx(20 / hz, abs=0.1)


def taken(path: Array, hz: float) -> Recording:
    """Photos of a face that moves a little with its jaw, at any rate."""
    frame_s = np.arange(0.0, len(path) * TICK_S - 0.1, 1.0 / hz)
    v = np.zeros((len(frame_s), N_CHANNELS))
    v[:, ARKIT_INDEX["jawOpen"]] = 0.1 + 0.1 * np.sin(frame_s)
    return Recording(0.0, path, frame_s, default_rig().landmarks_m(v), np.zeros((len(frame_s), 3)))


def test_active_babbling_goes_where_the_ensemble_disagrees() -> None:
    """Having seen the mouth move widely and the brows a little, a piece with wide brows is the more interesting one."""
    still = babbling_path(BODY, 20.0, 5)
    still[:, 3:] = 0.3 + 0.15 * (still[:, 3:] - 0.3)
    curious = Curiosity(BODY, RESPONSE, history=HISTORY)
    seen = [watch(still)]
    path = curious.next_path(seen, 4.0, 5.0)
    assert path.shape == (400, N)
    np.testing.assert_array_equal(path[0], path[0].clip(0.0, 1.0))
    brows = np.full((400, N), 0.3)
    brows[:, 3:5] = 0.5 + 0.5 * np.sin(np.arange(400) * 0.03)[:, None]
    mouth = np.roll(brows, 2, axis=1)
    mouth[:, :3] = brows[:, [3, 4, 3]]
    mouth[:, 3:] = 0.3
    assert curious.disagreement(brows, 5.0) > 1.5 * curious.disagreement(mouth, 5.0)
    first = curious.model
    assert first is not None
    curious.next_path([*seen, watch(path)], 4.0, 5.0)
    assert curious.model is not first

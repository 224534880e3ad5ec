"""A small simulated face is calibrated, ages, and is learned again; the calibration before stays beside the new one."""

from pathlib import Path

import numpy as np
import pytest

from animaface.app.simulated import SimulatedDetector
from animaface.calibration import folder
from animaface.calibration.album import load_album
from animaface.calibration.options import Options, Stand
from animaface.calibration.prompter import ScriptedPrompter
from animaface.calibration.recalibration import look_for_drift, recalibrate
from animaface.calibration.session import Session
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.arkit import N_CHANNELS
from animaface.robot.face.clock import LockStepClock
from animaface.robot.face.errors import CalibrationError
from animaface.robot.robot import Robot
from animaface.selfmodel.runtime import FaceInverse
from animaface.sim.body import SimFace
from animaface.sim.body.ageing import Ageing
from animaface.sim.world import SimWorld


def stand_before(config: FaceConfig, ageing: Ageing | None, seed: int = 1) -> Stand:
    """The simulated face, young or aged, in front of its eye."""
    clock = LockStepClock()
    plant = SimFace(config, seed=seed, timestep_s=0.004, ageing=ageing)
    world = SimWorld(config, seed=seed, clock=clock, plant=plant)
    eye = SimulatedDetector(world.plant, clock, seed=seed)
    return Stand(config, lambda: Robot(config, world.open, clock), eye, clock, ScriptedPrompter())


@pytest.mark.long
def test_a_face_ages_and_is_learned_again(tmp_path: Path) -> None:
    """bench4 with a slipped brow horn: noticed, named, mended; rest goes back to where it looked before."""
    config, options, target = load_face("bench4"), Options.quick(1), tmp_path / "bench4"
    Session(stand_before(config, None), tmp_path / "work", options).run(target, skip=("bring-up",))
    was = folder.load(target, config)
    aged = stand_before(config, Ageing(horn_teeth={"brow_inner_left": 1}))
    meta = recalibrate(aged, target, target, tmp_path / "again", options=options)
    told = meta["recalibration"]
    assert "brows" in told["drifted"]
    assert "brow_inner_left" in told["slips_u"]
    assert told["after"]["mean_mm"] < 0.6 * told["before"]["mean_mm"]
    assert folder.load(target, config)["recalibration"]["poses"] == told["poses"]
    assert folder.load(target.with_name("bench4.previous"), config) == was
    assert sum(len(r.frame_s) for r in load_album(target)) == told["poses"]
    rest = FaceInverse.load(target / "inverse.onnx").solve(np.zeros((3, N_CHANNELS)))[1]
    neutral = np.array([a.neutral_u for a in config.actuators.values()])
    row = config.names.index("brow_inner_left")
    assert abs(rest[row] - neutral[row]) > 0.05


@pytest.mark.parametrize(
    ("ageing", "drifted"),
    [
        (None, set()),
        (Ageing(horn_teeth={"brow_inner_left": 1}), {"brows"}),
        pytest.param(Ageing(tendon_stretch=0.1), {"cheeks"}, marks=pytest.mark.long),
    ],
)
def test_a_few_frames_tell_whether_a_face_has_drifted(
    tmp_path: Path, ageing: Ageing | None, drifted: set[str]
) -> None:
    """The shipped calibration on the face that it was made with, young and aged; nothing is written."""
    config = load_face("hybrid")
    stand = stand_before(config, ageing, seed=0)
    found = look_for_drift(stand, folder.shipped_folder(config.id), tmp_path / "work")
    assert drifted <= set(found.regions)
    assert not found.regions if ageing is None else found.slips
    assert stand.clock.now_s() < 25.0


def test_without_a_calibration_there_is_nothing_to_recalibrate(tmp_path: Path) -> None:
    """Says what to run, before anything moves."""
    config = load_face("bench4")
    with pytest.raises(CalibrationError, match="animaface calibrate bench4"):
        recalibrate(stand_before(config, None), tmp_path / "none", tmp_path / "new", tmp_path / "work")

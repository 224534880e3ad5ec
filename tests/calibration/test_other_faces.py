"""Nothing is tied to the shipped configs: faces that nobody drew are calibrated to the same relative errors."""

from pathlib import Path

import numpy as np
import pytest

from animaface.app.simulated import SimulatedDetector
from animaface.calibration.options import Options, Stand
from animaface.calibration.prompter import ScriptedPrompter
from animaface.calibration.session import Session
from animaface.robot.face.clock import LockStepClock
from animaface.robot.robot import Robot
from animaface.sim.body import SimFace
from animaface.sim.generated import Build, generated_config
from animaface.sim.world import SimWorld


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 3, 6])
def test_a_generated_face_is_calibrated(seed: int, tmp_path: Path) -> None:
    """1,000 poses: worst region under .2 and under half the linear model's; jaws and lids that are there do as asked."""
    config = generated_config(seed)
    clock = LockStepClock()
    plant = SimFace(config, seed=seed, timestep_s=0.004, build=Build.of(config, seed))
    world = SimWorld(config, seed=seed, clock=clock, plant=plant)
    eye = SimulatedDetector(world.plant, clock, seed=seed)
    stand = Stand(config, lambda: Robot(config, world.open, clock), eye, clock, ScriptedPrompter())
    options = Options(
        poses=1000, seed=seed, exam_takes=3, speech_takes=1, distil={"steps": 150, "solved": 600}
    )
    meta = Session(stand, tmp_path / "work", options).run(tmp_path / "face", skip=("bring-up",))
    quality = meta["quality"]
    assert quality["self-model, worst region"] < 0.2
    assert quality["self-model, worst region"] < 0.5 * quality["linear model, worst region"]
    done = {
        row["name"]: row["done"] / row["reachable"]
        for row in meta["shapes"]
        if row.get("reachable", 0.0) > 0.3
    }
    assert np.median(list(done.values())) > 0.85

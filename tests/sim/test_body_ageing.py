"""A face that has aged: each kind of ageing shows where it should, and a young one is the same to the last bit."""

import numpy as np
import pytest
from numpy.typing import NDArray

from animaface.robot.config import load_face
from animaface.robot.face.errors import ConfigError
from animaface.robot.face.landmarks import regions
from animaface.sim.body import SimFace
from animaface.sim.body.ageing import Ageing
from animaface.sim.plant import Drive

Array = NDArray[np.float64]


def settled(ageing: Ageing | None, **asked: float) -> Array:
    """[478, 3] landmarks of the hybrid face after 1.2 s at these commands, everything else at neutral."""
    config = load_face("hybrid")
    face = SimFace(config, seed=2, timestep_s=0.005, ageing=ageing)
    for name, a in config.actuators.items():
        raw = a.u_to_raw(asked.get(name, a.neutral_u))
        dynamixel = a.servo.bus_kind == "dynamixel"
        face.set_drive(name, Drive(float(np.deg2rad(raw - 180.0 if dynamixel else (raw - 1500.0) * 0.09))))
    face.advance(1.2)
    return face.landmarks_m()


def moved_mm(a: Array, b: Array, region: str) -> float:
    """Largest difference in a region, mm."""
    return float(1e3 * np.linalg.norm(a - b, axis=1)[list(regions()[region])].max())


def test_each_ageing_shows_where_it_should() -> None:
    """Longer cables pull less; a slipped horn moves its own part only; soft skin is drawn further."""
    young = settled(None, cheek_left=0.8)
    np.testing.assert_array_equal(young, settled(Ageing(), cheek_left=0.8))
    longer = settled(Ageing(tendon_stretch=0.1), cheek_left=0.8)
    assert 0.3 < moved_mm(young, longer, "cheeks") < 2.0
    assert moved_mm(young, longer, "brows") < 0.05
    slipped = settled(Ageing(horn_teeth={"brow_inner_left": 1}), cheek_left=0.8)
    assert moved_mm(young, slipped, "brows") > 1.5
    assert moved_mm(young, slipped, "jaw") < 0.1
    soft = settled(Ageing(skin_softening=0.3), cheek_left=0.8)
    assert moved_mm(young, soft, "cheeks") > 0.2


def test_a_horn_that_is_not_there_cannot_slip() -> None:
    """Its name is told, and the nearest."""
    with pytest.raises(ConfigError, match="cheek_left"):
        settled(Ageing(horn_teeth={"cheek_lef": 1}))

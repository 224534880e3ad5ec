"""Faces that nobody drew: random parts, servos, limits, neutrals and directions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from animaface.robot.face import landmarks as lm
from animaface.sim.body import SimFace
from animaface.sim.generated import Build, generated_config
from animaface.sim.plant import Drive

Array = NDArray[np.float64]


def ask(face: SimFace, u: Array) -> None:
    """Goals as a driver's bytes would give them."""
    for (name, a), value in zip(face.config.actuators.items(), u, strict=True):
        raw = a.u_to_raw(float(value))
        dynamixel = a.servo.bus_kind == "dynamixel"
        face.set_drive(name, Drive(float(np.deg2rad(raw - 180.0 if dynamixel else (raw - 1500.0) * 0.09))))


@pytest.mark.parametrize("seed", [0, 3, 6, 11])
def test_a_generated_face_rests_and_babbles(seed: int) -> None:
    """Neutral is neutral; moves stay a face's. Once a small servo on the neck shook the whole model
    apart, because the rods' stiffness did not know how light it was."""
    config = generated_config(seed)
    face = SimFace(config, seed=seed, timestep_s=0.005, build=Build.of(config, seed) if seed % 2 else None)
    ask(face, np.array([a.neutral_u for a in face.config.actuators.values()]))
    face.advance(2.0)
    rest = face.landmarks_m()
    assert 1e3 * np.abs(rest - lm.neutral_m()).max() < 2.5
    assert 1e3 * lm.lip_gap_m(rest) < 1.0
    rng = np.random.default_rng(seed)
    for _ in range(12):
        ask(face, rng.random(len(face.names)))
        face.advance(face.now_s + 0.15)
        found = face.landmarks_m()
        assert 1e3 * np.abs(found - lm.neutral_m()).max() < 50.0
        assert np.abs(face.head_rad()).max() < 1.7
        assert (found[list(lm.INNER_LOWER), 1] - found[list(lm.INNER_UPPER), 1]).max() < 3e-4

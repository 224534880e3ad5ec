"""Faces that nobody drew: random parts, servos, limits, neutrals and directions."""

import numpy as np
import pytest
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig, parse_face
from animaface.robot.face import landmarks as lm
from animaface.robot.parts import PARTS
from animaface.sim.body import SimFace
from animaface.sim.plant import Drive

Array = NDArray[np.float64]


def generated(seed: int) -> FaceConfig:
    """About 60 % of all parts, on Dynamixel or PWM servos of any model, mounted anyhow."""
    rng = np.random.default_rng(seed)
    lines = [
        "id: generated",
        "buses: {b: {kind: servo_board, port: x, board_id: 1}, d: {kind: dynamixel, port: y}}",
        "actuators:",
    ]
    for k, (name, part) in enumerate(PARTS.items()):
        if rng.random() > 0.6:
            continue
        direction = int(rng.choice([1, -1]))
        neutral = float(rng.uniform(0.0, 1.0)) if part.drive == "rigid" else 0.0
        share = neutral if direction == 1 else 1.0 - neutral
        if rng.random() < 0.5:
            low, high = rng.uniform(120, 165), rng.uniform(195, 240)
            model = rng.choice(["xl330-m288", "xl330-m077", "xm430-w350"])
            where, unit = f"bus: d, id: {k + 1}, model: {model}", "deg"
        else:
            low, high = rng.uniform(900, 1300), rng.uniform(1700, 2100)
            model = rng.choice(["pwm-9g-metal", "pwm-9g-digital", "pwm-20kg"])
            where, unit = f"bus: b, channel: {k}, model: {model}", "us"
        lines.append(
            f"  a{k}: {{part: {name}, {where}, limits_{unit}: [{low}, {high}], "
            f"neutral_{unit}: {low + (high - low) * share}, direction: {direction}}}"
        )
    return parse_face("\n".join(lines), source="generated")


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
    face = SimFace(generated(seed), seed=seed, timestep_s=0.005)
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

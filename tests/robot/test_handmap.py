"""The hand map against the words of parts.py."""

import numpy as np
import pytest

from animaface.robot.config import load_face
from animaface.robot.face.arkit import CHANNEL_NAMES, N_CHANNELS
from animaface.robot.face.errors import InputError
from animaface.robot.handmap import HandMap


def values(**channels: float) -> np.ndarray:
    v = np.zeros(N_CHANNELS)
    for name, value in channels.items():
        v[CHANNEL_NAMES.index(name)] = value
    return v


@pytest.mark.parametrize("face", ["hybrid", "morpheus", "bench4"])
def test_rest_is_neutral_and_everything_stays_in_range(face: str) -> None:
    config = load_face(face)
    hand = HandMap(config)
    np.testing.assert_allclose(hand(np.zeros(N_CHANNELS)), [a.neutral_u for a in config.actuators.values()])
    u = hand(np.random.default_rng(0).uniform(-1, 1, (200, N_CHANNELS)))
    assert u.shape == (200, len(config.names))
    assert u.min() >= 0.0
    assert u.max() <= 1.0


def test_shapes_move_what_their_names_say() -> None:
    config = load_face("hybrid")
    hand, names = HandMap(config), config.names
    rest = hand(np.zeros(N_CHANNELS))

    def moved(**channels: float) -> dict[str, float]:
        u = hand(values(**channels))
        return {n: round(float(d), 6) for n, d in zip(names, u - rest, strict=True) if abs(d) > 1e-9}

    jaw = moved(jawOpen=1.0)
    assert list(jaw) == ["jaw_open"]
    assert jaw["jaw_open"] == pytest.approx(1.0 - rest[names.index("jaw_open")])
    blink = hand(values(eyeBlinkLeft=1.0))
    assert blink[names.index("lid_upper_left")] == 0.0
    nod, tilt = moved(headPitch=0.2), moved(headRoll=0.2)
    assert nod["neck_left"] == pytest.approx(nod["neck_right"])
    assert tilt["neck_left"] == pytest.approx(-tilt["neck_right"])
    assert moved(noseSneerLeft=0.5)["nose_wing_left"] == pytest.approx(0.5)


def test_a_group_that_must_be_equal_is_equal() -> None:
    config = load_face("morpheus")
    hand = HandMap(config)
    jaw = [config.names.index(m) for m in config.groups["jaw"].members]
    for x in np.linspace(0, 1, 11):
        assert np.ptp(hand(values(jawOpen=x))[jaw]) < 1e-12


def test_wrong_shape_is_told() -> None:
    with pytest.raises(InputError, match="55"):
        HandMap(load_face("bench4"))(np.zeros(52))

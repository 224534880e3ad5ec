"""The rendered camera: late by a hidden time, blurred where it moves, seeded, and cheap where nobody looks."""

import numpy as np
import pytest

from animaface.robot.config import load_face
from animaface.robot.face.clock import LockStepClock
from animaface.sim.body.face import SimFace
from animaface.sim.camera import SimCamera
from animaface.sim.plant import Drive


class _Stand:
    def __init__(self, seed: int) -> None:
        self.clock = LockStepClock()
        self.face = SimFace(load_face("bench4"), seed=seed, timestep_s=0.004)
        self.clock.attach(self.face.advance)
        self.camera = SimCamera(self.face, self.clock, seed=seed, size=(320, 240))

    def until(self, seconds: float) -> None:
        while self.clock.now_s() < seconds - 1e-9:
            self.clock.sleep_until_s(self.clock.now_s() + 0.01)

    def pictures(self, not_before_s: float = -np.inf) -> list[tuple[float, np.ndarray]]:
        out = []
        while (found := self.camera.poll(not_before_s)) is not None:
            out.append(found)
        return out


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_delay_is_hidden_and_between_40_and_110_ms(seed: int) -> None:
    """Nothing comes before the delay is over; then thirty pictures a second."""
    stand = _Stand(seed)
    try:
        assert 0.040 <= stand.camera.hidden_delay_s <= 0.110
        stand.until(0.040)
        assert stand.pictures() == []
        stand.until(0.44)
        found = stand.pictures(0.30)
        arrived = [t for t, _ in found]
        assert all(0.30 <= t <= 0.44 for t in arrived)
        assert np.diff(arrived) == pytest.approx(1 / 30, abs=0.006)
        picture = found[0][1]
        assert picture.shape == (240, 320, 3)
        assert picture.std() > 20.0  # somebody is there
    finally:
        stand.camera.close()


def test_the_same_seed_gives_the_same_bits_and_another_one_another_camera() -> None:
    """Place, light, delay and noise follow from the seed."""
    seen = []
    for seed in (3, 3, 4):
        stand = _Stand(seed)
        stand.until(0.4)
        seen.append((stand.camera.hidden_delay_s, stand.pictures(0.30)[0][1]))
        stand.camera.close()
    assert seen[0][0] == seen[1][0]
    np.testing.assert_array_equal(seen[0][1], seen[1][1])
    assert seen[0][0] != seen[2][0]
    assert np.abs(seen[0][1].astype(int) - seen[2][1]).mean() > 3.0


def test_a_lamp_lights_the_pictures_taken_while_it_is_on() -> None:
    """Brighter when switched on, later by the delay; as before when off."""
    stand = _Stand(0)
    try:
        stand.until(0.2)
        stand.camera.flash(True)
        stand.until(0.5)
        stand.camera.flash(False)
        stand.until(0.9)
        bright = [(t - stand.camera.hidden_delay_s, float(p.mean())) for t, p in stand.pictures()]
        off = [b for t, b in bright if t < 0.18 or t > 0.53]
        on = [b for t, b in bright if 0.23 < t < 0.48]
        assert min(on) > 1.15 * max(off)
    finally:
        stand.camera.close()


def test_what_nobody_looks_at_is_not_drawn() -> None:
    """A second of pictures that are too old costs no graphics context."""
    stand = _Stand(0)
    stand.until(1.0)
    assert stand.pictures(2.0) == []
    assert stand.camera._painter is None
    stand.camera.close()


def test_the_shutter_blurs_what_moves() -> None:
    """A jaw on its way down is drawn at two instants of the exposure, one that stands at one."""
    stand = _Stand(0)
    stand.until(2.0)
    still = [len(s) for _, s, _ in stand.camera._waiting]
    assert set(still[-5:]) == {1}
    stand.face.set_drive("jaw_open", Drive(goal_rad=stand.face.shaft("jaw_open").angle_rad + 0.8))
    stand.until(2.2)
    assert 2 in [len(s) for _, s, _ in stand.camera._waiting][-5:]
    stand.camera.close()

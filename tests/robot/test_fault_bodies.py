"""Faults on the MuJoCo face, with weight: no head and no jaw falls faster than .5 rad/s."""

from collections.abc import Callable

import numpy as np
import pytest

from animaface.robot.config import load_face
from animaface.robot.robot import Robot
from animaface.sim.faults import inject
from animaface.sim.witness import WINDOW, Witness
from animaface.sim.world import PERIOD_S, SimWorld

pytest.importorskip("mujoco")
FALLING_RAD_S = 0.5
NECK = ("neck_left", "neck_right")


class Body:
    """A face that nods down with its mouth open, and what head and jaw do next."""

    def __init__(self, face: str) -> None:
        from animaface.sim.body.face import SimFace

        config = load_face(face)
        self.face = SimFace(config, seed=1, timestep_s=PERIOD_S)
        self.witness = Witness(self.face, config, trail=True)
        self.world = SimWorld(config, seed=1, plant=self.witness)
        self.world.clock.attach(self._look)  # type: ignore[attr-defined]
        self.robot = Robot(config, self.world.open, self.world.clock)
        self.jaw_rad: list[tuple[float, float]] = []

    def _look(self, to_s: float) -> None:
        self.jaw_rad.append((to_s, float(self.face.joint_angles()[3])))

    def nod(self) -> None:
        self.robot.connect()
        self.robot.arm()
        u = self.robot.neutral_u.copy()
        for i, name in enumerate(self.robot.names):
            if name.startswith("jaw_open"):
                u[i] = 0.9
            elif name in NECK:
                u[i] = 0.95
        self.asked = u
        self.robot.settle(u, 2.0)

    def go(self, seconds: float) -> None:
        self.robot.settle(self.asked, seconds)

    def rates(self, since_s: float) -> tuple[float, float]:
        """(head, jaw) fastest since then, rad/s over 20 ms."""
        w = self.witness
        head = w.head_rad_trail[w.time_s > since_s]
        turned = np.abs(head[WINDOW:] - head[:-WINDOW]).max() / (WINDOW * PERIOD_S)
        t, jaw = np.array(self.jaw_rad).T
        grid = np.arange(since_s, t[-1], 0.02)
        return float(turned), float(np.abs(np.diff(np.interp(grid, t, jaw))).max() / 0.02)


def no_power(body: Body) -> None:
    for name in body.robot.names:
        if name in NECK or name.startswith("jaw_open"):
            body.world.remove_servo(name)


def of_board(fault: str) -> Callable[[Body], None]:
    return lambda body: inject(body.world, {"fault": fault, "bus": "board"})


FALLS = {
    "power of neck and jaw gone, Dynamixel": ("hybrid", no_power),
    "board reset, hobby servos": ("morpheus", of_board("reset_board")),
    "emergency stop, hobby servos": ("morpheus", of_board("estop")),
}


@pytest.mark.parametrize("case", FALLS)
def test_nothing_falls_when_the_power_goes(case: str) -> None:
    face, fault = FALLS[case]
    body = Body(face)
    body.nod()
    began_s = body.world.clock.now_s()
    fault(body)
    if face == "hybrid":
        body.go(1.0)
    else:  # before the host is back
        body.world.clock.sleep_until_s(began_s + 0.2)
        body.go(0.3)
    head, jaw = body.rates(began_s)
    assert head < FALLING_RAD_S
    assert jaw < FALLING_RAD_S


@pytest.mark.parametrize("face", ["hybrid", "morpheus"])
def test_nothing_falls_when_the_host_dies(face: str) -> None:
    """Morpheus parks: measured .53 rad/s with the neck's servos parking at 20 deg/s, hence 15."""
    body = Body(face)
    body.nod()
    began_s = body.world.clock.now_s()
    pose = body.face.head_rad()
    for k in range(150):
        body.world.clock.sleep_until_s(began_s + 0.02 * k)
    head, jaw = body.rates(began_s)
    assert head < FALLING_RAD_S
    assert jaw < FALLING_RAD_S
    if face == "hybrid":  # holds with torque
        np.testing.assert_allclose(body.face.head_rad(), pose, atol=0.02)
    else:  # parked: the head is up again
        assert abs(body.face.head_rad()[1]) < 0.05

"""The robot against virtual devices in lock-step: real drivers, real bytes, judged by the shafts' true angles."""

import logging
import math

import numpy as np
import pytest

from animaface.robot.config import FaceConfig, load_face, parse_face, shipped_faces
from animaface.robot.face.errors import DeviceError, InputError, TransportError
from animaface.robot.gate import Reason
from animaface.robot.robot import Robot
from animaface.sim.dynamixel.servo import VirtualServo
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.world import SimWorld


def world_of(face: str | FaceConfig, seed: int = 0) -> SimWorld:
    config = load_face(face) if isinstance(face, str) else face
    return SimWorld(config, seed=seed, plant=FirstOrderPlant(config, seed=seed))


def robot_in(world: SimWorld, config: FaceConfig | None = None) -> Robot:
    return Robot(config or world.config, world.open, world.clock)


def true_u(world: SimWorld, name: str) -> float:
    """u of the shaft as the body really stands."""
    a = world.config.actuators[name]
    degrees = math.degrees(world.plant.shaft(name).angle_rad)
    if a.servo.bus_kind == "dynamixel":
        return a.raw_to_u(180.0 + degrees)
    low, high = a.servo.pulse_us
    return a.raw_to_u(0.5 * (low + high) + degrees * (high - low) / a.servo.travel_deg)


def servo(world: SimWorld, name: str) -> VirtualServo:
    found = world._dynamixel(name)
    assert found is not None
    return found


def armed(world: SimWorld) -> Robot:
    robot = robot_in(world)
    robot.connect()
    robot.arm()
    robot.settle(robot.neutral_u, 0.7)
    return robot


@pytest.mark.parametrize("face", sorted(shipped_faces()))
def test_every_shipped_face_moves_where_it_is_told(face: str) -> None:
    world = world_of(face)
    robot = robot_in(world)
    report = robot.connect()
    assert report.dropped == ()
    assert all(d.present for d in report.devices)
    robot.arm()
    u = np.clip(robot.neutral_u + 0.2, 0.0, 0.9)
    last = robot.settle(u, 2.0)
    assert last is not None
    np.testing.assert_allclose(last.u, u, atol=1e-3)
    for i, name in enumerate(robot.names):
        assert true_u(world, name) == pytest.approx(u[i], abs=0.02), name
    state = robot.read()
    known = np.isfinite(state.position_u)
    np.testing.assert_allclose(state.position_u[known], u[known], atol=0.02)
    assert not state.faults
    robot.release()
    robot.close()


def test_torque_comes_on_at_the_measured_pose() -> None:
    world = world_of("hybrid")
    before = {}
    robot = robot_in(world)
    robot.connect()
    for name in ("jaw_open", "lip_lower_left"):
        before[name] = true_u(world, name)
    poses = robot.arm()
    for name, u in before.items():
        assert poses[name] == pytest.approx(u, abs=0.02)
        assert true_u(world, name) == pytest.approx(u, abs=0.03)


def test_after_arming_the_face_is_eased_and_not_thrown() -> None:
    world = world_of("hybrid")
    robot = robot_in(world)
    robot.connect()
    robot.arm()
    u = robot.neutral_u.copy()
    jaw = robot.names.index("jaw_open")
    u[jaw] = 1.0
    now = world.clock.now_s()
    path = []
    for k in range(80):
        world.clock.sleep_until_s(now + k * 0.01)
        done = robot.send(u)
        path.append(done.u[jaw])
    assert "ramp" not in done.why().get("jaw_open", "")
    assert path[10] < 0.3
    assert path[-1] == pytest.approx(1.0, abs=1e-3)
    assert np.abs(np.diff(path)).max() / 0.01 < 3.0


def test_an_absent_servo_takes_its_group_and_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    world = world_of("hybrid")
    world.remove_servo("neck_left")
    world.remove_servo("eyes_yaw")
    robot = robot_in(world)
    with caplog.at_level(logging.WARNING, logger="animaface.robot"):
        report = robot.connect()
    assert set(report.dropped) == {"neck_left", "neck_right", "eyes_yaw"}
    assert len(caplog.records) == 1
    for name in report.dropped:
        assert name in caplog.text
    robot.arm()
    u = np.clip(robot.neutral_u + 0.2, 0.0, 1.0)
    last = robot.settle(u, 1.5)
    assert last is not None
    assert {n for n, why in last.why().items() if "absent" in why} == set(report.dropped)
    assert true_u(world, "jaw_open") == pytest.approx(u[robot.names.index("jaw_open")], abs=0.02)
    assert true_u(world, "neck_right") == pytest.approx(0.5, abs=0.03)


def test_a_bus_that_is_missing_at_start_leaves_the_rest() -> None:
    world = world_of("hybrid")
    world.unplug("tendons")
    robot = robot_in(world)
    report = robot.connect()
    assert set(report.dropped) == {a.name for a in world.config.on_bus("tendons")}
    robot.arm()
    assert robot.settle(robot.neutral_u, 0.2) is not None


def test_nothing_there_is_an_error_that_says_what_to_do() -> None:
    world = world_of("bench4")
    world.unplug("board")
    with pytest.raises((TransportError, DeviceError)) as told:
        robot_in(world).connect()
    assert told.value.next_step


def test_a_wrong_model_under_an_id_is_not_driven() -> None:
    """An XM430 where the config says XL330: other limits, other torque; it must not move."""
    text = shipped_faces()["hybrid"].read_text()
    found = parse_face(text.replace("id: 22, model: xl330-m288", "id: 22, model: xm430-w350"), source="test")
    world = world_of(found)
    robot = robot_in(world, load_face("hybrid"))
    report = robot.connect()
    assert report.dropped == ("jaw_slide",)
    assert "xl330-m288" in report.warning
    assert "xm430-w350" in report.warning


def test_a_servo_that_vanishes_takes_its_group_and_comes_back() -> None:
    world = world_of("hybrid")
    robot = armed(world)
    world.remove_servo("neck_left")
    robot.settle(robot.neutral_u, 0.5)
    assert "neck_left" in robot.latest().faults
    u = np.clip(robot.neutral_u + 0.2, 0.0, 1.0)
    last = robot.settle(u, 1.0)
    assert last is not None
    faulty = {n for n, why in last.why().items() if "fault" in why}
    assert faulty == {"neck_left", "neck_right"}
    assert true_u(world, "neck_right") == pytest.approx(0.5, abs=0.03)
    assert true_u(world, "jaw_open") == pytest.approx(u[robot.names.index("jaw_open")], abs=0.02)
    world.restore_servo("neck_left")
    robot.settle(u, 4.0)
    assert robot.latest().faults == {}
    assert true_u(world, "neck_left") == pytest.approx(0.7, abs=0.02)
    assert true_u(world, "neck_right") == pytest.approx(0.7, abs=0.02)
    assert any("back again: neck_left" in e.text for e in robot.events)


def test_a_servo_that_reboots_is_set_up_again() -> None:
    """The SDK shows no error when a servo restarts: torque is off and nobody notices."""
    world = world_of("hybrid")
    robot = armed(world)
    u = robot.neutral_u.copy()
    jaw = robot.names.index("jaw_open")
    u[jaw] = 0.6
    robot.settle(u, 1.0)
    world.reboot_servo("jaw_open")
    robot.settle(u, 3.0)
    assert any("jaw_open" in e.text for e in robot.events)
    assert robot.latest().faults == {}
    u[jaw] = 0.3
    robot.settle(u, 1.5)
    assert true_u(world, "jaw_open") == pytest.approx(0.3, abs=0.02)
    assert servo(world, "jaw_open").memory[98] == 10, "its bus watchdog is armed again"


def test_an_overloaded_servo_is_restarted_and_goes_on() -> None:
    world = world_of("hybrid")
    robot = armed(world)
    world.hardware_error("corner_a_left", 0x20)
    robot.settle(robot.neutral_u, 0.4)
    assert "overload" in robot.latest().faults.get("corner_a_left", "")
    robot.settle(robot.neutral_u, 3.0)
    assert robot.latest().faults == {}


def test_a_hot_servo_backs_off() -> None:
    world = world_of("hybrid")
    robot = armed(world)
    u = robot.neutral_u.copy()
    jaw = robot.names.index("jaw_open")
    u[jaw] = 1.0
    robot.settle(u, 1.0)
    for _ in range(20):
        world.heat_servo("jaw_open", 66.0)
        last = robot.settle(u, 0.1)
    assert last is not None
    assert last.u[jaw] < 0.7
    assert "heat" in last.why()["jaw_open"]


@pytest.mark.parametrize("bus", ["rigid", "tendons"])
def test_a_pulled_cable_costs_that_bus_only_and_it_comes_back(bus: str) -> None:
    world = world_of("hybrid")
    robot = armed(world)
    u = np.clip(robot.neutral_u + 0.25, 0.0, 0.9)
    robot.settle(u, 1.0)
    world.unplug(bus)
    other = "cheek_left" if bus == "rigid" else "jaw_open"
    mine = "jaw_open" if bus == "rigid" else "cheek_left"
    v = np.clip(robot.neutral_u + 0.1, 0.0, 0.9)
    last = robot.settle(v, 1.5)
    assert last is not None
    assert last.reasons[robot.names.index(mine)] & Reason.FAULT
    assert true_u(world, other) == pytest.approx(v[robot.names.index(other)], abs=0.02)
    world.plug(bus)
    robot.settle(v, 6.0)
    assert robot.latest().faults == {}
    assert true_u(world, mine) == pytest.approx(v[robot.names.index(mine)], abs=0.02)


def test_a_servo_that_stays_away_when_its_line_comes_back_is_not_forgotten() -> None:
    world = world_of("hybrid")
    robot = armed(world)
    world.unplug("rigid")
    world.remove_servo("neck_left")
    robot.settle(robot.neutral_u, 0.5)
    world.plug("rigid")
    u = np.clip(robot.neutral_u + 0.2, 0.0, 1.0)
    robot.settle(u, 6.0)
    assert set(robot.latest().faults) == {"neck_left"}
    assert true_u(world, "jaw_open") == pytest.approx(u[robot.names.index("jaw_open")], abs=0.02)
    assert true_u(world, "neck_right") == pytest.approx(0.5, abs=0.03)
    world.restore_servo("neck_left")
    robot.settle(u, 4.0)
    assert robot.latest().faults == {}
    assert true_u(world, "neck_left") == pytest.approx(0.7, abs=0.02)


@pytest.mark.parametrize("fault", ["reset_board", "hang_board"])
def test_a_board_that_restarts_is_greeted_armed_and_eased_in(fault: str) -> None:
    world = world_of("morpheus")
    robot = armed(world)
    u = np.clip(robot.neutral_u + 0.2, 0.0, 0.9)
    robot.settle(u, 1.0)
    getattr(world, fault)("board")
    robot.settle(u, 8.0)
    assert robot.latest().faults == {}
    assert any("board" in e.text for e in robot.events)
    for name in ("jaw_open_main", "lid_upper_left", "neck_yaw"):
        assert true_u(world, name) == pytest.approx(u[robot.names.index(name)], abs=0.02)


def test_the_emergency_stop_holds_until_it_is_closed() -> None:
    world = world_of("bench4")
    robot = armed(world)
    u = np.clip(robot.neutral_u + 0.2, 0.0, 0.9)
    world.estop("board", True)
    robot.settle(u, 2.0)
    faults = robot.latest().faults
    assert faults
    assert all("emergency stop" in text for text in faults.values())
    world.estop("board", False)
    robot.settle(u, 5.0)
    assert robot.latest().faults == {}
    assert true_u(world, "jaw_open") == pytest.approx(u[0], abs=0.02)


@pytest.mark.parametrize("face", ["hybrid", "morpheus"])
def test_a_host_that_was_stopped_goes_on_without_a_jump(face: str) -> None:
    """SIGSTOP for .5 s: every watchdog has tripped. What is asked meanwhile has moved on by half a range."""
    world = world_of(face)
    robot = armed(world)
    u = np.clip(robot.neutral_u + 0.1, 0.0, 0.9)
    robot.settle(u, 1.0)
    world.clock.sleep_until_s(world.clock.now_s() + 0.5)
    v = np.clip(robot.neutral_u + 0.5, 0.0, 0.9)
    neck = robot.names.index("neck_yaw")
    seen = [true_u(world, "neck_yaw")]
    end_s = world.clock.now_s() + 5.0
    while world.clock.now_s() < end_s:
        robot.settle(v, 0.05)
        seen.append(true_u(world, "neck_yaw"))
    assert robot.latest().faults == {}
    assert seen[-1] == pytest.approx(v[neck], abs=0.02)
    assert np.abs(np.diff(seen)).max() / 0.05 < 2.5 * 1.1


def test_noise_on_the_line_is_lived_through() -> None:
    world = world_of("hybrid")
    robot = armed(world)
    for bus in ("rigid", "tendons"):
        world.corrupt(bus, lost=0.002, doubled=0.001, flipped=0.002)
    start_s = world.clock.now_s()
    u0 = robot.neutral_u
    robot.follow(lambda t: np.clip(u0 + 0.1 * math.sin(6.0 * (t - start_s)), 0, 1), start_s + 5.0)
    for bus in ("rigid", "tendons"):
        world.corrupt(bus)
    robot.settle(np.clip(u0 + 0.1, 0, 1), 4.0)
    assert robot.latest().faults == {}
    for name in ("jaw_open", "neck_left", "cheek_left"):
        i = robot.names.index(name)
        assert true_u(world, name) == pytest.approx(u0[i] + 0.1, abs=0.02)


def test_on_exit_by_an_error_the_face_rests_and_lets_go() -> None:
    world = world_of("hybrid")
    robot = robot_in(world)
    with pytest.raises(ZeroDivisionError), robot:  # noqa: PT012
        robot.connect()
        robot.arm()
        robot.settle(np.clip(robot.neutral_u + 0.3, 0, 1), 1.5)
        raise ZeroDivisionError
    for name in ("jaw_open", "lid_upper_left", "cheek_left"):
        a = world.config.actuators[name]
        assert true_u(world, name) == pytest.approx(a.neutral_u, abs=0.03)
    assert servo(world, "jaw_open").memory[64] == 0
    with pytest.raises(DeviceError, match="not armed"):
        robot.send(robot.neutral_u)


def test_send_refuses_a_wrong_shape_and_survives_nonsense() -> None:
    world = world_of("bench4")
    robot = armed(world)
    with pytest.raises(InputError, match=r"u\[4\]"):
        robot.send(np.zeros(3))
    done = robot.send(np.array([np.nan, np.inf, -5.0, 7.0]))
    assert np.isfinite(done.u).all()
    assert set(done.why()) == set(robot.names)


def test_two_runs_are_the_same_to_the_bit() -> None:
    def run() -> tuple[bytes, bytes]:
        world = world_of("hybrid", seed=3)
        robot = armed(world)
        start_s = world.clock.now_s()
        applied = []
        for k in range(150):
            world.clock.sleep_until_s(start_s + k * 0.01)
            applied.append(robot.send(np.clip(robot.neutral_u + 0.2 * math.sin(k * 0.1), 0, 1)).u)
        angles = [world.plant.shaft(n).angle_rad for n in robot.names]
        position = robot.latest().position_u
        return np.array(applied).tobytes(), np.array([*angles, *position]).tobytes()

    assert run() == run()


def test_reading_between_two_commands_forgets_nothing() -> None:
    """A servo that came back while somebody read: the gate must hear where it stands."""
    world = world_of("hybrid")
    robot = armed(world)
    world.reboot_servo("jaw_open")
    u = robot.neutral_u.copy()
    jaw = robot.names.index("jaw_open")
    u[jaw] = 0.6
    for _ in range(300):
        robot.settle(u, 0.01)
        robot.read()
    assert robot.latest().faults == {}
    assert true_u(world, "jaw_open") == pytest.approx(0.6, abs=0.02)

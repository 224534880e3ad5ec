"""One suite over every bus of every shipped face: what the Bus contract promises, on virtual devices."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from animaface.robot.bus import Bus, finish
from animaface.robot.config import load_face, shipped_faces
from animaface.robot.face.errors import DeviceError, TransportError
from animaface.robot.lane import BUS_KINDS
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.world import SimWorld

EVERY = [(face, bus) for face in sorted(shipped_faces()) for bus in load_face(face).buses]


@pytest.fixture(params=EVERY, ids=lambda p: f"{p[0]}-{p[1]}")
def case(request: pytest.FixtureRequest) -> tuple[SimWorld, Bus, str]:
    face, name = request.param
    config = load_face(face)
    world = SimWorld(config, plant=FirstOrderPlant(config, seed=1))
    return world, BUS_KINDS[config.buses[name].kind](config, name, world.open, world.clock), name


def angles(world: SimWorld, names: list[str]) -> np.ndarray:
    return np.array([world.plant.shaft(n).angle_rad for n in names])


def wait(world: SimWorld, seconds: float) -> None:
    world.clock.sleep_until_s(world.clock.now_s() + seconds)


def neutral(world: SimWorld, bus: Bus) -> np.ndarray:
    return np.array([world.config.actuators[n].neutral_u for n in bus.names])


def run(world: SimWorld, bus: Bus, u: np.ndarray, seconds: float) -> None:
    for _ in range(round(seconds * 100)):
        bus.collect()
        bus.write(u)
        bus.request()
        wait(world, 0.01)


def test_before_connect_it_says_so_and_closing_is_safe(case: tuple[SimWorld, Bus, str]) -> None:
    _, bus, _ = case
    with pytest.raises(TransportError, match="not connected"):
        bus.write(np.zeros(len(bus.names)))
    bus.close()
    bus.close()
    bus.release()


def test_connect_tells_of_everybody_and_moves_nobody(case: tuple[SimWorld, Bus, str]) -> None:
    world, bus, name = case
    everybody = [a.name for a in world.config.on_bus(name)]
    before = angles(world, everybody)
    devices = bus.connect()
    assert [d.actuator for d in devices] == everybody
    assert all(d.present and d.model and d.firmware for d in devices)
    assert list(bus.names) == everybody
    bus.write(np.ones(len(bus.names)))
    wait(world, 0.5)
    np.testing.assert_allclose(angles(world, everybody), before, atol=1e-9)


def test_enable_leaves_everybody_where_it_is(case: tuple[SimWorld, Bus, str]) -> None:
    world, bus, _ = case
    bus.connect()
    before = angles(world, list(bus.names))
    poses = bus.enable()
    assert set(poses) == set(bus.names)
    moved = np.abs(angles(world, list(bus.names)) - before)
    assert moved.max() < math.radians(3.0)
    for name, u in poses.items():
        assert -0.5 < u < 1.5, name


def arm_haltingly(world: SimWorld, bus: Bus, stands_still_s: Callable[[int], float]) -> set[str]:
    """Who came on, on a computer that stands still for so long after step k."""
    steps = bus.enable_steps()
    for k in range(10_000):
        try:
            wait(world, next(steps) + stands_still_s(k))
        except StopIteration as end:
            return set(end.value)
    raise AssertionError("arming never ends")


@pytest.mark.parametrize("at", [1, 2, 3, 5, 9])
def test_a_computer_that_stood_still_while_arming_arms_all_the_same(
    case: tuple[SimWorld, Bus, str], at: int
) -> None:
    """A busy host once let go a board between ARM and ENABLE: "refused ENABLE: not armed"."""
    world, bus, _ = case
    bus.connect()
    assert arm_haltingly(world, bus, lambda k: 0.3 if k == at else 0.0) == set(bus.names)
    assert not bus.collect().stopped


def test_a_computer_that_never_wakes_in_time_is_told_so() -> None:
    config = load_face("bench4")
    world = SimWorld(config, plant=FirstOrderPlant(config, seed=1))
    (name,) = config.buses
    bus = BUS_KINDS[config.buses[name].kind](config, name, world.open, world.clock)
    bus.connect()
    with pytest.raises(DeviceError, match="heard nothing for 200 ms") as told:
        arm_haltingly(world, bus, lambda _: 0.3)
    assert told.value.next_step


def test_in_a_tick_nothing_waits(case: tuple[SimWorld, Bus, str]) -> None:
    """Virtual time moves only when somebody waits: collect, write and request must not."""
    world, bus, _ = case
    bus.connect()
    bus.enable()
    for _ in range(50):
        before = world.clock.now_s()
        bus.collect()
        bus.write(neutral(world, bus))
        bus.request()
        assert world.clock.now_s() == before
        wait(world, 0.01)


def test_it_goes_where_it_is_told_and_reads_what_it_can(case: tuple[SimWorld, Bus, str]) -> None:
    world, bus, _ = case
    bus.connect()
    bus.enable()
    run(world, bus, neutral(world, bus), 0.5)
    u = np.clip(neutral(world, bus) + 0.15, 0, 1)
    run(world, bus, u, 1.5)
    state = bus.read()
    n = len(bus.names)
    for column in (state.position_u, state.velocity_u_s, state.current_a, state.temperature_c):
        assert column.shape == (n,)
    assert state.stale.shape == (n,)
    assert state.voltage_v is not None
    volts = state.voltage_v[np.isfinite(state.voltage_v)]
    assert len(volts) in (0, n)  # a board without a sensor for it tells nothing
    assert ((volts > 4.0) & (volts < 13.0)).all()
    known = np.isfinite(state.position_u)
    np.testing.assert_allclose(state.position_u[known], u[known], atol=0.02)
    assert state.faults == {}
    assert state.stopped == ""


def test_work_in_pieces_is_the_same_work(case: tuple[SimWorld, Bus, str]) -> None:
    world, bus, _ = case
    devices = finish(bus.connect_steps(), world.clock)
    poses = finish(bus.enable_steps(), world.clock)
    assert len(devices) == len(poses) == len(bus.names)


def test_no_piece_of_work_waits_by_itself(case: tuple[SimWorld, Bus, str]) -> None:
    world, bus, _ = case
    for steps in (bus.connect_steps(), bus.enable_steps()):
        while True:
            before = world.clock.now_s()
            try:
                next(steps)
            except StopIteration:
                break
            assert world.clock.now_s() == before
            wait(world, 0.01)


def test_release_lets_go_and_may_be_taken_up_again(case: tuple[SimWorld, Bus, str]) -> None:
    world, bus, _ = case
    bus.connect()
    bus.enable()
    run(world, bus, neutral(world, bus), 0.3)
    bus.release()
    wait(world, 0.1)
    before = angles(world, list(bus.names))
    bus.write(np.ones(len(bus.names)))
    wait(world, 0.3)
    np.testing.assert_allclose(angles(world, list(bus.names)), before, atol=1e-6)
    bus.enable()
    u = np.clip(neutral(world, bus) + 0.1, 0, 1)
    run(world, bus, u, 1.0)
    assert np.abs(angles(world, list(bus.names)) - before).max() > math.radians(1.0)
    bus.close()
    bus.close()


def test_a_line_that_is_gone_is_told_within_half_a_second(case: tuple[SimWorld, Bus, str]) -> None:
    world, bus, name = case
    bus.connect()
    bus.enable()
    run(world, bus, neutral(world, bus), 0.2)
    world.unplug(name)
    with pytest.raises((TransportError, DeviceError)):
        run(world, bus, neutral(world, bus), 0.5)

"""The control loop: in lock-step, where its numbers are exact, and as a process against a real simulation."""

import os
import signal
import time

import numpy as np
import pytest

from animaface.robot.config import load_face
from animaface.robot.control import ControlLoop, applied_width, run_control
from animaface.robot.control_process import AppliedLog, ControlProcess
from animaface.robot.face.errors import AnimafaceError, DeviceError, InputError, TransportError
from animaface.robot.ring import Ring
from animaface.robot.robot import Robot
from animaface.robot.schedule import RingSchedule, TrajectorySchedule, frame_width, push_frame
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.process import SimProcess
from animaface.sim.world import SimWorld


def lock_step(face: str) -> tuple[SimWorld, Robot]:
    config = load_face(face)
    world = SimWorld(config, plant=FirstOrderPlant(config, seed=0))
    robot = Robot(config, world.open, world.clock)
    robot.connect()
    return world, robot


def test_in_lock_step_u_of_t_is_what_was_scheduled() -> None:
    world, robot = lock_step("hybrid")
    robot.arm()
    robot.settle(robot.neutral_u, 0.7)
    start_s = world.clock.now_s() + 0.013
    due = start_s + np.arange(120) / 60
    middle = np.clip(robot.neutral_u, 0.2, 0.8)
    wave = 0.1 * (1.0 - np.cos(2 * np.pi * 1.0 * (due - start_s)))
    ease = np.clip((due - start_s) / 0.5, 0, 1)[:, None]
    u = robot.neutral_u + ease * (middle - robot.neutral_u) + (ease * wave[:, None])
    schedule = TrajectorySchedule(due, u)
    ring = Ring.create(512, applied_width(len(robot.names)))
    stats = run_control(robot, schedule, world.clock, until=float(due[-1]), applied=ring)
    log = AppliedLog.of(ring.since(0)[1], len(robot.names))
    ring.close()
    assert stats.missed == 0
    assert stats.ticks == len(log.time_s) == 200
    np.testing.assert_allclose(np.diff(log.time_s), 0.01, atol=1e-9)
    want = np.array([x if (x := schedule.at(t)) is not None else robot.neutral_u for t in log.time_s])
    np.testing.assert_allclose(log.applied_u, want, atol=2e-3)
    assert np.isfinite(log.position_u[-1]).sum() == 25


def test_arming_and_resting_are_part_of_the_loop_and_miss_nothing() -> None:
    """No piece of arming may wait for a line: in lock-step a tick that waits takes virtual time."""
    world, robot = lock_step("hybrid")
    loop = ControlLoop(robot, TrajectorySchedule(np.zeros(0), np.zeros((0, 29))), world.clock)
    loop.arm()
    loop.run(lambda now: not loop.arming)
    assert robot.armed
    assert len(loop.poses) == 29
    end_s = world.clock.now_s() + 0.5
    loop.run(lambda now: now >= end_s)
    loop.rest()
    loop.run(lambda now: not loop.resting)
    stats = loop.stats()
    assert stats.ticks > 100
    assert stats.missed == 0
    assert stats.tick_max_s < 0.0015


def test_a_loop_that_is_held_up_counts_every_deadline_it_lost() -> None:
    world, robot = lock_step("bench4")
    robot.arm()
    calls = 0

    class Slow:
        late = dropped = 0

        def at(self, now_s: float) -> np.ndarray:
            nonlocal calls
            calls += 1
            if calls == 20:
                world.clock.sleep_until_s(world.clock.now_s() + 0.035)
            return robot.neutral_u

    end_s = world.clock.now_s() + 0.5
    stats = run_control(robot, Slow(), world.clock, until=end_s)
    assert stats.missed == 3
    assert stats.ticks == 50


def test_frames_that_come_too_late_are_told_once_and_their_end_too() -> None:
    world, robot = lock_step("bench4")
    robot.arm()
    ring = Ring.create(512, frame_width(4))
    loop = ControlLoop(robot, RingSchedule(ring), world.clock)
    began_s = world.clock.now_s()
    seen = len(robot.events)

    def push(now_s: float) -> bool:
        busy = 1.0 < now_s - began_s < 2.0 or 0.2 < now_s - began_s < 0.225  # two frames are not worth a word
        push_frame(ring, now_s + (-0.02 if busy else 0.05), now_s, robot.neutral_u)
        return now_s - began_s > 6.0

    loop.run(push)
    ring.close()
    told = [(e.time_s - began_s, e.text) for e in list(robot.events)[seen:]]
    assert len(told) == 2, told
    assert told[0][0] == pytest.approx(1.05, abs=0.1)
    assert "too late" in told[0][1]
    assert "busy" in told[0][1]
    assert 3.9 < told[1][0] < 4.3
    assert "in time again" in told[1][1]
    assert loop.stats().late_frames > 50


@pytest.fixture(scope="module")
def simulation():
    with SimProcess.start("bench4", seed=0, plant="first-order") as sim:
        yield sim


def push_wave(control: ControlProcess, seconds: float) -> float:
    rest = np.array([a.neutral_u for a in control.config.actuators.values()])
    start_s = time.monotonic() + 0.5
    for k in range(int(seconds * 60)):
        control.push(start_s + k / 60, np.clip(rest + 0.2 * np.sin(k * 0.1), 0, 1))
    return start_s


@pytest.mark.realtime
def test_the_process_plays_what_is_pushed(simulation: SimProcess) -> None:
    with ControlProcess.start(load_face("bench4"), simulation.ports) as control:
        ready = control.wait_ready()
        assert ready.dropped == ()
        assert set(control.arm()) == set(control.names)
        push_wave(control, 1.5)
        time.sleep(2.1)
        assert control.faults() == {}
        stats = control.stop()
        log = control.applied()
    assert stats.ticks > 200
    assert stats.late_frames == 0
    assert np.ptp(log.applied_u[:, 1]) > 0.3
    assert (np.diff(log.time_s) > 0).all()
    rest = np.array([a.neutral_u for a in control.config.actuators.values()])
    np.testing.assert_allclose(log.applied_u[-1], rest, atol=1e-3)
    assert not control.running
    assert control.stop() == stats


@pytest.mark.realtime
def test_a_simulation_that_stood_still_is_no_host_that_fell_silent() -> None:
    """A real board goes on hearing its host while another process of the computer stands still."""
    with (
        SimProcess.start("bench4", plant="first-order") as sim,
        ControlProcess.start(load_face("bench4"), sim.ports) as control,
    ):
        control.arm()
        for pause_s in (0.15, 0.22, 0.24):
            os.kill(sim.pid, signal.SIGSTOP)
            time.sleep(pause_s)
            os.kill(sim.pid, signal.SIGCONT)
            time.sleep(0.5)
        _, events = control.health()
        assert not [text for _, text in events if "no command" in text]
        control.stop()
        assert sim.stop()["skipped_s"] == pytest.approx(0.61, abs=0.1)


def test_a_missing_port_is_raised_in_the_parent_with_what_to_do() -> None:
    with (
        pytest.raises(TransportError, match="no such port") as told,
        ControlProcess.start(load_face("bench4"), {"board": "/dev/ttyNOPE"}) as control,
    ):
        control.wait_ready()
    assert told.value.next_step


@pytest.mark.realtime
def test_a_frame_of_the_wrong_size_is_refused(simulation: SimProcess) -> None:
    with ControlProcess.start(load_face("bench4"), simulation.ports) as control:
        with pytest.raises(InputError, match=r"u\[4\]"):
            control.push(0.0, np.zeros(7))
        control.wait_ready()


@pytest.mark.realtime
def test_two_processes_cannot_have_one_port(simulation: SimProcess) -> None:
    with ControlProcess.start(load_face("bench4"), simulation.ports) as first:
        first.wait_ready()
        second = ControlProcess.start(load_face("bench4"), simulation.ports)
        with pytest.raises(TransportError, match="taken by another program"), second:
            second.wait_ready()
        assert first.running


@pytest.mark.realtime
@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_means_rest_and_release(simulation: SimProcess, ending: signal.Signals) -> None:
    control = ControlProcess.start(load_face("bench4"), simulation.ports)
    control.arm()
    push_wave(control, 30.0)
    time.sleep(0.5)
    os.kill(control.pid, ending)
    stats = control.stop()
    log = control.applied()
    rest = np.array([a.neutral_u for a in control.config.actuators.values()])
    np.testing.assert_allclose(log.applied_u[-1], rest, atol=1e-3)
    assert stats.ticks > 100


@pytest.mark.realtime
def test_the_child_ends_when_its_parent_is_gone(simulation: SimProcess) -> None:
    """The parent's end of the pipe closes when it dies, however it dies."""
    control = ControlProcess.start(load_face("bench4"), simulation.ports)
    control.arm()
    assert control._process.stdin is not None
    control._process.stdin.close()
    assert control._process.wait(10.0) == 0
    with pytest.raises(AnimafaceError):
        control.arm(1.0)
    control._end()


@pytest.mark.realtime
def test_a_killed_process_is_an_error_in_words(simulation: SimProcess) -> None:
    control = ControlProcess.start(load_face("bench4"), simulation.ports)
    control.wait_ready()
    os.kill(control.pid, signal.SIGKILL)
    with pytest.raises(DeviceError, match="control process"):
        control.arm(5.0)
    control._end()

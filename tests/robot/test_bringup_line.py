"""Bring-up against the virtual devices in lock-step: scan, set-up of one servo, jog, letting go."""

import itertools
import math
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animaface.robot.bringup.checks import check_answer, check_face
from animaface.robot.bringup.halt import Halted, HaltLine, halt_lines, halt_processes, lines_of
from animaface.robot.bringup.jogger import HOLD_S, STEP_SHARE, Jogger, Key, key_named
from animaface.robot.bringup.one_servo import Reading, open_one
from animaface.robot.bringup.ports import SerialPort
from animaface.robot.bringup.scan import BAUDS, ask_port, find_servos
from animaface.robot.bringup.session import JogResult, ScriptKeys, View, jog
from animaface.robot.bringup.wire_setup import clear_return_delays, find_alone, give_address
from animaface.robot.config import load_face
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import DeviceError, InputError, TransportError
from animaface.robot.running import announced, running
from animaface.robot.transport import MemoryTransport, Transport
from animaface.sim.dynamixel.bus import VirtualDynamixelBus
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.world import SimWorld


def small_world(face: str = "hybrid") -> SimWorld:
    config = load_face(face)
    return SimWorld(config, plant=FirstOrderPlant(config))


def opener(world: SimWorld, bus: str) -> Callable[[int], Transport]:
    """The line of `bus`, at any speed."""

    def open_at(baud: int) -> Transport:
        world.device(bus).wire.baud = baud
        return MemoryTransport(world.device(bus), world.clock, baud)

    return open_at


def servos(world: SimWorld) -> VirtualDynamixelBus:
    device = world.device("rigid")
    assert isinstance(device, VirtualDynamixelBus)
    return device


def alone(world: SimWorld, name: str) -> VirtualDynamixelBus:
    """Only this servo is plugged in."""
    device = servos(world)
    device.servos = [device.servo(name)]
    device.servos[0].on_address_change()
    return device


# ---- scan


def test_a_scan_finds_every_servo_and_changes_nothing() -> None:
    world = small_world()
    before = [bytes(s.memory[:120]) for s in servos(world).servos]
    answer = ask_port(SerialPort("rigid"), opener(world, "rigid"), world.clock, bauds=(1_000_000, 57_600))
    assert [s.id for s in answer.servos] == list(range(1, 26))
    assert [s.model for s in answer.servos] == [a.model for a in load_face("hybrid").on_bus("rigid")]
    assert all(s.baud == 1_000_000 and s.firmware > 0 for s in answer.servos)
    assert all(abs(s.position_deg - 180.0) < 1.0 for s in answer.servos)
    assert answer.board is None
    assert [bytes(s.memory[:120]) for s in servos(world).servos] == before


def test_a_scan_finds_servos_at_different_speeds() -> None:
    world = small_world()
    servos(world).servos[3].memory[8] = 1  # 57600
    servos(world).servos[4].memory[8] = 6  # 4 M
    answer = ask_port(SerialPort("rigid"), opener(world, "rigid"), world.clock, bauds=BAUDS)
    assert {s.id: s.baud for s in answer.servos} | {} == {
        i: {4: 57_600, 5: 4_000_000}.get(i, 1_000_000) for i in range(1, 26)
    }
    assert any("different speeds" in d.found for d in check_answer(answer))


def test_a_scan_finds_a_servo_board() -> None:
    world = small_world()
    answer = ask_port(SerialPort("tendons"), opener(world, "tendons"), world.clock)
    assert answer.board is not None
    assert (answer.board.board_id, answer.board.n_channels, answer.servos) == (1, 60, [])


def test_a_pulled_cable_is_a_problem_and_no_exception() -> None:
    world = small_world()
    world.unplug("rigid")
    answer = ask_port(SerialPort("rigid"), opener(world, "rigid"), world.clock)
    assert "gone" in answer.problem
    assert answer.servos == []


def test_servos_that_answer_only_pings_are_found() -> None:
    world = small_world()
    for servo in servos(world).servos:
        servo.memory[68] = 0
    found, _ = find_servos(opener(world, "rigid"), 1_000_000, world.clock)
    assert len(found) == 25
    assert all(math.isnan(s.position_deg) and s.return_delay_us == -1 for s in found)


def test_each_defect_names_the_command_that_mends_it() -> None:
    world = small_world()
    for servo in servos(world).servos:
        servo.memory[9] = 0
    servos(world).servos[0].memory[9] = 250
    servos(world).servos[1].fail(0x20)
    world.remove_servo("jaw_open")
    config = load_face("hybrid")
    answers = {
        bus: ask_port(SerialPort(bus), opener(world, bus), world.clock, bauds=(1_000_000,))
        for bus in config.buses
    }
    found = {d.found: d for d in check_face(config, answers, "my.yaml")}
    assert len(found) == 3
    told = "\n".join(found)
    assert "return delay up to 500 us, wanted 0: id 1" in told
    assert "id 2: hardware error: overload" in told
    assert "jaw_open: nobody answers under id 21" in told
    mends = "\n".join(d.mend for d in found.values())
    assert "animaface setup-motors my.yaml --return-delay" in mends
    assert "animaface setup-motors my.yaml --only jaw_open" in mends


# ---- one servo's address


def test_a_servo_from_the_factory_gets_its_address() -> None:
    world = small_world()
    device = alone(world, "jaw_open")
    device.servos[0].factory_reset(0xFF, 0.0)
    world.clock.sleep_until_s(1.0)
    open_at = opener(world, "rigid")
    (found,) = find_alone(open_at, world.clock, 1_000_000)
    assert (found.id, found.baud, found.model) == (1, 57_600, "xm430-w350")
    now = give_address(open_at, world.clock, found, 21, 1_000_000)
    assert (now.id, now.baud, now.return_delay_us) == (21, 1_000_000, 0)
    assert (device.servos[0].device, device.servos[0].baud) == (21, 1_000_000)


@pytest.mark.parametrize("writes", range(6))
def test_setting_an_address_survives_a_break_at_any_write(writes: int) -> None:
    """The cable comes out after any number of packets: the next run finds the servo and finishes."""
    world = small_world()
    device = alone(world, "eyes_yaw")
    device.servos[0].factory_reset(0xFF, 0.0)
    device.servos[0].memory[64] = 1
    world.clock.sleep_until_s(1.0)
    plain, counter = opener(world, "rigid"), itertools.count()

    class Cut(MemoryTransport):
        def write(self, data: bytes) -> None:
            if next(counter) >= writes:
                raise TransportError("the line is gone (cut)")
            super().write(data)

    (found,) = find_alone(plain, world.clock, 1_000_000)

    def cutting(baud: int) -> Transport:
        device.wire.baud = baud
        return Cut(device, world.clock, baud)

    with pytest.raises(TransportError):
        give_address(cutting, world.clock, found, 9, 1_000_000)
    (again,) = find_alone(plain, world.clock, 1_000_000)
    now = give_address(plain, world.clock, again, 9, 1_000_000)
    assert (now.id, now.baud) == (9, 1_000_000)


def test_a_speed_that_no_servo_has_is_refused_before_anything_is_written() -> None:
    world = small_world()
    device = alone(world, "eyes_yaw")
    (found,) = find_alone(opener(world, "rigid"), world.clock, 1_000_000)
    with pytest.raises(DeviceError, match="Valid: 9600"):
        give_address(opener(world, "rigid"), world.clock, found, 9, 123_456)
    assert device.servos[0].device == 1


def test_return_delays_are_cleared_where_needed() -> None:
    world = small_world()
    for servo in servos(world).servos[5:]:
        servo.memory[9] = 0
    assert clear_return_delays(opener(world, "rigid"), world.clock, 1_000_000) == [1, 2, 3, 4, 5]
    assert all(s.memory[9] == 0 for s in servos(world).servos)
    assert clear_return_delays(opener(world, "rigid"), world.clock, 1_000_000) == []


# ---- jog


def jogged(
    script: str,
    name: str = "jaw_open",
    face: str = "hybrid",
    *,
    beyond: bool = False,
    world: SimWorld | None = None,
) -> tuple[JogResult, list[tuple[float, View]], SimWorld]:
    world = world or small_world(face)
    config = world.config
    clock = world.clock
    seen: list[tuple[float, View]] = []
    servo = open_one(config, name, world.open(config.actuators[name].bus), clock)
    keys = ScriptKeys([key_named(k) for k in script.split()], clock)
    jogger = Jogger(config.actuators[name], beyond=beyond)
    return jog(jogger, servo, keys, clock, lambda v: seen.append((clock.now_s(), v))), seen, world


@pytest.mark.parametrize(
    ("face", "name"), [("hybrid", "jaw_open"), ("hybrid", "lid_upper_right"), ("bench4", "jaw_open")]
)
def test_one_key_moves_two_percent_of_the_range_towards_u_1(face: str, name: str) -> None:
    _, seen, world = jogged("+ + + wait", name, face)
    on = [v for _, v in seen if v.on]
    start_u = world.config.actuators[name].neutral_u
    assert max(v.u for v in on) - start_u == pytest.approx(3 * STEP_SHARE, abs=0.004)
    goals = [v.goal for v in on]
    steps = [abs(b - a) for a, b in itertools.pairwise(goals)]
    low, high = world.config.actuators[name].limits
    assert max(steps) <= STEP_SHARE * (high - low) + 1e-9


@pytest.mark.parametrize(
    ("face", "name", "torque"), [("hybrid", "jaw_open", False), ("hybrid", "neck_yaw", True)]
)
def test_a_second_after_the_last_key_it_does_its_on_loss(face: str, name: str, torque: bool) -> None:
    """jaw_open relaxes, neck_yaw holds where it is."""
    world = small_world(face)
    was_on: dict[float, bool] = {}
    config = world.config
    servo = open_one(config, name, world.open("rigid"), world.clock)
    keys = ScriptKeys([Key.UP, Key.UP, Key.WAIT, Key.WAIT], world.clock)
    memory = servos(world).servo(name).memory
    jog(
        Jogger(config.actuators[name]),
        servo,
        keys,
        world.clock,
        lambda _: was_on.update({world.clock.now_s(): memory[64] == 1}),
    )
    last_key_s = 0.15
    assert all(on for t, on in was_on.items() if 0.1 < t < last_key_s + HOLD_S - 0.01)
    late = [on for t, on in was_on.items() if t > last_key_s + HOLD_S + 0.1]
    assert late
    assert all(on is torque for on in late)
    assert memory[64] == 0  # and at the end of the session it is off anyhow


@pytest.mark.parametrize("key", ["space", "esc"])
@pytest.mark.parametrize(
    ("face", "name", "bus"), [("hybrid", "neck_yaw", "rigid"), ("bench4", "jaw_open", "board")]
)
def test_space_and_esc_take_the_torque_off_at_once(key: str, face: str, name: str, bus: str) -> None:
    world = small_world(face)
    result, seen, _ = jogged(f"+ + + {key}", name, face, world=world)
    assert not result.saved
    assert result.changes == {}
    first_off_s = next(t for t, v in seen if not v.on and t > 0.2) if key == "space" else world.clock.now_s()
    assert first_off_s <= 3 * 0.15 + 0.06
    device = world.device(bus)
    if isinstance(device, VirtualDynamixelBus):
        assert device.servo(name).memory[64] == 0
    else:
        world.clock.sleep_until_s(world.clock.now_s() + 0.02)  # a pulse that has begun is never cut
        assert not device.core.update_pulses().any()


def test_marks_are_saved_and_the_face_ends_at_neutral_with_torque_off() -> None:
    result, _, world = jogged("+ + + + + n " + "+ " * 6 + "max " + "- " * 16 + "min q")
    assert result.saved
    limits, neutral = result.changes["limits_deg"], result.changes["neutral_deg"]
    assert limits == pytest.approx((176.0 + 0.2, 189.7), abs=0.3)
    assert neutral == pytest.approx(184.4, abs=0.2)
    assert servos(world).servo("jaw_open").memory[64] == 0
    assert math.degrees(world.plant.shaft("jaw_open").angle_rad) + 180 == pytest.approx(neutral, abs=0.6)


def test_limits_end_the_way_unless_the_person_asks_for_more() -> None:
    _, inside, _ = jogged("- " * 12)
    assert min(v.goal for _, v in inside if v.on) == 176.0
    _, beyond, _ = jogged("- " * 12, beyond=True)
    assert min(v.goal for _, v in beyond if v.on) == pytest.approx(180 - 12 * 0.88, abs=0.3)
    _, asked, _ = jogged("- - - b - - - b -")
    assert "beyond" in " ".join(v.note for _, v in asked)


def test_a_servo_found_outside_its_limits_does_not_move_until_a_key() -> None:
    world = small_world()
    device = servos(world).servo("jaw_open")
    device.write(64, b"\x01")
    device.write(116, (2700).to_bytes(4, "little"))
    world.clock.sleep_until_s(1.0)
    device.write(64, b"\x00")
    before = world.plant.shaft("jaw_open").angle_rad
    _, seen, _ = jogged("wait esc", world=world)
    assert world.plant.shaft("jaw_open").angle_rad == pytest.approx(before, abs=1e-3)
    assert seen[-1][1].u > 1.1


def test_a_servo_that_does_not_follow_is_not_pushed_on() -> None:
    world = small_world()
    servos(world).servo("jaw_open").freeze_sensor(True)
    _, seen, _ = jogged("+ " * 10, world=world)
    reached = max(v.goal for _, v in seen if v.on) - 180
    assert reached <= 4.5 * STEP_SHARE * 44
    assert "does not follow" in " ".join(v.note for _, v in seen)


def test_a_killed_host_stops_a_jogged_servo() -> None:
    """No more bytes after two steps: watchdog and life of the outputs end the motion within .25 s."""
    for face, name in (("hybrid", "neck_yaw"), ("bench4", "jaw_open")):
        world = small_world(face)
        a = world.config.actuators[name]
        servo = open_one(world.config, name, world.open(a.bus), world.clock)
        servo.prepare(a.limits)
        servo.start()
        servo.move(a.limits[1])
        died_s = world.clock.now_s()
        world.clock.sleep_until_s(died_s + 0.30)
        at = world.plant.shaft(name).angle_rad
        world.clock.sleep_until_s(died_s + 2.0)
        assert world.plant.shaft(name).angle_rad == pytest.approx(at, abs=0.01)


@settings(max_examples=60, deadline=None)
@given(
    keys=st.lists(st.sampled_from(list(Key)), max_size=80),
    gaps=st.lists(st.floats(0.0, 0.5), min_size=80, max_size=80),
    name=st.sampled_from(["jaw_open", "lid_upper_right"]),
)
def test_no_sequence_of_keys_steps_too_far(keys: list[Key], gaps: list[float], name: str) -> None:
    """Any keys at any times: a step is 2 % at most, goals stay in the window, nothing moves unless on."""
    a = load_face("hybrid").actuators[name]
    jogger, now_s = Jogger(a), 0.0
    for key, gap in zip(keys, gaps, strict=False):
        now_s += gap
        reading = Reading(jogger.goal if math.isfinite(jogger.goal) else 180.0, True)
        before, was_on, was_beyond = jogger.goal, jogger.on, jogger.beyond
        effect = jogger.press(key, reading, now_s)
        if effect == "move" and not was_on:
            jogger.started(reading, now_s)
            continue
        if jogger.goal != before and math.isfinite(before):
            assert was_on
            assert effect == "move"
            assert abs(jogger.goal - before) <= STEP_SHARE * jogger.range + 1e-9
            low, high = jogger.window
            assert low - 1e-9 <= jogger.goal <= high + 1e-9 or was_beyond or before < low or before > high
        if jogger.lapsed(now_s):
            jogger.lapse()


def test_marks_the_other_way_round_turn_the_direction() -> None:
    jogger = Jogger(load_face("hybrid").actuators["jaw_open"])
    jogger.marks = {"min": 210.0, "max": 180.0, "neutral": 205.0}
    assert jogger.changes() == {"limits_deg": (180.0, 210.0), "direction": -1, "neutral_deg": 205.0}
    jogger.marks = {"min": 225.0}
    with pytest.raises(InputError, match="leave no range"):
        jogger.changes()
    jogger.marks = {"min": 190.0, "max": 200.0, "neutral": 180.0}
    with pytest.raises(InputError, match="outside"):
        jogger.changes()


# ---- stop


def test_lines_are_let_go_and_say_so() -> None:
    world = small_world()
    for servo in servos(world).servos:
        servo.write(64, b"\x01")
    board = open_one(world.config, "cheek_left", world.open("tendons"), world.clock)
    board.prepare((950, 1850))
    board.start()
    world.clock.sleep_until_s(world.clock.now_s() + 0.03)
    assert world.device("tendons").core.update_pulses().any()
    done, began_s = Halted(), world.clock.now_s()
    lines = lines_of(world.config, {"rigid": "rigid", "tendons": "tendons"})
    halt_lines(lines, lambda path, baud: opener(world, path)(baud), world.clock, done)
    assert done.released == ["rigid", "tendons"]
    assert not done.problems
    assert not any(s.memory[64] for s in servos(world).servos)
    assert world.clock.now_s() - began_s < 0.5
    world.clock.sleep_until_s(world.clock.now_s() + 0.02)  # a pulse that has begun is never cut
    assert not world.device("tendons").core.update_pulses().any()


@pytest.mark.parametrize("bus", ["rigid", "tendons"])
def test_a_line_that_nobody_knows_is_let_go_at_any_speed(bus: str) -> None:
    world = small_world()
    for k, servo in enumerate(servos(world).servos):
        servo.write(8, bytes((k % 6 + 1,)))
        servo.write(64, b"\x01")
    done = Halted()
    halt_lines([HaltLine(bus)], lambda path, baud: opener(world, path)(baud), world.clock, done)
    assert done.released == [bus]
    world.clock.sleep_until_s(world.clock.now_s() + 0.02)
    if bus == "rigid":
        assert not any(s.memory[64] for s in servos(world).servos)


def test_a_line_that_is_gone_is_a_problem_and_the_others_are_let_go() -> None:
    world = small_world()
    world.unplug("rigid")
    done = Halted()
    lines = lines_of(world.config, {"rigid": "rigid", "tendons": "tendons"})
    halt_lines(lines, lambda path, baud: opener(world, path)(baud), world.clock, done)
    assert done.released == ["tendons"]
    assert len(done.problems) == 1


_CHILD = """
import signal, sys, time
from animaface.robot.running import announced
deaf = sys.argv[1] == "deaf"
signal.signal(signal.SIGTERM, signal.SIG_IGN if deaf else lambda *_: sys.exit(0))
with announced("bench4", {"board": "/dev/none"}, "test"):
    print("up", flush=True)
    time.sleep(30)
"""


def _child(kind: str) -> "subprocess.Popen[str]":
    child = subprocess.Popen([sys.executable, "-c", _CHILD, kind], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    assert child.stdout.readline() == "up\n"
    return child


@pytest.mark.realtime
def test_processes_are_told_and_the_deaf_one_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    good, stopped, deaf = _child("good"), _child("good"), _child("deaf")
    stopped.send_signal(signal.SIGSTOP)
    assert {r.pid for r in running()} == {good.pid, stopped.pid, deaf.pid}
    done = halt_processes(RealClock(), rest_s=2.0)
    assert {r.pid for r in done.rested} == {good.pid, stopped.pid}
    assert [r.pid for r in done.killed] == [deaf.pid]
    assert [c.wait(5) for c in (good, stopped, deaf)] == [0, 0, -signal.SIGKILL]
    assert running() == []
    assert list((tmp_path / "animaface").glob("*.json")) == []


def test_what_a_dead_process_left_is_not_taken_for_a_living_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A pid is given anew sooner or later: whoever has it now must not be stopped."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    with announced("bench4", {}, "test"):
        (path,) = (tmp_path / "animaface").glob("*.json")
        (me,) = running()
        path.write_text(path.read_text().replace(str(me.started), str(me.started - 1)))
        assert running() == []
        assert not path.exists()
        (tmp_path / "animaface" / "1.json").write_text("{broken")
        assert running() == []

"""The simulated world in lock-step: same seed, same bits; faults; the truth log; the line's contract."""

import hashlib
import struct
import time
from pathlib import Path

import numpy as np
import pytest
from board_host import HELLO, encode
from dxl_client import Client, read_status, request

from animaface.robot.config import load_face
from animaface.robot.face.clock import LockStepClock
from animaface.robot.face.errors import ConfigError, InputError, TransportError
from animaface.robot.face.landmarks import lip_gap_m
from animaface.sim.faults import inject
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.truth import MAGIC, TruthLog, read_truth
from animaface.sim.world import SimWorld


def small_world(face: str = "hybrid", seed: int = 0, truth: TruthLog | None = None) -> SimWorld:
    config = load_face(face)
    return SimWorld(config, seed=seed, plant=FirstOrderPlant(config), truth=truth)


def babble(world: SimWorld, seconds: float, read_every: int = 3) -> bytes:
    """Goals at 100 Hz to all Dynamixel servos, positions read at 33 Hz; everything that came back."""
    line, rng = world.open("rigid"), np.random.default_rng(3)
    client = Client(line)
    ids = list(range(1, 26))
    client.sync_write(9, 1, dict.fromkeys(ids, 0))
    client.sync_write(64, 1, dict.fromkeys(ids, 1))
    clock, heard = world.clock, b""
    start_s = clock.now_s()
    for tick in range(round(seconds * 100)):
        clock.sleep_until_s(start_s + 0.01 * tick)
        goals = 2048 + 150 * np.sin(0.05 * tick + rng.normal(size=25))
        client.sync_write(116, 4, {i: int(g) for i, g in zip(ids, goals, strict=True)})
        if tick % read_every == 0:
            line.write(request(0xFE, 0x82, struct.pack("<HH", 126, 10) + bytes(ids)))
            heard += line.read(25 * 21, 0.02)
    return heard


def test_same_seed_same_bits(tmp_path: Path) -> None:
    digests = []
    for run in range(2):
        log = TruthLog.create(tmp_path / f"{run}.truth", load_face("hybrid"), 5)
        world = small_world(seed=5, truth=log)
        world.corrupt("rigid", flipped=0.001)
        heard = babble(world, 2.0)
        log.close()
        digests.append((hashlib.sha256(heard).hexdigest(), (tmp_path / f"{run}.truth").read_bytes()))
    assert digests[0] == digests[1]
    assert len(digests[0][1]) > 100_000


def test_devices_alone_run_far_faster_than_real_time() -> None:
    """Budget: the body may take most of an eighth of real time, so the devices must be far below it."""
    world = small_world()
    started = time.process_time()
    babble(world, 3.0)
    assert 3.0 / (time.process_time() - started) > 8.0  # measured 21 with the test's own slow host


def test_a_clock_of_ones_own_is_shared() -> None:
    clock = LockStepClock(start_s=1000.0)
    config = load_face("bench4")
    world = SimWorld(config, clock=clock, plant=FirstOrderPlant(config))
    clock.sleep_until_s(1001.0)
    assert world.now_s == pytest.approx(1001.0, abs=0.004)
    line = world.open("board")
    line.write(encode(HELLO, 1, b"AF\x01\x01"))
    assert len(line.read(23, 0.02)) >= 20


def test_unknown_names_are_refused_with_the_valid_ones() -> None:
    world = small_world()
    with pytest.raises(ConfigError, match="rigid, tendons"):
        world.open("nose")
    with pytest.raises(ConfigError, match="jaw_open"):
        world.remove_servo("jaw_opne")
    with pytest.raises(ConfigError, match="no servo board"):
        world.reset_board("rigid")
    with pytest.raises(ConfigError, match="hobby servo"):
        world.reboot_servo("cheek_left")
    with pytest.raises(InputError, match="unplug"):
        inject(world, {"fault": "unplugg", "bus": "rigid"})
    with pytest.raises(InputError, match="'bus'"):
        inject(world, {"fault": "unplug"})


def test_a_speed_that_no_servo_knows_is_refused() -> None:
    config = load_face("hybrid")
    rigid = config.buses["rigid"].model_copy(update={"baud": 500_000})
    odd = config.model_copy(update={"buses": {**config.buses, "rigid": rigid}})
    with pytest.raises(ConfigError, match="1000000"):
        SimWorld(odd, plant=FirstOrderPlant(config))


def test_a_pulled_cable_is_a_transport_error_until_it_is_back() -> None:
    world = small_world()
    line = world.open("rigid")
    client = Client(line)
    assert client.ask(1, 1) is not None
    world.unplug("rigid")
    for call in (lambda: line.write(request(1, 1)), lambda: line.read(1, 0.01), line.discard_input):
        with pytest.raises(TransportError, match="rigid"):
            call()
    world.plug("rigid")
    assert client.ask(1, 1) is not None


def test_a_removed_servo_is_deaf_and_comes_back_rebooted() -> None:
    world = small_world()
    client = Client(world.open("rigid"))
    client.write(3, 64, 1, 1)
    world.remove_servo("lid_upper_left")
    assert client.ask(3, 1) is None
    assert client.ask(4, 1) is not None
    world.restore_servo("lid_upper_left")
    assert client.read(3, 64, 1) == 0


def test_spoiled_bytes_are_noticed_on_both_sides() -> None:
    world = small_world()
    line = world.open("rigid")
    client = Client(line)
    world.corrupt("rigid", flipped=0.02, lost=0.01, doubled=0.01)
    good = 0
    for _ in range(100):
        line.write(request(1, 1))
        try:
            good += read_status(line) is not None
        except AssertionError:
            line.discard_input()
        world.clock.sleep_until_s(world.clock.now_s() + 0.06)
        line.discard_input()
    world.corrupt("rigid")
    assert 10 < good < 90
    assert client.ask(1, 1)[1] == 0


def test_a_dead_position_sensor_goes_on_telling_the_same() -> None:
    world = small_world()
    client = Client(world.open("rigid"))
    client.write(7, 64, 1, 1)
    world.freeze_sensor("brow_inner_left", True)
    client.write(7, 116, 4, 2200)
    world.clock.sleep_until_s(world.clock.now_s() + 0.5)
    assert client.read(7, 132, 4) == 2048
    assert world.plant.shaft("brow_inner_left").angle_rad > 0.2


def test_first_order_face_moves_its_landmarks() -> None:
    world = small_world()
    client = Client(world.open("rigid"))
    closed = lip_gap_m(world.plant.landmarks_m())
    client.write(21, 64, 1, 1)
    client.write(21, 116, 4, round(2048 + 30 * 4096 / 360))
    world.clock.sleep_until_s(1.0)
    assert lip_gap_m(world.plant.landmarks_m()) > closed + 0.005
    assert np.allclose(world.plant.head_rad(), 0.0, atol=1e-3)


def test_truth_log_holds_what_happened_at_its_rate(tmp_path: Path) -> None:
    path = tmp_path / "run" / "truth.bin"
    with TruthLog.create(path, load_face("hybrid"), 9, rate_hz=120) as log:
        world = small_world(seed=9, truth=log)
        client = Client(world.open("rigid"))
        client.write(21, 64, 1, 1)
        client.write(21, 116, 4, 2300)
        world.clock.sleep_until_s(3.0)
    truth = read_truth(path)
    n = len(truth.time_s)
    assert n == pytest.approx(360, abs=4)
    assert truth.landmarks_m.shape == (n, 478, 3)
    assert truth.landmarks_m.dtype == np.float32
    assert truth.shaft_rad.shape == (n, 29)
    assert truth.head_rad.shape == (n, 3)
    assert truth.snapshot.shape == (n, 29)
    assert truth.meta["names"] == list(load_face("hybrid").names)
    assert (truth.meta["seed"], truth.meta["face"]) == (9, "hybrid")
    assert np.all(np.diff(truth.time_s) > 0.003)
    jaw = truth.meta["names"].index("jaw_open")
    assert truth.shaft_rad[-1, jaw] == pytest.approx(252 * 2 * np.pi / 4096, abs=2e-3)
    assert np.abs(truth.landmarks_m[-1] - truth.landmarks_m[0]).max() > 0.01


def test_a_truth_log_cut_anywhere_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "truth.bin"
    with TruthLog.create(path, load_face("bench4"), 0) as log:
        world = small_world("bench4", truth=log)
        world.clock.sleep_until_s(0.1)
    raw = path.read_bytes()
    whole = read_truth(path)
    record = 2 * 8 + 478 * 3 * 4 + 3 * 8 + 4 * 8 + 4 * 8
    path.write_bytes(raw[: len(raw) - record - 7])
    cut = read_truth(path)
    assert len(cut.time_s) == len(whole.time_s) - 2
    assert np.array_equal(cut.landmarks_m, whole.landmarks_m[:-2])
    for damaged in (b"", raw[: len(MAGIC)], raw[: len(MAGIC) + 30], b"something else entirely"):
        path.write_bytes(damaged)
        with pytest.raises(InputError):
            read_truth(path)
    with pytest.raises(InputError, match="no such truth log"):
        read_truth(tmp_path / "none")


def test_wrong_model_sagging_supply_noise_and_a_slow_adapter() -> None:
    world = small_world()
    line = world.open("rigid")
    client = Client(line)
    inject(world, {"fault": "wrong_model", "name": "jaw_open", "model": "xl330-m288"})
    assert client.ask(21, 1) == (21, 0, struct.pack("<HB", 1200, 52))
    client.write(7, 64, 1, 1)
    inject(world, {"fault": "supply", "bus": "rigid", "volts": 3.0})
    world.clock.sleep_until_s(1.0)
    assert client.ask(7, 2, struct.pack("<HH", 144, 2))[1:] == (0x80, struct.pack("<H", 30))
    assert client.read(7, 64, 1) == 0
    inject(world, {"fault": "noise", "bus": "rigid", "size": 50})
    world.clock.sleep_until_s(world.clock.now_s() + 0.06)
    assert len(line.read(500, 0.01)) >= 50
    inject(world, {"fault": "usb_latency", "bus": "rigid", "seconds": 0.016})
    started = world.clock.now_s()
    line.write(request(1, 1))
    assert read_status(line, 0.05) is not None
    assert world.clock.now_s() - started == pytest.approx(0.016 + 24e-5 + 500e-6, abs=1e-6)


def test_the_mujoco_face_behind_the_devices_is_bit_identical_too() -> None:
    pytest.importorskip("mujoco")
    digests = []
    for _ in range(2):
        world = SimWorld(load_face("hybrid"), seed=2)
        heard = babble(world, 0.6)
        digests.append(hashlib.sha256(heard + world.plant.landmarks_m().tobytes()).hexdigest())
    assert digests[0] == digests[1]


def test_a_blocked_shaft_overloads_what_can_tell() -> None:
    world = small_world()
    client = Client(world.open("rigid"))
    client.write(7, 64, 1, 1)
    inject(world, {"fault": "block_servo", "name": "brow_inner_left"})
    client.write(7, 116, 4, 2300)
    world.clock.sleep_until_s(1.0)
    assert client.read(7, 126, 2, signed=True) == pytest.approx(1470, abs=5)
    assert client.read(7, 132, 4) == 2048
    world.clock.sleep_until_s(3.5)
    assert client.ask(7, 2, struct.pack("<HH", 70, 1))[1:] == (0x80, b"\x20")
    assert client.read(7, 64, 1) == 0
    inject(world, {"fault": "block_servo", "name": "brow_inner_left", "on": False})
    client.ask(7, 8)
    world.clock.sleep_until_s(4.0)
    client.write(7, 64, 1, 1)
    client.write(7, 116, 4, 2300)
    world.clock.sleep_until_s(4.5)
    assert client.read(7, 132, 4) == pytest.approx(2300, abs=1)


def test_a_line_in_memory_can_change_its_speed() -> None:
    world = small_world()
    line = world.open("rigid")
    line.baud = 57_600
    assert Client(line).ask(1, 1) is None
    line.baud = 1_000_000
    assert Client(line).ask(1, 1) is not None

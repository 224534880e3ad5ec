"""The servo board's core, compiled for the PC: frames, refusals, limits, ramps, time-to-live."""

import struct
from collections.abc import Iterator

import numpy as np
import pytest
from board_host import (
    ARM,
    CONFIG,
    DISARM,
    ENABLE,
    GET_CONFIG,
    HELLO,
    READ,
    RELEASE,
    SET,
    STATS,
    STOP,
    Host,
    config,
    decode,
    encode,
    targets,
)  # fmt: skip
from hypothesis import given, settings
from hypothesis import strategies as st

from animaface.sim.boardcore import BoardCore

DISARMED, ARMED, TRIPPED = range(3)


@pytest.fixture
def host() -> Iterator[Host]:
    with BoardCore(7, 12, boot_id=0xDEAD) as core:
        yield Host(core)


def test_commands_before_hello_are_refused(host: Host) -> None:
    for kind, payload in ((ARM, b"\0\0"), (SET, targets()), (READ, b"\0\1"), (CONFIG, config(0))):
        assert host.ask(kind, payload)[0] == 5  # NOT_GREETED
    assert host.hello()[0] == 0
    assert host.ask(READ, b"\0\1")[0] == 0


def test_a_stranger_is_refused_and_told_who_answers(host: Host) -> None:
    reply = host.ask(HELLO, b"AF\x02\x00")
    assert (reply[0], reply[1], reply[6], len(reply)) == (6, 1, 7, 17)  # WRONG_VERSION
    reply = host.ask(HELLO, b"AF\x01\x08")
    assert (reply[0], reply[6]) == (7, 7)  # WRONG_BOARD
    assert host.ask(HELLO, b"XX\x01\x00")[0] == 3
    assert host.ask(ARM, b"\0\0")[0] == 5
    reply = host.ask(HELLO, b"AF\x01\x07")
    assert (reply[0], struct.unpack_from("<I", reply, 8)[0], reply[7]) == (0, 0xDEAD, 12)


@pytest.mark.parametrize(
    "bad",
    [
        {"low": 2000, "high": 1000}, {"low": 399}, {"high": 2601}, {"neutral": 999}, {"safe": 2001},
        {"speed": 0}, {"park_speed": 0}, {"on_loss": 3}, {"frame_hz": 39}, {"frame_hz": 401},
        {"frame_hz": 400, "high": 2500},
    ],
)  # fmt: skip
def test_a_config_out_of_range_changes_nothing(host: Host, bad: dict[str, int]) -> None:
    host.hello()
    assert host.ask(CONFIG, config(0))[0] == 0
    assert host.ask(CONFIG, config(0, **bad))[0] == 3
    assert host.ask(GET_CONFIG, b"\0") == b"\0" + config(0)


def test_config_only_on_channels_that_exist_and_never_under_power(host: Host) -> None:
    host.hello()
    assert host.ask(CONFIG, config(12))[0] == 4
    assert host.ask(GET_CONFIG, b"\0")[0] == 9
    host.bring_up(2)
    assert host.ask(CONFIG, config(1))[0] == 10  # IS_ARMED
    host.ask(STOP)
    assert host.ask(CONFIG, config(1))[0] == 0  # the same again
    assert host.ask(CONFIG, config(1, high=1800))[0] == 11  # CHANNEL_ON: it still parks


def test_channels_come_on_one_at_a_time_at_the_remembered_pose(host: Host) -> None:
    host.hello()
    for i in range(3):
        host.ask(CONFIG, config(i))
    host.core.restore_pulse(1, 1234)
    host.core.restore_pulse(2, 2500)  # beyond the limits: the limit
    host.ask(ARM, struct.pack("<H", 1000))
    host.ask(ENABLE, struct.pack("<BH", 255, 50))
    seen = []
    for _ in range(16):
        host.wait(10)
        seen.append([p for _, p in host.read(3)[1]])
    on = np.count_nonzero(np.array(seen), axis=1)
    assert set(np.diff(on)) <= {0, 1}
    assert seen[2] == [1500, 0, 0]
    assert seen[-1] == [1500, 1234, 2000]


def test_targets_are_clamped_counted_and_approached_at_the_speed_limit(host: Host) -> None:
    host.bring_up(2, speed=1000)
    status, _, _, channel, count = host.ask(SET, targets(1000, c0=2600, c1=1600))
    assert (status, channel, count) == (0, 0, 1)
    host.wait(100)
    assert host.pulse(0) == pytest.approx(1600, abs=5)
    host.wait(700)
    flags, pulse = host.read()[1][0]
    assert pulse == 2000
    assert flags & 8
    assert not flags & 4


def test_set_is_all_or_nothing(host: Host) -> None:
    host.bring_up(2)
    assert host.ask(SET, targets(200, c0=1800, c5=1800))[0] == 9
    assert host.ask(SET, targets(200, c0=1800, c77=1800))[0] == 4
    assert host.ask(SET, targets(200, c0=1800)[:-1])[0] == 2
    assert host.ask(SET, targets(1001, c0=1800))[0] == 3
    host.wait(50)
    assert host.pulse(0) == 1500


@pytest.mark.parametrize(("on_loss", "after_300_ms", "at_last"), [(0, 1900, 1900), (1, 1600, 0), (2, 0, 0)])
def test_silence_for_200_ms_trips_and_each_channel_does_its_on_loss(
    host: Host, on_loss: int, after_300_ms: int, at_last: int
) -> None:
    host.bring_up(1, on_loss=on_loss, park_speed=3000, safe=1600, speed=20000)
    host.ask(SET, targets(0, c0=1900))
    host.wait(199)
    head, [(_, pulse)] = host.read(1)
    assert (head[1], head[2], pulse) == (ARMED, 0, 1900)
    host.wait(5)
    assert host.read()[0][1:3] == (TRIPPED, 1)
    host.wait(100)
    assert host.pulse(0) == after_300_ms
    host.wait(2000)
    assert host.pulse(0) == at_last


def test_a_trip_is_sticky_until_arm_and_then_ramps(host: Host) -> None:
    """Reading and greeting are no sign of a living control loop, so they keep nothing alive."""
    host.bring_up(1, on_loss=0, speed=1000)
    host.ask(SET, targets(0, c0=1900))
    for _ in range(5):
        host.wait(50)
        host.read()
        host.hello()
    ack = host.ask(SET, targets(0, c0=1000))
    assert (ack[0], ack[1], ack[2]) == (8, TRIPPED, 1)
    held = host.pulse(0)
    host.wait(500)
    assert host.pulse(0) == held
    assert host.ask(ARM, b"\0\0")[:3] == bytes([0, ARMED, 0])
    host.ask(SET, targets(0, c0=1000))
    host.wait(40)
    assert held - 41 <= host.pulse(0) < held


def test_stop_estop_disarm_release(host: Host) -> None:
    host.bring_up(3, on_loss=0)
    assert host.ask(STOP)[:3] == bytes([0, TRIPPED, 2])
    host.ask(ARM, b"\0\0")
    assert host.ask(RELEASE, b"\1")[0] == 0
    assert [p for _, p in host.read(3)[1]] == [1500, 0, 1500]
    host.core.set_estop(True)
    head, channels = host.read(3)
    assert (head[1], head[2], head[4] & 3) == (TRIPPED, 3, 1)
    assert [p for _, p in channels] == [0, 0, 0]
    assert host.ask(ARM, b"\0\0")[0] == 12
    host.core.set_estop(False)
    assert host.ask(ARM, b"\0\0")[0] == 0
    assert host.ask(DISARM)[:3] == bytes([0, DISARMED, 0])
    assert host.ask(RELEASE, b"\xff")[:2] == bytes([0, DISARMED])


def test_a_doubled_set_is_acknowledged_and_does_not_live_longer(host: Host) -> None:
    host.bring_up(1)
    frame = encode(SET, 99, targets(100, c0=1600))
    first = host.core.exchange(frame)
    host.wait(80)
    assert host.core.exchange(frame) == first
    host.wait(30)
    assert host.read()[0][1] == TRIPPED
    assert struct.unpack_from("<10I", host.ask(STATS), 1)[4] == 1


def test_bad_frames_are_counted_and_the_next_good_one_is_heard(host: Host) -> None:
    host.hello()
    good = encode(READ, 1, b"\0\1")
    flipped = bytes([good[0], good[1] ^ 1]) + good[2:]
    assert host.core.exchange(flipped) == b""
    assert host.core.exchange(b"\xff" * 700 + b"\0") == b""
    assert host.core.exchange(b"\x02\x01\0") == b""
    assert host.core.exchange(good[:4] + b"\0") == b""
    assert decode(host.core.exchange(b"\0\0" + good))[0] == READ | 0x80
    stats = struct.unpack_from("<10I", host.ask(STATS), 1)
    assert stats[1] >= 1
    assert stats[1] + stats[2] == 4


def test_duty_ceiling_takes_one_channel_and_leaves_the_rest(host: Host) -> None:
    host.bring_up(2, on_loss=2, speed=1000, duty=51)
    for k in range(200):
        host.ask(SET, targets(0, c0=1900 if k % 10 < 5 else 1100))
        host.wait(50)
    (f0, p0), (f1, p1) = host.read(2)[1]
    assert f0 & 0x40
    assert p0 == 0
    assert not f1 & 0x40
    assert p1 == 1500


@settings(max_examples=60, deadline=None)
@given(
    moves=st.lists(st.tuples(st.integers(0, 3000), st.integers(1, 120)), min_size=1, max_size=25),
    speed=st.integers(50, 9000),
    accel=st.integers(1, 3000),
)
def test_no_sequence_of_targets_breaks_limits_speed_or_acceleration(
    moves: list[tuple[int, int]], speed: int, accel: int
) -> None:
    with BoardCore(1, 1) as core:
        host = Host(core)
        host.bring_up(1, speed=speed, accel=accel, park_speed=speed, on_loss=1)
        path = []
        for target, wait_ms in moves:
            host.ask(SET, targets(1000, c0=target))
            for _ in range(wait_ms // 4 + 1):
                host.wait(4)
                path.append(host.pulse(0))
        position = np.array(path, float)
        assert position.min() >= 1000
        assert position.max() <= 2000
        velocity = np.diff(position) / 0.004
        # The pulse is read in whole microseconds.
        assert np.abs(velocity).max(initial=0) <= speed + 1.01 / 0.004
        # Over 10 steps, where rounding weighs less: it once stopped up to twice as hard after some sequences.
        v10 = (position[10:] - position[:-10]) / 0.04
        change = np.abs(v10[10:] - v10[:-10]).max(initial=0)
        assert change <= accel * 100 * 0.044 + 2 * 1.01 / 0.04


@pytest.mark.parametrize("accel", [1, 22, 400, 3000])
def test_a_motion_takes_no_longer_than_it_must_and_never_overshoots(host: Host, accel: int) -> None:
    """Time-optimal: 2 sqrt(way / a); 4 steps beside it for whole steps and rounding."""
    host.bring_up(1, speed=65535, accel=accel)
    best_ms = 2000 * (300 / (accel * 100)) ** 0.5
    path = []
    for _ in range(int(best_ms / 4) + 4):
        host.ask(SET, targets(1000, c0=1800))
        host.wait(4)
        path.append(host.pulse(0))
    assert max(path) == path[-1] == 1800
    assert path[int(best_ms / 8)] == pytest.approx(1650, abs=40)


def test_a_target_nearer_than_it_can_stop_is_run_over_and_come_back_to(host: Host) -> None:
    """Inside the limits: braking from 1,000 us/s at 10,000 us/s^2 takes 50 us."""
    host.bring_up(1, speed=1000, accel=100)
    host.ask(SET, targets(1000, c0=1900))
    host.wait(300)
    host.ask(SET, targets(1000, c0=(begin := host.pulse(0)) + 5))
    path = []
    for _ in range(100):
        host.wait(4)
        path.append(host.pulse(0))
    assert begin + 45 <= max(path) <= begin + 52
    assert path[-1] == begin + 5


@settings(max_examples=200, deadline=None)
@given(noise=st.lists(st.binary(max_size=300), max_size=8))
def test_noise_never_moves_a_pulse_out_of_its_limits_nor_sticks_the_parser(noise: list[bytes]) -> None:
    with BoardCore(1, 2) as core:
        host = Host(core)
        host.bring_up(2)
        for chunk in noise:
            core.exchange(chunk)
            host.wait(5)
            pulses = core.update_pulses()
            assert all(p == 0 or 1000 <= p <= 2000 for p in pulses)
        core.exchange(b"\0")
        assert host.hello()[0] == 0


def test_pwm_takes_a_new_width_over_at_the_start_of_a_frame(host: Host) -> None:
    host.bring_up(1, speed=60000)
    host.wait(20 - host.now_us / 1000 % 20 + 1)  # 1 ms into a frame of 50 Hz
    host.ask(SET, targets(0, c0=1800))
    host.wait(15)
    assert host.pulse(0) == 1800
    assert host.core.update_pulses()[0] == 1500
    host.wait(5)
    assert host.core.update_pulses()[0] == 1800

"""One suite that the core on the PC and the Mega's binary on simavr both pass: PROTOCOL.md, seen from outside.

Pulses are what the timers put out (PC: taken over at the frame's start) or what is measured at the emulated
pins. All in virtual time.
"""

import struct

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
    STOP,
    config,
    encode,
    targets,
)
from board_rig import (
    ARMED,
    CLAMPED,
    CONFIGURED,
    DISARMED,
    ESTOP,
    GET_SETUP,
    HOST_STOP,
    LIFE_EXPIRED,
    LOST,
    MOVING,
    N_CHANNELS,
    NO_REASON,
    ON,
    OVER_DUTY,
    PARKED,
    QUEUED,
    SETUP,
    SUPPLY,
    TRIPPED,
    Rig,
)  # fmt: skip

from animaface.sim.emulator import Emulator

EDGE_US = 0.5
"""An emulated edge falls between two instructions."""
TICK_US = 4.93
"""A PCA9685 at 50 Hz; the Mega's own outputs count .5 us and the PC 1 us."""


def test_hello_says_who_answers_and_refuses_strangers(rig: Rig) -> None:
    for version, board_id, status in ((2, 0, 6), (1, 9, 7), (1, 1, 0)):
        reply = rig.hello(board_id, version)
        assert (len(reply), reply[0], reply[1], reply[6], reply[7]) == (17, status, 1, 1, N_CHANNELS)
    assert tuple(reply[2:5]) == (0, 2, 0)
    assert reply[15:17] == bytes((DISARMED, NO_REASON))


def test_nothing_is_obeyed_before_hello(rig: Rig) -> None:
    for kind, payload in (
        (ARM, b"\0\0"),
        (SET, targets()),
        (READ, b"\0\1"),
        (CONFIG, config(0)),
        (SETUP, b"\0\1\0"),
    ):
        assert rig.ask(kind, payload)[0] == 5
    assert rig.hello()[0] == 0
    assert rig.ask(READ, b"\0\1")[0] == 0


def test_every_channel_reads_back_its_config(rig: Rig) -> None:
    rig.hello()
    wanted = {
        c: config(c, low=600 + c, high=2400 - c, speed=100 + c, on_loss=c % 3) for c in range(N_CHANNELS)
    }
    for payload in wanted.values():
        rig.do(CONFIG, payload)
    for channel, payload in wanted.items():
        assert rig.ask(GET_CONFIG, bytes((channel,))) == b"\0" + payload
    assert rig.ask(CONFIG, config(N_CHANNELS))[0] == 4
    assert all(flags == CONFIGURED and pulse == 0 for flags, pulse in rig.read().channels)


@pytest.mark.parametrize(
    "bad",
    [
        {"low": 2000, "high": 1000},
        {"low": 399},
        {"high": 2601},
        {"safe": 2001},
        {"speed": 0},
        {"frame_hz": 401},
    ],
)
def test_a_config_out_of_range_changes_nothing(rig: Rig, bad: dict[str, int]) -> None:
    rig.hello()
    rig.do(CONFIG, config(3))
    assert rig.ask(CONFIG, config(3, **bad))[0] == 3
    assert rig.ask(GET_CONFIG, b"\3") == b"\0" + config(3)


def test_setup_reads_back_and_refuses_nonsense(rig: Rig) -> None:
    rig.hello()
    assert struct.unpack("<BB9H", rig.ask(GET_SETUP)) == (0, 9, 1, 10000, 10000, 10000, 0, 0, 0, 0, 0)
    for key, value in ((0, 0), (0, 255), (1, 7999), (3, 12001), (9, 1)):
        assert rig.ask(SETUP, struct.pack("<BH", key, value))[0] == 3
    rig.do(SETUP, struct.pack("<BH", 2, 10333))
    rig.do(SETUP, struct.pack("<BH", 0, 42))
    assert struct.unpack("<BB9H", rig.ask(GET_SETUP))[2:6] == (42, 10000, 10333, 10000)
    assert rig.hello(board_id=42)[0] == 0
    rig.do(CONFIG, config(0))
    rig.arm()
    assert rig.ask(SETUP, struct.pack("<BH", 0, 1))[0] == 10  # armed


def test_arm_is_explicit(rig: Rig) -> None:
    rig.hello()
    assert rig.ask(ARM, b"\0\0")[0] == 9  # nothing configured
    rig.do(CONFIG, config(0))
    assert rig.ask(ENABLE, b"\0\0\0")[0] == 8
    assert rig.ask(SET, targets(c0=1500))[0] == 8
    assert rig.ask(ARM, struct.pack("<H", 1001))[0] == 3
    rig.arm()
    assert rig.ask(CONFIG, config(1))[0] == 10
    assert rig.read().state == ARMED
    assert not rig.board.widths().any()


def test_outputs_come_on_one_at_a_time_at_neutral(rig: Rig) -> None:
    rig.hello()
    channels = (0, 4, 8, 12, 30, 50)
    for k, channel in enumerate(channels):
        rig.do(CONFIG, config(channel, neutral=1300 + 50 * k))
    rig.arm()
    rig.do(ENABLE, struct.pack("<BH", 255, 40))
    seen: dict[int, float] = {}
    begin_us = rig.now_us
    while rig.now_us - begin_us < 400_000:
        rig.keep(4)
        for channel in np.flatnonzero(rig.board.widths()):
            seen.setdefault(int(channel), (rig.now_us - begin_us) / 1000)
    assert list(seen) == list(channels)  # in order
    gaps_ms = np.diff(list(seen.values()))
    assert gaps_ms.min() >= 40 - 24  # frames of 20 ms blur it
    assert 180 < seen[50] - seen[0] < 245
    for k, channel in enumerate(channels):
        assert rig.board.widths()[channel] == pytest.approx(1300 + 50 * k, abs=TICK_US)


def test_targets_beyond_the_limits_are_clamped_and_told(rig: Rig) -> None:
    rig.bring_up(0, 20, low=1200, high=1800, speed=20000)
    reply = rig.set(c0=5000, c20=100)
    assert reply[4] == 2
    rig.keep(150, c0=5000, c20=100)
    state = rig.read()
    assert state.channels[0] == (CONFIGURED | ON | CLAMPED, 1800)
    assert state.channels[20] == (CONFIGURED | ON | CLAMPED, 1200)
    widths = rig.board.widths()
    assert 1800 - TICK_US <= widths[0] <= 1800 + EDGE_US
    assert 1200 - EDGE_US <= widths[20] <= 1200 + TICK_US
    assert rig.stats()["clamped"] >= 2


@pytest.mark.parametrize("accel", [0, 100])
def test_ramps_keep_speed_and_acceleration(rig: Rig, accel: int) -> None:
    speed = 1000
    rig.bring_up(2, 17, speed=speed, accel=accel)
    begin_us = rig.now_us
    seen: list[tuple[float, float, float]] = []
    while rig.now_us - begin_us < 900_000:
        rig.keep(20, c2=1900, c17=1900)
        widths = rig.board.widths()
        seen.append(((rig.now_us - begin_us) * 1e-6, widths[2], widths[17]))
    path = np.array(seen)
    needed_s = 0.4 if accel == 0 else 0.4 + speed / (100.0 * accel)
    for column in (1, 2):
        assert np.all(np.diff(path[:, column]) >= -EDGE_US)
        # 20 ms apart, but a frame may fall in or out of the interval
        assert np.diff(path[:, column]).max() <= speed * 0.045 + TICK_US
        arrived_s = path[np.argmax(path[:, column] > 1900 - TICK_US), 0]
        assert needed_s - 0.05 < arrived_s < needed_s + 0.08
    assert path[-1, 1] == pytest.approx(1900, abs=1.0)


def test_without_a_command_for_200_ms_each_does_its_on_loss(rig: Rig) -> None:
    rig.hello()
    for channel, on_loss in ((0, 0), (1, 1), (2, 2), (12, 0), (13, 1), (14, 2)):
        rig.do(CONFIG, config(channel, on_loss=on_loss, safe=1400, speed=5000, park_speed=500))
    rig.arm()
    rig.do(ENABLE, struct.pack("<BH", 255, 4))
    rig.keep(300, c0=1600, c1=1600, c2=1600, c12=1600, c13=1600, c14=1600)
    assert rig.read().state == ARMED
    rig.set(c0=1600)
    silent_us = rig.now_us
    while rig.read(0, 1).state == ARMED:
        rig.wait(1)
    assert 199 <= (rig.now_us - silent_us) / 1000 <= 212
    rig.wait(40)
    widths = rig.board.widths()
    assert widths[[0, 12]] == pytest.approx(1600, abs=TICK_US)  # hold
    assert np.all((widths[[1, 13]] > 1560) & (widths[[1, 13]] < 1600 - 2))  # on the way, at 500 us/s
    rig.wait(40)
    assert not rig.board.widths()[[2, 14]].any()  # relax: the emulator waits 60 ms to call it low
    rig.wait(400)
    assert rig.board.widths()[[1, 13]] == pytest.approx(1400, abs=TICK_US)
    rig.wait(500)
    assert not rig.board.widths()[[1, 13]].any()  # parked, then a true low
    state = rig.read()
    assert (state.state, state.reason) == (TRIPPED, LIFE_EXPIRED)
    assert state.channels[0] == (CONFIGURED | ON | LOST, 1600)
    assert state.channels[1][0] & (PARKED | LOST | ON) == PARKED | LOST


def test_a_life_of_its_own_may_be_shorter_or_longer(rig: Rig) -> None:
    rig.bring_up(0)
    for life_ms in (50, 600):
        rig.arm()
        rig.set(life_ms, c0=1500)
        rig.wait(life_ms - 15)
        assert rig.read().state == ARMED
        rig.wait(25)
        assert rig.read().state == TRIPPED


def test_a_trip_is_sticky_and_arm_resumes_without_a_jump(rig: Rig) -> None:
    rig.bring_up(5, 25, on_loss=0, speed=500)
    rig.keep(200, c5=1900, c25=1900)
    rig.wait(260)
    stood = rig.read()
    assert (stood.state, stood.reason) == (TRIPPED, LIFE_EXPIRED)
    assert rig.ask(SET, targets(c5=1000))[0] == 8
    rig.wait(100)
    assert rig.read().channels[5] == stood.channels[5]
    rig.arm()
    rig.keep(20)
    state = rig.read()
    assert (state.state, state.reason) == (ARMED, NO_REASON)
    assert state.channels[5][1] == stood.channels[5][1]  # stands where it held
    before = rig.board.widths()[[5, 25]].copy()
    rig.keep(40, c5=1000, c25=1000)
    assert np.all(np.abs(rig.board.widths()[[5, 25]] - before) <= 500 * 0.065 + TICK_US)


def test_stop_disarm_release(rig: Rig) -> None:
    rig.bring_up(0, 1, 15)
    rig.do(STOP)
    state = rig.read()
    assert (state.state, state.reason) == (TRIPPED, HOST_STOP)
    rig.do(DISARM)
    assert rig.read().state == DISARMED
    rig.arm()
    rig.do(RELEASE, b"\1")
    rig.keep(100)
    widths = rig.board.widths()
    assert widths[1] == 0.0
    assert widths[0] > 0.0
    assert widths[15] > 0.0
    rig.do(RELEASE, b"\xff")
    rig.wait(100)
    assert not rig.board.widths().any()
    assert rig.read().state == DISARMED


def test_an_open_emergency_stop_takes_everything_low_and_refuses_arm(rig: Rig) -> None:
    rig.bring_up(0, 20, on_loss=0)
    rig.board.estop(True)
    rig.wait(5)
    state = rig.read()
    assert (state.state, state.reason, state.flags & 3) == (TRIPPED, ESTOP, 1)
    rig.wait(65)
    assert not rig.board.widths().any()
    assert rig.ask(ARM, b"\0\0")[0] == 12
    rig.board.estop(False)
    rig.wait(5)
    assert rig.read().state == TRIPPED  # sticky
    rig.arm()
    assert not rig.board.widths().any()  # and nothing comes on by itself
    rig.do(ENABLE, b"\xff\4\0")
    rig.keep(60)
    assert rig.board.widths()[[0, 20]] == pytest.approx(1500, abs=TICK_US)


def test_a_doubled_command_is_obeyed_once(rig: Rig) -> None:
    rig.bring_up(0)
    frame = encode(SET, 77, targets(100, c0=1600))
    first = rig.reply_to(frame)
    rig.wait(80)
    assert rig.reply_to(frame) == first
    rig.wait(40)
    assert rig.read().state == TRIPPED  # the double did not live longer
    assert rig.stats()["duplicates"] == 1


def test_noise_is_counted_and_never_in_the_way(rig: Rig) -> None:
    rig.hello()
    rng = np.random.default_rng(3)
    good = encode(HELLO, 9, b"AF\x01\x00")
    for size in (1, 5, 60, 253, 254, 255, 600):
        noise = rng.integers(0, 256, size, dtype=np.uint8).tobytes()
        rig.raw(noise, wait_ms=30)
        reply = rig.reply_to(b"\0" + good)
        assert reply.split(b"\0")[-2][1:2] == b"\x81"
    broken = bytearray(encode(READ, 1, b"\0\1"))
    broken[4] ^= 0x10
    assert rig.reply_to(bytes(broken), 10) == b""
    stats = rig.stats()
    assert stats["bad_crc"] + stats["bad_framing"] >= 5
    assert stats["tx_dropped"] == 0


def test_supply_is_measured_and_watched(rig: Rig) -> None:
    rig.hello()
    rig.sensors()
    rig.do(SETUP, struct.pack("<BH", 7, 4800))
    rig.do(SETUP, struct.pack("<BH", 8, 3000))
    rig.board.supply(6000, 100)
    rig.wait(100)
    rig.bring_up(0)
    for supply_mv, current_ma, reason in ((6000, 1200, 0), (4000, 1200, SUPPLY), (6000, 3500, SUPPLY)):
        rig.board.supply(6000, 100)
        rig.wait(100)
        rig.arm()
        rig.board.supply(6000, 100)
        begin_us = rig.now_us
        while rig.now_us - begin_us < 800_000 and (state := rig.read(0, 1)).state == ARMED:
            rig.board.supply(supply_mv, current_ma)
            rig.ask(SET, targets())
            rig.wait(4)
        assert state.reason == reason
        assert state.supply_mv == pytest.approx(supply_mv, abs=150)  # a running mean
        assert state.current_ma == pytest.approx(current_ma, abs=50)
        took_ms = (rig.now_us - begin_us) / 1000
        if reason:
            assert (took_ms < 200) if supply_mv < 4800 else (450 < took_ms < 700), took_ms


def test_a_channel_over_its_duty_ceiling_lets_go_alone(rig: Rig) -> None:
    rig.bring_up(0, 1, on_loss=2, duty=12, speed=600)
    for k in range(60):
        rig.keep(40, c0=1200 if k % 20 < 10 else 1800, c1=1500)
        if rig.read(0, 1).channels[0][0] & OVER_DUTY:
            break
    state = rig.read()
    assert state.channels[0][0] & (OVER_DUTY | LOST | ON) == OVER_DUTY | LOST
    assert state.channels[1][0] & (ON | OVER_DUTY) == ON
    assert state.state == ARMED


def test_flags_while_enabling_and_moving(rig: Rig) -> None:
    rig.hello()
    for channel in (0, 1):
        rig.do(CONFIG, config(channel, speed=200))
    rig.arm()
    rig.do(ENABLE, struct.pack("<BH", 255, 500))
    rig.keep(20)
    state = rig.read(0, 2)
    assert state.flags & 4
    assert [f for f, _ in state.channels] == [CONFIGURED | ON, CONFIGURED | QUEUED]
    rig.keep(20, c0=1600)
    assert rig.read(0, 1).channels[0][0] & MOVING


@pytest.mark.parametrize("error", [-0.06, 0.04])
def test_an_oscillator_that_is_off_is_corrected_by_the_setup(rig: Rig, error: float) -> None:
    rig.board.oscillator(1, 25e6 * (1 + error))
    rig.bring_up(30)
    wrong_us = rig.board.widths()[30]
    assert wrong_us == pytest.approx(1500 / (1 + error), abs=5)  # what nobody measured
    rig.do(DISARM)  # park, low
    rig.wait(1000)
    rig.do(SETUP, struct.pack("<BH", 2, round(10_000 * (1 + error))))
    rig.wait(200)
    rig.arm()
    rig.do(ENABLE, b"\xff\4\0")
    rig.keep(150)
    assert rig.board.widths()[30] == pytest.approx(1500, abs=2.6)


def test_both_tell_the_same_story() -> None:
    """A session in one script: every acknowledgement equal, every pulse within a tick and its ramp's way in 34 ms
    (a frame of 20 ms, the pulse, two steps, the way over I2C)."""
    from board_rig import MegaBoard, PcBoard

    stories = []
    for board in (PcBoard(), MegaBoard()):
        rig, story = Rig(board), []
        rig.bring_up(0, 3, 12, 40, speed=800, accel=50, on_loss=1, safe=1450)
        rng = np.random.default_rng(11)
        begin_us = rig.now_us
        for k in range(60):
            goals = {f"c{c}": int(rng.integers(800, 2200)) for c in (0, 3, 12, 40)}
            acks = rig.set(**goals)
            rig.keep(begin_us / 1000 + 60 * k + 50 - rig.now_us / 1000, **goals)
            story.append((acks, [f for f, _ in rig.read().channels][:41], board.widths()[[0, 3, 12, 40]]))
            rig.keep(begin_us / 1000 + 60 * (k + 1) - rig.now_us / 1000)
        rig.wait(1500)
        story.append((b"", [f for f, _ in rig.read().channels][:41], board.widths()[[0, 3, 12, 40]]))
        stories.append(story)
        assert isinstance(board.core, Emulator) or rig.stats()["late_ticks"] == 0
        board.core.close()
    for (a_ack, a_flags, a_width), (b_ack, b_flags, b_width) in zip(*stories, strict=True):
        assert a_ack == b_ack
        assert [f & ~MOVING for f in a_flags] == [f & ~MOVING for f in b_flags]
        assert a_width == pytest.approx(b_width, abs=800 * 0.034 + TICK_US)

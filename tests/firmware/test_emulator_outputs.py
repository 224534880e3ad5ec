"""The Mega's binary at its pins: widths, frames, PCA9685 as they are, in virtual time."""

import struct

import numpy as np
import pytest
from board_host import CONFIG, ENABLE, config
from board_rig import ARMED, CYCLES_PER_US, LOST, ON, MegaBoard, Rig

from animaface.sim.emulator import eeprom_image

PRESCALE, MODE1 = 0xFE, 0x00


def pulses_of(rig: Rig, channel: int) -> tuple[np.ndarray, np.ndarray]:
    """(rise us, width us) of every pulse of a channel since the last call, oldest first."""
    pulses = rig.board.core.take_pulses()  # type: ignore[attr-defined]
    mine = pulses[pulses["channel"] == channel]
    return mine["rise"] / CYCLES_PER_US, mine["width"] / CYCLES_PER_US


def test_own_outputs_are_exact_to_half_a_microsecond(mega: Rig) -> None:
    mega.bring_up(*range(12), neutral=1234, low=1000, high=2000)
    mega.board.core.take_pulses()
    mega.keep(500)
    pulses = mega.board.core.take_pulses()
    for channel in range(12):
        mine = pulses[pulses["channel"] == channel]
        widths, rises = mine["width"] / CYCLES_PER_US, mine["rise"] / CYCLES_PER_US
        assert 24 <= widths.size <= 26
        assert widths == pytest.approx(1234, abs=0.5)
        assert np.diff(rises) == pytest.approx(20_000, abs=1)  # 50 Hz


def test_frame_rates_by_group_follow_the_slowest_servo(mega: Rig) -> None:
    mega.hello()
    for channel, hz in ((0, 333), (1, 333), (3, 333), (4, 50), (12, 333), (28, 200), (29, 60)):
        mega.do(CONFIG, config(channel, frame_hz=hz))
    mega.arm()
    mega.do(ENABLE, struct.pack("<BH", 255, 4))
    mega.keep(200)
    mega.board.core.take_pulses()
    mega.keep(300)
    pulses = mega.board.core.take_pulses()
    for channel, hz in ((0, 333), (1, 333), (3, 50), (4, 50), (12, 333), (28, 60), (29, 60)):
        rises = pulses["rise"][pulses["channel"] == channel] / CYCLES_PER_US
        measured = 1e6 / np.diff(rises).mean()
        slack = 0.001 if channel < 12 else 0.06  # a chip's prescaler is a small whole number
        assert hz * (1 - slack) <= measured <= hz * 1.001, (channel, measured)
    assert mega.read().channels[0] == (ON | 1, 1500)


def test_a_chip_quantises_and_takes_over_at_frame_boundaries(mega: Rig) -> None:
    mega.bring_up(12, 20, speed=60000)
    tick_us = 1e6 * (mega.board.core.chip_register(0, PRESCALE) + 1) / 25e6
    assert tick_us == pytest.approx(4.9, abs=0.05)
    mega.board.core.take_pulses()
    rng = np.random.default_rng(1)
    for target in rng.integers(1000, 2000, 12):
        mega.keep(60, c12=int(target))
        rises, widths = pulses_of(mega, 12)
        assert widths[-1] == pytest.approx(target, abs=0.5 * tick_us + 0.1)
        assert widths / tick_us == pytest.approx(np.rint(widths / tick_us), abs=0.02)  # whole ticks
        assert np.diff(rises) == pytest.approx(4096 * tick_us, abs=1)  # no frame is cut by a write


def test_no_pulse_is_ever_cut_or_stretched_on_and_off(mega: Rig) -> None:
    """A true low in the middle of a pulse would send a servo towards its stop for a frame."""
    mega.bring_up(0, 4, 8, 13, low=1400, high=1600, on_loss=2)
    rng = np.random.default_rng(5)
    for _ in range(25):
        mega.do(ENABLE, b"\xff\4\0")
        mega.keep(50 + float(rng.random()) * 20, c0=1400, c4=1600, c8=1500, c13=1600)
        mega.do(10, bytes((int(rng.choice([0, 4, 8, 13])),)))  # RELEASE one
        if rng.random() < 0.3:
            mega.wait(230)  # relax, all
            mega.arm()
    pulses = mega.board.core.take_pulses()
    widths = pulses["width"] / CYCLES_PER_US
    assert pulses.size > 100
    assert widths.min() >= 1400 - 0.4
    assert widths.max() <= 1600 + 0.4


def test_a_chip_that_vanishes_takes_only_its_channels(mega: Rig) -> None:
    mega.bring_up(0, 12, 30, on_loss=0)
    mega.board.core.set_chip(1, present=False)
    mega.keep(300, c0=1600, c12=1600, c30=1600)
    state = mega.read()
    assert state.state == ARMED
    assert state.channels[30][0] & (ON | LOST) == LOST
    assert state.channels[30][1] == 0
    assert state.channels[0] == (ON | 1, 1600)
    assert mega.board.widths()[[0, 12]] == pytest.approx(1600, abs=5)
    mega.do(ENABLE, b"\x1e\4\0")  # its servo stays off as long as the chip is away
    mega.keep(100)
    assert mega.read().channels[30][0] & ON == 0
    mega.board.core.set_chip(1, present=True)
    mega.keep(400)
    assert mega.board.widths()[30] == 0.0  # back, but nobody asked for it
    mega.do(ENABLE, b"\x1e\4\0")
    mega.keep(100)
    assert mega.board.widths()[30] == pytest.approx(1500, abs=120)


def test_a_chip_whose_supply_sagged_is_noticed(mega: Rig) -> None:
    mega.bring_up(0, 12, on_loss=0)
    mega.board.core.sag_chip(0)
    mega.keep(250)
    state = mega.read()
    assert state.channels[12][0] & (ON | LOST) == LOST
    assert state.channels[0][0] & ON
    mega.keep(300)
    assert mega.board.core.chip_register(0, MODE1) == 0x20  # set up again
    mega.do(ENABLE, b"\x0c\4\0")
    mega.keep(120)
    assert mega.board.widths()[12] > 0


@pytest.mark.parametrize(("chips", "channels"), [(0, 12), (1, 28), (3, 60)])
def test_channels_are_what_is_plugged_in(chips: int, channels: int, shim: None) -> None:
    rig = Rig(MegaBoard(chips=chips))
    assert rig.hello()[7] == channels
    rig.board.core.close()


def test_two_runs_give_the_same_log(shim: None) -> None:
    """Bytes with their times, pulses with their cycles, everything."""

    def log() -> tuple[list[tuple[float, bytes]], bytes, bytes]:
        board = MegaBoard(eeprom=eeprom_image({"board_id": 3}))
        rig = Rig(board)
        rig.bring_up(0, 7, 12, 40, accel=80)
        rng = np.random.default_rng(2)
        said = []
        for k in range(60):
            rig.keep(25, c0=int(rng.integers(900, 2100)), c40=int(rng.integers(900, 2100)))
            said.append(
                (board.core.now_us, rig.raw(rng.integers(0, 256, 30, dtype=np.uint8).tobytes() + b"\0", 5))
            )
            if k == 30:
                board.estop(True)
                rig.wait(40)
                board.estop(False)
                rig.wait(10)
                rig.arm()
                rig.do(ENABLE, b"\xff\4\0")
        out = (said, board.core.take_pulses().tobytes(), board.core.eeprom())
        board.core.close()
        return out

    assert log() == log()

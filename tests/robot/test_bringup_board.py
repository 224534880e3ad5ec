"""What belongs to a board, against the firmware's core: read, written, read back."""

import pytest

from animaface.robot.bringup.board_setup import (
    BoardAtHand,
    oscillator_from_hz,
    oscillator_from_pulse,
)
from animaface.robot.bringup.one_servo import open_one
from animaface.robot.config import load_face
from animaface.robot.face.errors import DeviceError, InputError
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.world import SimWorld


def bench() -> SimWorld:
    config = load_face("bench4")
    return SimWorld(config, plant=FirstOrderPlant(config))


def test_setup_is_read_changed_and_read_back() -> None:
    world = bench()
    board = BoardAtHand(world.open("board"), world.clock)
    assert board.setup()["board_id"] == 1
    assert board.setup()["oscillator_0x41"] == 10_000
    board.change("oscillator_0x41", 10_333)
    board.change("least_supply_mv", 4_800)
    board.change("board_id", 7)
    assert board.setup()["oscillator_0x41"] == 10_333
    assert BoardAtHand(world.open("board"), world.clock).hello.board_id == 7
    with pytest.raises(DeviceError, match="out of its range"):
        board.change("oscillator_0x40", 15_000)
    with pytest.raises(InputError, match="Did you mean 'least_supply_mv'"):
        board.change("least_suply_mv", 1)


def test_a_channel_pulses_while_it_is_measured_and_goes_low_after() -> None:
    world = bench()
    board = BoardAtHand(world.open("board"), world.clock)
    channel = board.first_channel("0x41")
    assert channel == 28
    core = world.device("board").core
    with board.pulsing(channel):
        for _ in range(20):
            world.clock.sleep_until_s(world.clock.now_s() + 0.1)
            board.keep()
            assert abs(int(core.update_pulses()[channel]) - 1500) <= 1
            assert int((core.update_pulses() > 0).sum()) == 1
    world.clock.sleep_until_s(world.clock.now_s() + 0.03)
    assert not core.update_pulses().any()


def test_a_board_that_moves_a_face_is_left_alone() -> None:
    world = bench()
    servo = open_one(world.config, "jaw_open", world.open("board"), world.clock)
    servo.prepare((1455, 1940))
    servo.start()
    with pytest.raises(DeviceError, match="armed"):
        BoardAtHand(world.open("board"), world.clock)


@pytest.mark.parametrize("true", [9_500, 10_000, 10_333, 11_000])
@pytest.mark.parametrize("set_now", [10_000, 10_250])
def test_what_is_measured_gives_the_oscillator(true: int, set_now: int) -> None:
    """The chip's own arithmetic, backwards: whole prescaler, 4096 steps a frame."""
    divide = -(-set_now * 2_500 // (4096 * 50))
    assert oscillator_from_hz(true * 2_500 / 4096 / divide, set_now) == true
    assert oscillator_from_pulse(1500 * set_now / true, set_now) == pytest.approx(true, abs=1)


@pytest.mark.parametrize("hz", [0.0, 30.0, 100.0, float("nan")])
def test_what_no_chip_can_do_is_a_wrong_measurement(hz: float) -> None:
    with pytest.raises(InputError, match="measure again"):
        oscillator_from_hz(hz, 10_000)

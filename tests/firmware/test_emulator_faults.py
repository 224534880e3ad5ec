"""The Mega's binary when things go wrong: stop, watchdog, resets, memory, a line full of noise."""

import struct

import numpy as np
import pytest
from board_host import CONFIG, ENABLE, HELLO, STATS, config, decode, encode
from board_rig import ARMED, CYCLES_PER_US, ESTOP, ON, SETUP, TRIPPED, MegaBoard, Rig

from animaface.sim.emulator import eeprom_image, image_path, read_hex

RESET_POWER, RESET_PIN, RESET_WATCHDOG = 1, 2, 4


def last_pulse_end_us(rig: Rig) -> float:
    pulses = rig.board.core.take_pulses()  # type: ignore[attr-defined]
    return float((pulses["rise"] + pulses["width"]).max()) / CYCLES_PER_US


def test_emergency_stop_cuts_supply_and_pulses_within_5_ms(mega: Rig) -> None:
    mega.bring_up(0, 5, 12, 44, on_loss=0)
    assert mega.board.core.supply[0]
    mega.keep(100)
    at_us = mega.board.core.now_us
    mega.board.estop(True)
    mega.wait(200)
    on, changed_us = mega.board.core.supply
    assert not on
    assert 0 < changed_us - at_us < 5_000
    assert last_pulse_end_us(mega) - at_us < 25_000  # a pulse under way is not cut short, no frame follows
    state = mega.read(0, 1)
    assert (state.state, state.reason, state.flags & 3) == (TRIPPED, ESTOP, 1)


def test_a_spike_on_the_stop_line_is_no_stop(mega: Rig) -> None:
    mega.bring_up(0)
    for k in range(20):
        mega.board.estop(True)
        mega.board.core.advance(mega.board.core.now_us + 300)
        mega.board.estop(False)
        mega.now_us += 300
        mega.keep(10 + 0.37 * k)
    assert mega.read(0, 1).state == ARMED


def test_supply_is_on_only_while_something_may_move(mega: Rig) -> None:
    assert not mega.board.core.supply[0]
    mega.hello()
    mega.do(CONFIG, config(0, on_loss=1))
    mega.wait(20)
    assert not mega.board.core.supply[0]
    mega.arm()
    mega.do(ENABLE, b"\xff\4\0")
    mega.keep(100)
    assert mega.board.core.supply[0]
    mega.wait(1200)  # expired, parked, low
    assert not mega.board.core.supply[0]


def test_a_hung_main_loop_ends_in_a_watchdog_reset_and_low_outputs(mega: Rig) -> None:
    mega.bring_up(0, 20, neutral=1700)
    boot = struct.unpack_from("<I", mega.hello(), 8)[0]
    mega.keep(100)
    mega.board.core.take_pulses()
    at_us = mega.board.core.now_us
    mega.board.core.hang()
    mega.wait(400)
    assert mega.board.core.resets == 1
    assert not mega.board.core.supply[0]
    assert 200_000 < last_pulse_end_us(mega) - at_us < 300_000
    mega.wait(100)
    reply = mega.hello()
    assert reply[12] == RESET_WATCHDOG
    assert struct.unpack_from("<I", reply, 8)[0] == boot + 1
    state = mega.read(0, 1)
    assert state.state == 0
    assert state.channels[0] == (0, 0)  # configuration is gone: the host sees another boot id


def test_reset_causes(mega: Rig) -> None:
    assert mega.hello()[12] == RESET_POWER
    mega.board.core.reset()
    mega.wait(150)
    assert mega.hello()[12] == RESET_PIN


def test_the_last_pose_survives_a_loss_of_power(mega: Rig) -> None:
    mega.bring_up(0, 3, 14, 59, speed=20000, on_loss=2, low=600, high=2400)
    mega.keep(300, c0=1111, c3=1888, c14=2010, c59=777)
    mega.do(10, b"\xff")  # RELEASE: written within 1 s + .5 s
    mega.wait(2500)
    board = MegaBoard(eeprom=mega.board.core.eeprom())
    again = Rig(board)
    again.bring_up(0, 3, 14, 59, low=600, high=2400)
    assert [again.read().channels[c][1] for c in (0, 3, 14, 59)] == [1111, 1888, 2010, 777]
    board.core.close()


def test_a_pose_held_still_is_written_too_and_moving_ones_rarely(mega: Rig) -> None:
    """Power fails without a RELEASE; and the memory must outlive years of babbling."""
    mega.bring_up(0, speed=20000)
    mega.keep(500, every_ms=50, c0=1700)
    mega.keep(22_000, every_ms=800, life_ms=1000)
    assert b"\xa4\x06" in mega.board.core.eeprom()  # 1700
    before = mega.board.core.eeprom()
    for k in range(20):
        mega.keep(500, every_ms=500, life_ms=1000, c0=1300 + 400 * (k % 2))
    changed = sum(a != b for a, b in zip(before, mega.board.core.eeprom(), strict=True))
    assert changed <= 144  # at most one record in 20 s of motion


def test_a_record_cut_short_by_a_power_failure_does_not_count(mega: Rig) -> None:
    memory = bytearray(eeprom_image({"board_id": 9}, {0: 1250}, count=7))
    second = bytearray(eeprom_image({"board_id": 9}, {0: 1990}, count=8))[16 : 16 + 144]
    memory[16 + 144 : 16 + 288] = second
    board = MegaBoard(eeprom=bytes(memory))
    rig = Rig(board)
    rig.bring_up(0)
    assert rig.read().channels[0][1] == 1990
    board.core.close()
    memory[16 + 144 + 40] ^= 0xFF
    board = MegaBoard(eeprom=bytes(memory))
    rig = Rig(board)
    rig.bring_up(0)
    assert rig.read().channels[0][1] == 1250
    assert rig.hello()[6] == 9
    board.core.close()


def test_setup_is_kept_over_a_loss_of_power(mega: Rig) -> None:
    mega.hello()
    mega.do(SETUP, struct.pack("<BH", 0, 77))
    mega.do(SETUP, struct.pack("<BH", 3, 9500))
    mega.wait(2500)
    board = MegaBoard(eeprom=mega.board.core.eeprom())
    rig = Rig(board)
    assert rig.hello(board_id=77)[0] == 0
    assert struct.unpack("<9H", rig.ask(13)[2:])[:4] == (77, 10000, 10000, 9500)
    board.core.close()


def test_a_line_full_of_noise_stops_nothing(mega: Rig) -> None:
    """A megabaud of random bytes for a second: on_loss in time, no reset, HELLO answered at once afterwards."""
    mega.bring_up(0, 12, on_loss=0)
    mega.keep(50)
    rng = np.random.default_rng(8)
    for _ in range(100):
        mega.raw(rng.integers(0, 256, 1000, dtype=np.uint8).tobytes(), wait_ms=10)
    mega.wait(30)
    assert mega.board.core.resets == 0
    assert mega.board.core.late_reads == 0
    reply = mega.reply_to(b"\0" + encode(HELLO, 5, b"AF\x01\x00"))
    assert decode(reply.split(b"\0")[-2] + b"\0")[:2] == (0x81, 5)
    state = mega.read(0, 13)
    assert (state.state, state.reason) == (TRIPPED, 1)
    assert state.channels[0][0] & ON  # holds
    stats = mega.stats()
    assert stats["bad_crc"] + stats["bad_framing"] > 100
    assert stats["max_tick_gap_us"] < 20_000


def test_33_servos_on_the_move_at_100_hz(mega: Rig) -> None:
    """Morpheus' whole face: every SET answered within its 10 ms, no late tick."""
    channels = range(33)
    mega.bring_up(*channels, accel=400, speed=1500)
    before = mega.stats()
    rng = np.random.default_rng(4)
    for k in range(150):
        begin_us = mega.now_us
        if k % 15 == 0:
            goals = {f"c{c}": int(g) for c, g in zip(channels, rng.integers(1050, 1950, 33), strict=True)}
        mega.set(**goals)
        took_ms = (mega.now_us - begin_us) / 1000
        assert took_ms < 9.0
        mega.wait(10 - took_ms)
    after = mega.stats()
    assert after["late_ticks"] == before["late_ticks"]
    assert after["tx_dropped"] == 0
    assert after["max_tick_gap_us"] < 16_000
    assert after["bad_framing"] == after["bad_crc"] == 0
    assert mega.board.core.late_reads == 0


def test_the_image_is_the_one_that_travels_in_the_package() -> None:
    flash = read_hex(image_path())
    assert 10_000 < len(flash) < 60_000
    assert len(flash) < 262_144 - 8192  # leaves the boot loader alone


@pytest.mark.parametrize("text", ["", ":00000001FE", "hello", ":0100000001FD"])
def test_a_broken_hex_file_is_refused(tmp_path, text: str) -> None:  # type: ignore[no-untyped-def]
    from animaface.robot.face.errors import InputError

    path = tmp_path / "x.hex"
    path.write_text(text)
    with pytest.raises(InputError, match="Intel HEX"):
        read_hex(path)


__all__ = ["STATS"]

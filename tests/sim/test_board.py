"""The virtual servo board on its line: the firmware's core behind a byte line, pulses to shafts."""

import math
import struct

import pytest
from board_host import ARM, CONFIG, ENABLE, HELLO, READ, RELEASE, SET, config, decode, encode, targets

from animaface.robot.config import FaceConfig, load_face
from animaface.robot.transport import Transport
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.shafts import u_to_shaft_rad
from animaface.sim.world import SimWorld


class LineHost:
    """Frames over a Transport."""

    def __init__(self, line: Transport) -> None:
        self.line = line
        self.sequence = 0

    def ask(self, kind: int, payload: bytes = b"", timeout_s: float = 0.02) -> bytes | None:
        self.sequence = (self.sequence + 1) % 256
        self.line.write(encode(kind, self.sequence, payload))
        frame = b""
        while not frame.endswith(b"\0"):
            byte = self.line.read(1, timeout_s)
            if not byte:
                return None
            frame += byte
        got, sequence, reply = decode(frame)
        assert (got, sequence) == (kind | 0x80, self.sequence)
        return reply


class Bench:
    def __init__(self) -> None:
        self.config: FaceConfig = load_face("bench4")
        self.world = SimWorld(self.config, plant=FirstOrderPlant(self.config))
        self.host = LineHost(self.world.open("board"))
        self.clock = self.world.clock

    def wait(self, s: float) -> None:
        self.clock.sleep_until_s(self.clock.now_s() + s)

    def bring_up(self, on_loss: int = 1) -> None:
        assert self.host.ask(HELLO, b"AF\x01\x01")[0] == 0
        for a in self.config.actuators.values():
            low, high = (int(x) for x in a.limits)
            body = config(
                a.channel,
                on_loss=on_loss,
                low=low,
                high=high,
                neutral=1500,
                safe=1500,
                speed=6000,
                park_speed=6000,
            )
            assert self.host.ask(CONFIG, body)[0] == 0
        assert self.host.ask(ARM, struct.pack("<H", 0))[0] == 0
        assert self.host.ask(ENABLE, struct.pack("<BH", 255, 4))[0] == 0
        for _ in range(5):
            self.wait(0.02)
            assert self.host.ask(SET, targets())[0] == 0

    def hold(self, seconds: float, **by_channel: int) -> None:
        for _ in range(round(seconds / 0.05)):
            assert self.host.ask(SET, targets(0, **by_channel))[0] == 0
            self.wait(0.05)

    def jaw_rad(self) -> float:
        return self.world.plant.shaft("jaw_open").angle_rad


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_pulses_move_the_shafts_they_are_wired_to(bench: Bench) -> None:
    bench.bring_up()
    bench.hold(0.5, c0=1940, c3=1110)
    jaw, brow = bench.config.actuators["jaw_open"], bench.config.actuators["brow_inner_left"]
    assert bench.jaw_rad() == pytest.approx(u_to_shaft_rad(jaw, 1.0), abs=1e-3)
    assert bench.world.plant.shaft("brow_inner_left").angle_rad == pytest.approx(
        u_to_shaft_rad(brow, 0.0), abs=1e-3
    )
    assert u_to_shaft_rad(jaw, 1.0) == pytest.approx(math.radians(440 * 180 / 2000))


def test_released_shafts_are_free(bench: Bench) -> None:
    bench.bring_up()
    bench.hold(0.3, c0=1700)
    assert bench.host.ask(RELEASE, b"\xff")[0] == 0
    was = bench.jaw_rad()
    bench.wait(0.5)
    assert bench.jaw_rad() == pytest.approx(was, abs=2e-3)


def test_cable_out_parks_by_itself_and_arm_brings_it_back(bench: Bench) -> None:
    bench.bring_up()
    bench.hold(0.5, c0=1940)
    bench.world.unplug("board")
    bench.wait(0.14)  # the last SET is 50 ms old
    assert bench.jaw_rad() == pytest.approx(math.radians(440 * 180 / 2000), abs=1e-2)
    bench.wait(0.30)
    assert bench.jaw_rad() == pytest.approx(0.0, abs=1e-2)
    bench.world.plug("board")
    reply = bench.host.ask(READ, b"\0\1")
    assert reply[1:3] == b"\x02\x01"  # tripped, life expired
    assert bench.host.ask(SET, targets(0, c0=1940))[0] == 8
    assert bench.host.ask(ARM, b"\0\0")[0] == 0
    assert bench.host.ask(ENABLE, struct.pack("<BH", 255, 4))[0] == 0
    bench.hold(0.5, c0=1940)
    assert bench.jaw_rad() == pytest.approx(math.radians(440 * 180 / 2000), abs=1e-2)


def test_set_round_trip_takes_the_bytes_and_the_boards_time(bench: Bench) -> None:
    bench.bring_up()
    bench.wait(0.05)
    started = bench.clock.now_s()
    frame = encode(SET, 9, targets(0, c0=1500, c1=1500, c2=1500, c3=1500))
    bench.host.line.write(frame)
    reply = bench.host.line.read(11, 0.02)
    assert len(reply) == 11
    assert bench.clock.now_s() - started == pytest.approx((len(frame) + 11) * 1e-5 + 0.0003, abs=1e-9)


def test_a_reset_board_has_another_boot_id_and_forgets_its_greeting(bench: Bench) -> None:
    bench.bring_up()
    bench.hold(0.3, c0=1800)
    boot = struct.unpack_from("<I", bench.host.ask(HELLO, b"AF\x01\x00"), 8)[0]
    bench.world.reset_board("board")
    assert bench.host.ask(READ, b"\0\1")[0] == 5
    hello = bench.host.ask(HELLO, b"AF\x01\x00")
    assert struct.unpack_from("<I", hello, 8)[0] != boot
    assert hello[12] == 4
    bench.bring_up()
    pulse = struct.unpack_from("<H", bench.host.ask(READ, b"\0\1"), 18)[0]
    assert pulse == 1800  # remembered as in EEPROM


def test_a_hung_board_is_reset_by_its_watchdog(bench: Bench) -> None:
    bench.bring_up()
    bench.hold(0.3, c0=1800)
    bench.world.hang_board("board")
    assert bench.host.ask(READ, b"\0\1") is None
    bench.wait(0.26)
    assert bench.host.ask(READ, b"\0\1")[0] == 5


def test_a_pulled_servo_plug_leaves_the_rest(bench: Bench) -> None:
    bench.bring_up()
    bench.world.remove_servo("jaw_open")
    bench.hold(0.4, c0=1940, c3=1940)
    assert bench.jaw_rad() == pytest.approx(0.0, abs=1e-3)
    assert bench.world.plant.shaft("brow_inner_left").angle_rad > 0.5
    bench.world.restore_servo("jaw_open")
    bench.hold(0.4, c0=1940, c3=1940)
    assert bench.jaw_rad() == pytest.approx(math.radians(440 * 180 / 2000), abs=1e-2)


def test_a_blocked_hobby_servo_stands_and_nobody_knows(bench: Bench) -> None:
    bench.bring_up()
    bench.world.block_servo("jaw_open", True)
    bench.hold(0.4, c0=1940)
    assert bench.jaw_rad() == pytest.approx(0.0, abs=1e-3)
    assert struct.unpack_from("<H", bench.host.ask(READ, b"\0\1"), 18)[0] == 1940
    bench.world.block_servo("jaw_open", False)
    bench.hold(0.4, c0=1940)
    assert bench.jaw_rad() == pytest.approx(math.radians(440 * 180 / 2000), abs=1e-2)

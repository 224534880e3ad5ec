"""The virtual Dynamixel bus in lock-step: what each instruction and item does, and when answers come."""

import math
import struct

import pytest
from dxl_client import Client, read_status, request
from hypothesis import given, settings
from hypothesis import strategies as st

from animaface.robot.config import FaceConfig, parse_face
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.world import SimWorld

ACCESS, RANGE, LENGTH, LIMIT, FAIL = 7, 4, 5, 6, 1
XL, XM = 1, 2


def two_servos(baud: int = 1_000_000) -> FaceConfig:
    return parse_face(
        f"""
id: two
buses: {{line: {{kind: dynamixel, port: x, baud: {baud}}}}}
actuators:
  brow: {{part: brow_inner_left, bus: line, id: 1, model: xl330-m288, limits_deg: [90, 270]}}
  jaw: {{part: jaw_open, bus: line, id: 2, model: xm430-w350, limits_deg: [90, 270]}}
""",
        source="test",
    )


class Bench:
    def __init__(self, baud: int = 1_000_000) -> None:
        self.world = SimWorld(two_servos(baud), plant=FirstOrderPlant(two_servos(baud)))
        self.line = self.world.open("line")
        self.client = Client(self.line)
        self.clock = self.world.clock

    def wait(self, s: float) -> None:
        self.clock.sleep_until_s(self.clock.now_s() + s)

    def enable(self, device: int = XL) -> None:
        assert self.client.write(device, 64, 1, 1) == 0


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_ping_tells_model_and_firmware(bench: Bench) -> None:
    assert bench.client.ask(XL, 1) == (1, 0, struct.pack("<HB", 1200, 52))
    assert bench.client.ask(XM, 1) == (2, 0, struct.pack("<HB", 1020, 48))
    assert bench.client.ask(9, 1) is None


def test_broadcast_ping_is_answered_by_all_in_order(bench: Bench) -> None:
    bench.line.write(request(0xFE, 1))
    assert [read_status(bench.line)[0] for _ in range(2)] == [1, 2]
    assert read_status(bench.line) is None


def test_factory_values_of_both_models(bench: Bench) -> None:
    c = bench.client
    for address, size, xl, xm in (
        (0, 2, 1200, 1020), (7, 1, 1, 2), (8, 1, 3, 3), (9, 1, 250, 250), (11, 1, 3, 3), (31, 1, 70, 80),
        (32, 2, 70, 160), (36, 2, 885, 885), (38, 2, 1750, 1193), (48, 4, 4095, 4095), (63, 1, 53, 52),
        (64, 1, 0, 0), (68, 1, 2, 2), (84, 2, 400, 800), (116, 4, 2048, 2048), (132, 4, 2048, 2048),
        (144, 2, 50, 120), (146, 1, 28, 28),
    ):  # fmt: skip
        assert (c.read(XL, address, size), c.read(XM, address, size)) == (xl, xm), address


@pytest.mark.parametrize(
    ("address", "size", "value", "error"),
    [
        (0, 2, 5, ACCESS), (132, 4, 0, ACCESS), (66, 1, 1, ACCESS), (500, 1, 1, ACCESS),
        (9, 1, 255, RANGE), (64, 1, 2, RANGE), (84, 2, 16384, RANGE), (112, 4, 32768, RANGE),
        (116, 2, 2048, LENGTH), (118, 2, 0, LENGTH), (38, 2, 1751, RANGE), (102, 2, 1751, RANGE),
        (9, 1, 0, 0), (84, 2, 800, 0), (112, 4, 100, 0), (116, 4, 4095, 0),
    ],
)  # fmt: skip
def test_errors_of_writing(bench: Bench, address: int, size: int, value: int, error: int) -> None:
    before = bench.client.ask(XL, 2, struct.pack("<HH", address, size))
    assert bench.client.write(XL, address, size, value) == error
    after = bench.client.ask(XL, 2, struct.pack("<HH", address, size))
    if error:
        assert after == before
    else:
        assert int.from_bytes(after[2], "little") == value


def test_limits_bind_goals(bench: Bench) -> None:
    c = bench.client
    assert c.write(XL, 48, 4, 3000) == 0
    assert c.write(XL, 52, 4, 1000) == 0
    assert c.write(XL, 116, 4, 3001) == LIMIT
    assert c.write(XL, 116, 4, 999) == LIMIT
    assert c.write(XL, 116, 4, 3000) == 0
    assert c.write(XL, 38, 2, 500) == 0
    assert c.write(XL, 102, 2, -501) == LIMIT
    assert c.write(XL, 44, 4, 100) == 0
    assert c.write(XL, 104, 4, 101) == LIMIT


def test_eeprom_is_locked_under_torque(bench: Bench) -> None:
    bench.enable()
    for address, size, value in ((7, 1, 5), (9, 1, 0), (10, 1, 1), (11, 1, 4), (20, 4, 7), (48, 4, 3000)):
        assert bench.client.write(XL, address, size, value) == ACCESS
    assert bench.client.write(XL, 84, 2, 500) == 0
    assert bench.client.write(XL, 64, 1, 0) == 0
    assert bench.client.write(XL, 9, 1, 0) == 0


def test_goal_moves_the_shaft_only_under_torque(bench: Bench) -> None:
    c = bench.client
    c.write(XL, 116, 4, 2348)
    bench.wait(0.5)
    assert c.read(XL, 132, 4) == 2048
    bench.enable()
    c.write(XL, 116, 4, 2348)
    bench.wait(0.5)
    assert c.read(XL, 132, 4) == pytest.approx(2348, abs=1)
    assert bench.world.plant.shaft("brow").angle_rad == pytest.approx(300 * 2 * 3.14159265 / 4096, abs=2e-3)
    c.write(XL, 64, 1, 0)
    c.write(XL, 116, 4, 2000)
    bench.wait(0.3)
    assert c.read(XL, 132, 4) == pytest.approx(2348, abs=1)


def test_homing_offset_and_reverse_mode(bench: Bench) -> None:
    c = bench.client
    c.write(XL, 20, 4, 100)
    assert c.read(XL, 132, 4) == 2148
    c.write(XL, 10, 1, 1)
    bench.enable()
    c.write(XL, 116, 4, 2448)
    bench.wait(0.5)
    assert c.read(XL, 132, 4) == pytest.approx(2448, abs=1)
    assert bench.world.plant.shaft("brow").angle_rad == pytest.approx(-300 * 2 * 3.14159265 / 4096, abs=2e-3)


def test_profile_velocity_and_acceleration_shape_the_way(bench: Bench) -> None:
    c = bench.client
    bench.enable(XM)
    c.write(XM, 112, 4, 50)  # 11.45 rev/min: 782 counts/s
    c.write(XM, 108, 4, 10)
    c.write(XM, 116, 4, 2048 + 782)
    path, times = [], []
    for _ in range(160):
        bench.wait(0.01)
        path.append(c.read(XM, 140, 4))
        times.append(bench.clock.now_s())
    assert path == sorted(path)
    assert path[-1] == 2048 + 782
    speed = max((path[k + 20] - path[k]) / (times[k + 20] - times[k]) for k in range(100))
    assert speed == pytest.approx(782, rel=0.05)
    # 10 x 214.577 rev/min^2 are 2,442 counts/s^2: .32 s to speed up, .32 s to slow down, 1.32 s in all.
    reached = times[next(k for k, p in enumerate(path) if p >= 2048 + 781)] - times[0]
    assert reached == pytest.approx(1.32, abs=0.06)
    assert path[8] - path[0] < 0.5 * 782 * (times[8] - times[0])


def test_reg_write_waits_for_action(bench: Bench) -> None:
    c = bench.client
    bench.enable()
    assert c.ask(XL, 4, struct.pack("<HI", 116, 2300)) == (1, 0, b"")
    assert c.read(XL, 69, 1) == 1
    assert c.read(XL, 116, 4) == 2048
    assert c.ask(XL, 5) == (1, 0, b"")
    assert (c.read(XL, 69, 1), c.read(XL, 116, 4)) == (0, 2300)
    assert c.ask(XL, 5)[1] == 2


def test_sync_and_bulk_write(bench: Bench) -> None:
    c = bench.client
    c.sync_write(116, 4, {1: 2100, 2: 2200})
    assert read_status(bench.line) is None
    assert (c.read(1, 116, 4), c.read(2, 116, 4)) == (2100, 2200)
    bench.line.write(request(0xFE, 0x93, struct.pack("<BHHIBHHB", 1, 116, 4, 2111, 2, 65, 1, 1)))
    assert (c.read(1, 116, 4), c.read(2, 65, 1)) == (2111, 1)


def test_sync_bulk_and_fast_reads_agree(bench: Bench) -> None:
    bench.line.write(request(0xFE, 0x82, struct.pack("<HHBB", 132, 4, 2, 1)))
    sync = [read_status(bench.line) for _ in range(2)]
    assert [(s[0], s[1], int.from_bytes(s[2], "little")) for s in sync] == [(2, 0, 2048), (1, 0, 2048)]
    bench.line.write(request(0xFE, 0x92, struct.pack("<BHHBHH", 1, 132, 4, 2, 146, 1)))
    assert [len(read_status(bench.line)[2]) for _ in range(2)] == [4, 1]
    for code, body, sizes in (
        (0x8A, struct.pack("<HHBB", 132, 4, 2, 1), (4, 4)),
        (0x9A, struct.pack("<BHHBHH", 2, 132, 4, 1, 146, 1), (4, 1)),
    ):
        bench.line.write(request(0xFE, code, body))
        device, error, rest = read_status(bench.line)
        assert (device, error) == (0xFE, 0)
        assert rest[0] == 2
        assert int.from_bytes(rest[1:5], "little") == 2048
        assert rest[7:9] == b"\x00\x01"  # after the running CRC: error, id
        assert len(rest) == 1 + sizes[0] + 2 + 2 + sizes[1]


def test_a_missing_servo_silences_those_behind_it(bench: Bench) -> None:
    bench.line.write(request(0xFE, 0x82, struct.pack("<HHBBB", 132, 4, 1, 7, 2)))
    assert read_status(bench.line)[0] == 1
    assert read_status(bench.line) is None


def test_a_stuffed_payload_survives_both_ways(bench: Bench) -> None:
    """FF FF FD in data looks like a header: dynamixel-sdk 4.1.0 sends it raw, real servos stuff it."""
    c = bench.client
    data = b"\xff\xff\xfd\x00\xff\xff\xfd"
    assert c.ask(XL, 3, struct.pack("<H", 208) + data)[1] == 0
    bench.line.write(request(XL, 2, struct.pack("<HH", 208, 7)))
    raw = bench.line.read(18, 0.01) + bench.line.read(9, 0.001)
    assert raw[5] | raw[6] << 8 == 4 + 7 + 2
    assert raw[9:18] == b"\xff\xff\xfd\xfd\x00\xff\xff\xfd\xfd"


def test_indirect_data_points_elsewhere(bench: Bench) -> None:
    c = bench.client
    for k in range(4):
        assert c.write(XL, 168 + 2 * k, 2, 116 + k) == 0
        assert c.write(XL, 176 + 2 * k, 2, 132 + k) == 0
    assert c.ask(XL, 3, struct.pack("<HI", 208, 2222))[1] == 0
    assert c.read(XL, 116, 4) == 2222
    assert c.read(XL, 208, 8) == 2222 | 2048 << 32


def test_status_return_levels(bench: Bench) -> None:
    c = bench.client
    assert c.write(XL, 68, 1, 1) == 0  # answered by the level it came under
    assert c.ask(XL, 3, struct.pack("<HB", 65, 1)) is None
    assert c.read(XL, 65, 1) == 1
    assert c.ask(XL, 3, struct.pack("<HB", 68, 0)) is None
    assert c.ask(XL, 2, struct.pack("<HH", 68, 1)) is None
    assert c.ask(XL, 1) is not None


def test_id_and_baud_change_take_effect(bench: Bench) -> None:
    c = bench.client
    c.write(XL, 7, 1, 40)
    assert c.ask(XL, 1) is None
    assert c.ask(40, 1)[0] == 40
    c.write(40, 8, 1, 1)
    assert c.ask(40, 1) is None


def test_reboot_clears_ram_keeps_eeprom_and_takes_a_moment(bench: Bench) -> None:
    c = bench.client
    c.write(XL, 9, 1, 0)
    bench.enable()
    c.write(XL, 84, 2, 999)
    assert c.ask(XL, 8) == (1, 0, b"")
    assert c.ask(XL, 1) is None
    bench.wait(0.3)
    assert (c.read(XL, 64, 1), c.read(XL, 84, 2), c.read(XL, 9, 1)) == (0, 400, 0)


def test_factory_reset_but_id(bench: Bench) -> None:
    c = bench.client
    c.write(XM, 9, 1, 0)
    c.write(XM, 8, 1, 3)
    assert c.ask(XM, 6, b"\x02") == (2, 0, b"")
    bench.wait(0.3)
    assert (c.read(XM, 7, 1), c.read(XM, 8, 1), c.read(XM, 9, 1)) == (2, 3, 250)


def test_hardware_error_alerts_shuts_down_and_needs_a_reboot(bench: Bench) -> None:
    c = bench.client
    bench.enable()
    bench.world.hardware_error("brow", 0x20)
    answer = c.ask(XL, 2, struct.pack("<HH", 70, 1))
    assert (answer[1], answer[2]) == (0x80, b"\x20")
    assert c.read(XL, 64, 1) == 0
    assert c.write(XL, 64, 1, 1) == 0x80 | FAIL
    c.ask(XL, 8)
    bench.wait(0.3)
    assert c.read(XL, 70, 1) == 0
    bench.enable()


def test_heat_shuts_down_at_the_limit(bench: Bench) -> None:
    bench.enable()
    bench.world.heat_servo("brow", 72.0)
    bench.wait(0.3)
    assert bench.client.read(XL, 146, 1) == 72
    assert bench.client.read(XL, 70, 1) == 0x04
    assert bench.client.read(XL, 64, 1) == 0


def test_time_that_the_simulation_left_out_cools_nothing(bench: Bench) -> None:
    bench.world.heat_servo("brow", 60.0)
    assert bench.world.skip(bench.clock.now_s() + 1000.0) == pytest.approx(1000.0)
    bench.wait(1000.3)
    assert bench.client.read(XL, 146, 1) in (59, 60)
    bench.wait(1000.0)
    assert bench.client.read(XL, 146, 1) < 35


def test_bus_watchdog_holds_locks_goals_and_is_cleared_by_zero(bench: Bench) -> None:
    c = bench.client
    bench.enable(XM)
    c.write(XM, 112, 4, 20)
    assert c.write(XM, 98, 1, 128) == RANGE
    assert c.write(XM, 98, 1, 10) == 0  # 200 ms
    c.write(XM, 116, 4, 3000)
    for _ in range(4):
        bench.wait(0.15)
        c.ask(XL, 1)  # any packet on the line keeps it alive
    assert c.read(XM, 98, 1) == 10
    bench.wait(0.25)
    assert c.read(XM, 98, 1, signed=True) == -1
    stopped = c.read(XM, 132, 4)
    bench.wait(0.5)
    assert c.read(XM, 132, 4) == stopped < 3000
    assert c.read(XM, 64, 1) == 1
    assert c.write(XM, 116, 4, 2100) == RANGE
    assert c.write(XM, 98, 1, 0) == 0
    assert c.write(XM, 116, 4, 2100) == 0


@pytest.mark.parametrize("baud", [57_600, 1_000_000, 4_000_000])
def test_replies_take_return_delay_and_ten_bits_a_byte(baud: int) -> None:
    bench = Bench(baud)
    c, clock = bench.client, bench.clock
    for delay in (250, 0):
        c.write(XL, 9, 1, delay)
        c.write(XM, 9, 1, delay)
        bench.wait(0.05)
        started = clock.now_s()
        c.ask(XL, 2, struct.pack("<HH", 126, 21))
        wanted = (14 + 11 + 21) * 10 / baud + delay * 2e-6
        assert clock.now_s() - started == pytest.approx(wanted, abs=1e-9)
        for code, size in ((0x82, 2 * (11 + 21)), (0x8A, 8 + 2 * (4 + 21))):
            bench.wait(0.05)
            started = clock.now_s()
            bench.line.write(request(0xFE, code, struct.pack("<HHBB", 126, 21, 1, 2)))
            assert len(bench.line.read(size, 0.2)) == size
            delays = delay * 2e-6 * (2 if code == 0x82 else 1)
            assert clock.now_s() - started == pytest.approx((14 + 2 + size) * 10 / baud + delays, abs=1e-9)


def test_wrong_crc_is_told_by_the_servo_that_was_meant(bench: Bench) -> None:
    raw = bytearray(request(XL, 1))
    raw[-1] ^= 1
    bench.line.write(bytes(raw))
    assert read_status(bench.line) == (1, 3, b"")


def test_unknown_instruction(bench: Bench) -> None:
    assert bench.client.ask(XL, 0x77) == (1, 2, b"")


@settings(max_examples=150, deadline=None)
@given(
    packets=st.lists(
        st.tuples(
            st.sampled_from([1, 2, 2, 0xFE, 0xFE, 40]),
            st.sampled_from(
                [1, 2, 3, 3, 3, 4, 5, 6, 8, 0x10, 0x20, 0x82, 0x83, 0x8A, 0x92, 0x93, 0x9A, 0xAA]
            ),
            st.one_of(
                st.binary(max_size=24),
                st.builds(
                    lambda a, d: struct.pack("<H", a) + d,
                    st.sampled_from(
                        [7, 8, 9, 10, 11, 20, 48, 52, 63, 64, 68, 98, 100, 104, 108, 112, 116, 168, 208]
                    ),
                    st.binary(min_size=1, max_size=12),
                ),
            ),
            st.sampled_from([0.0, 0.01, 0.3]),
        ),
        max_size=14,
    )
)
def test_no_packet_breaks_a_servo(packets: list[tuple[int, int, bytes, float]]) -> None:
    bench = Bench()
    for device, code, params, pause in packets:
        bench.line.write(request(device, code, params))
        bench.wait(pause)
        bench.line.discard_input()
    for servo in bench.world.devices["line"].servos:
        for item in servo.model.items.values():
            value = servo.value(item.address)
            assert item.low <= value <= item.high or item.name == "bus_watchdog", item.name
        assert servo.model.number == servo.value(0)
        assert math.isfinite(bench.world.plant.shaft(servo.name).angle_rad)


def test_extended_and_velocity_mode(bench: Bench) -> None:
    c = bench.client
    c.write(XL, 11, 1, 4)
    bench.enable()
    assert c.write(XL, 116, 4, 6000) == 0
    bench.wait(1.5)
    assert c.read(XL, 132, 4, signed=True) == pytest.approx(6000, abs=2)
    c.write(XL, 64, 1, 0)
    c.write(XL, 11, 1, 1)
    bench.enable()
    c.write(XL, 104, 4, -100)
    bench.wait(0.5)
    assert c.read(XL, 128, 4, signed=True) == pytest.approx(-100, abs=3)

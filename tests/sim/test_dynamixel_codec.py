"""Protocol 2.0 packets: the manual's own bytes, an independent CRC, any split, any noise."""

import pytest
from dynamixel_sdk import Protocol2PacketHandler
from hypothesis import given
from hypothesis import strategies as st

from animaface.sim.dynamixel.codec import (
    PacketReader,
    crc16,
    fast_status_packet,
    packet,
    status_packet,
    stuff,
    unstuff,
)

# name, bytes as printed in the e-manual's "DYNAMIXEL Protocol 2.0"
MANUAL = [
    ("ping 1", "FF FF FD 00 01 03 00 01 19 4E"),
    ("ping 1 status", "FF FF FD 00 01 07 00 55 00 06 04 26 65 5D"),
    ("ping all", "FF FF FD 00 FE 03 00 01 31 42"),
    ("ping all status 2", "FF FF FD 00 02 07 00 55 00 06 04 26 6F 6D"),
    ("read", "FF FF FD 00 01 07 00 02 84 00 04 00 1D 15"),
    ("read status", "FF FF FD 00 01 08 00 55 00 A6 00 00 00 8C C0"),
    ("write", "FF FF FD 00 01 09 00 03 74 00 00 02 00 00 CA 89"),
    ("write status", "FF FF FD 00 01 04 00 55 00 A1 0C"),
    ("reg write", "FF FF FD 00 01 09 00 04 68 00 C8 00 00 00 AE 8E"),
    ("action", "FF FF FD 00 01 03 00 05 02 CE"),
    ("factory reset", "FF FF FD 00 01 04 00 06 01 A1 E6"),
    ("reboot", "FF FF FD 00 01 03 00 08 2F 4E"),
    ("clear", "FF FF FD 00 01 08 00 10 01 44 58 4C 22 B1 DC"),
    ("sync read", "FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA"),
    ("sync read status 2", "FF FF FD 00 02 08 00 55 00 1F 08 00 00 BA BE"),
    ("sync write", "FF FF FD 00 FE 11 00 83 74 00 04 00 01 96 00 00 00 02 AA 00 00 00 82 87"),
    ("bulk read", "FF FF FD 00 FE 0D 00 92 01 90 00 02 00 02 92 00 01 00 1A 05"),
    ("bulk read status 1", "FF FF FD 00 01 06 00 55 00 77 00 C3 69"),
    ("bulk read status 2", "FF FF FD 00 02 05 00 55 00 24 8B A9"),
    ("bulk write", "FF FF FD 00 FE 10 00 93 01 20 00 02 00 A0 00 02 1F 00 01 00 50 B7 68"),
]


@pytest.mark.parametrize(("name", "text"), MANUAL, ids=[name for name, _ in MANUAL])
def test_the_manuals_packets_byte_for_byte(name: str, text: str) -> None:
    raw = bytes.fromhex(text)
    assert packet(raw[4], raw[7:-2]) == raw
    found = list(PacketReader().feed(raw))
    if raw[7] == 0x55:
        assert found == []
        assert status_packet(raw[4], raw[8], raw[9:-2]) == raw
    else:
        assert [(i.device, i.code, i.parameters, i.crc_ok) for i in found] == [
            (raw[4], raw[7], raw[8:-2], True)
        ]


@given(st.binary(max_size=300))
def test_crc_agrees_with_dynamixel_sdk_and_can_go_on_from_any_byte(data: bytes) -> None:
    wanted = Protocol2PacketHandler().updateCRC(0, data, len(data))
    assert crc16(data) == wanted
    cut = len(data) // 3
    assert crc16(data[cut:], crc16(data[:cut])) == wanted


nasty = st.lists(st.sampled_from([0xFF, 0xFD, 0x00, 0x55, 0x01]), max_size=40).map(bytes)


@given(nasty)
def test_stuffing_round_trip_and_no_header_inside(data: bytes) -> None:
    assert unstuff(stuff(data)) == data
    assert b"\xff\xff\xfd\x00" not in stuff(data)


@given(
    bodies=st.lists(st.tuples(st.integers(0, 252), nasty), min_size=1, max_size=5),
    noise=st.lists(st.binary(max_size=12).filter(lambda b: b"\xff" not in b), min_size=6, max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_packets_are_found_over_any_split_between_noise(
    bodies: list[tuple[int, bytes]], noise: list[bytes], cuts: list[int]
) -> None:
    stream = b"".join(noise[k] + packet(d, b"\x03" + p) for k, (d, p) in enumerate(bodies)) + noise[5]
    reader, found, at = PacketReader(), [], 0
    for cut in [*sorted(c for c in cuts if c < len(stream)), len(stream)]:
        found += [(i.device, i.parameters) for i in reader.feed(stream[at:cut])]
        at = cut
    assert found == bodies
    assert reader.bad_crc == 0


def test_a_lost_byte_costs_one_packet_not_two() -> None:
    """The length of a packet that lost a byte reaches into the next one; its head must still be found."""
    first, second = packet(1, b"\x03\x74\x00\x00\x08\x00\x00"), packet(2, b"\x01")
    reader = PacketReader()
    found = [i for i in reader.feed(first[:9] + first[10:] + second + packet(3, b"\x01")) if i.crc_ok]
    assert [i.device for i in found] == [2, 3]
    assert reader.bad_crc == 1


def test_fast_status_is_one_packet_with_running_crcs() -> None:
    raw = fast_status_packet([(0, 3, b"\xa6\0\0\0"), (0x80, 7, b"\x1f\x08\0\0")], 1 + 2 * 8)
    assert len(raw) == 8 + 2 * (4 + 4)
    assert raw[:10] == bytes.fromhex("FF FF FD 00 FE 11 00 55 00 03")
    for end in (14, 22):
        assert crc16(raw[:end]) == raw[end] | raw[end + 1] << 8

"""Raw bytes of the Dynamixel driver: the manual's vectors, and each defect of dynamixel-sdk 4.1.0 by its story."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from animaface.robot.bus import finish
from animaface.robot.config import load_face
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.bus import DynamixelBus
from animaface.robot.dynamixel.line import DynamixelLine, NoReplyError
from animaface.robot.dynamixel.sdk import crc16
from animaface.robot.face.clock import LockStepClock
from animaface.robot.face.errors import DeviceError
from animaface.robot.transport import MemoryTransport
from animaface.sim.dynamixel.bus import FAST_SYNC_READ, SYNC_READ, VirtualDynamixelBus
from animaface.sim.dynamixel.codec import Instruction
from animaface.sim.first_order import FirstOrderPlant
from animaface.sim.world import SimWorld


class ScriptedPeer:
    """Answers the k-th packet with the k-th script: (delay_s, bytes)."""

    def __init__(self, *answers: tuple[float, bytes]) -> None:
        self.heard: list[bytes] = []
        self._answers = list(answers)
        self._out: list[tuple[float, bytes]] = []

    def receive(self, data: bytes, at_s: float) -> None:
        self.heard.append(data)
        if self._answers:
            delay_s, answer = self._answers.pop(0)
            self._out.append((at_s + delay_s, answer))

    def next_output_s(self) -> float | None:
        return self._out[0][0] if self._out else None

    def fetch(self, size: int, until_s: float) -> bytes:
        out = b""
        while self._out and self._out[0][0] <= until_s and len(out) < size:
            at_s, data = self._out.pop(0)
            take = size - len(out)
            out += data[:take]
            if data[take:]:
                self._out.insert(0, (at_s, data[take:]))
        return out


def status(servo_id: int, data: bytes, error: int = 0) -> bytes:
    """A status packet, stuffed as the manual says, by code that shares nothing with the product."""
    body = bytearray()
    for byte in (0x55, error, *data):
        body.append(byte)
        if body[-3:] == b"\xff\xff\xfd":
            body.append(0xFD)
    packet = bytes((0xFF, 0xFF, 0xFD, 0, servo_id)) + (len(body) + 2).to_bytes(2, "little") + bytes(body)
    crc = 0
    for byte in packet:
        crc ^= byte << 8
        for _ in range(8):
            crc = ((crc << 1) ^ 0x8005) & 0xFFFF if crc & 0x8000 else crc << 1
    return packet + crc.to_bytes(2, "little")


def line_to(peer: ScriptedPeer) -> tuple[DynamixelLine, LockStepClock]:
    clock = LockStepClock()
    return DynamixelLine(MemoryTransport(peer, clock, 1_000_000), clock), clock


def test_ping_is_the_manuals_packet() -> None:
    answer = bytes.fromhex("FF FF FD 00 01 07 00 55 00 06 04 26 65 5D")
    peer = ScriptedPeer((0.0, answer))
    line, _ = line_to(peer)
    assert line.ping(1) == 0x0406
    assert peer.heard == [bytes.fromhex("FF FF FD 00 01 03 00 01 19 4E")]


def test_read_is_the_manuals_packet() -> None:
    answer = bytes.fromhex("FF FF FD 00 01 08 00 55 00 A6 00 00 00 8C C0")
    peer = ScriptedPeer((0.0, answer))
    line, _ = line_to(peer)
    assert line.read(1, 132, 4) == bytes((0xA6, 0, 0, 0))
    assert peer.heard == [bytes.fromhex("FF FF FD 00 01 07 00 02 84 00 04 00 1D 15")]


def test_write_is_the_manuals_packet() -> None:
    answer = bytes.fromhex("FF FF FD 00 01 04 00 55 00 A1 0C")
    peer = ScriptedPeer((0.0, answer))
    line, _ = line_to(peer)
    line.write(1, reg.GOAL_POSITION, 512)
    assert peer.heard == [bytes.fromhex("FF FF FD 00 01 09 00 03 74 00 00 02 00 00 CA 89")]


def test_sync_write_and_sync_read_are_the_manuals_packets() -> None:
    peer = ScriptedPeer()
    line, _ = line_to(peer)
    line.sync_write(reg.GOAL_POSITION, {1: 150, 2: 170})
    line.request((1, 2), 132, 4)
    assert peer.heard == [
        bytes.fromhex("FF FF FD 00 FE 11 00 83 74 00 04 00 01 96 00 00 00 02 AA 00 00 00 82 87"),
        bytes.fromhex("FF FF FD 00 FE 09 00 82 84 00 04 00 01 02 CE FA"),
    ]


def test_a_header_in_the_payload_is_stuffed_on_its_way_out() -> None:
    """The SDK computes the stuffing and throws it away: FF FF FD goes out raw and splits the packet."""
    peer = ScriptedPeer()
    line, _ = line_to(peer)
    line.sync_write(reg.GOAL_POSITION, {5: -513})  # FF FD FF FF
    line.sync_write(reg.GOAL_POSITION, {5: 0x00FDFFFF})
    raw, stuffed = peer.heard
    assert b"\x05\xff\xfd\xff\xff" in raw
    assert b"\x05\xff\xff\xfd\xfd\x00" in stuffed
    assert int.from_bytes(stuffed[5:7], "little") == len(stuffed) - 7
    assert crc16(stuffed[:-2]) == int.from_bytes(stuffed[-2:], "little")


@given(st.lists(st.sampled_from([0xFF, 0xFD, 0x00, 0x55]), min_size=21, max_size=21).map(bytes))
def test_every_payload_comes_in_whole(payload: bytes) -> None:
    """The SDK's un-stuffing loses a byte where FD follows the stuffed header: 3-8 % of reads on a real robot."""
    line, _ = line_to(ScriptedPeer((0.0, status(3, payload))))
    assert line.read(3, 126, 21) == payload
    assert line.retries == 0


@given(st.binary(max_size=40), st.binary(min_size=4, max_size=4))
def test_noise_before_an_answer_is_skipped(noise: bytes, data: bytes) -> None:
    line, _ = line_to(ScriptedPeer((0.0, noise.replace(b"\xff\xff\xfd\x00", b"") + status(7, data))))
    line.request((7,), 132, 4)
    found = line.collect(0.02)
    if 7 in found:  # noise may end in half a header that swallows what follows; then it is a miss, not a lie
        assert found[7].data == data


def test_a_missing_servo_costs_milliseconds_and_not_34() -> None:
    line, clock = line_to(ScriptedPeer())
    assert line.ping(9) is None
    assert clock.now_s() < 0.020


def test_one_missing_servo_does_not_fail_its_group() -> None:
    """The SDK's group read gives up at the first missing id and leaves old bytes behind as if fresh."""
    peer = ScriptedPeer((0.0, status(1, b"\1\0\0\0") + status(3, b"\3\0\0\0")))
    line, _ = line_to(peer)
    found = line.sync_read((1, 2, 3), 132, 4)
    assert {sid: r.data[0] for sid, r in found.items()} == {1: 1, 3: 3}
    assert peer.heard[-1][4] == 2, "who did not answer was asked alone"


def test_a_corrupt_answer_is_asked_for_once_more() -> None:
    good = status(4, b"\x10\x20\x30\x40")
    bad = bytearray(good)
    bad[10] ^= 0x04
    peer = ScriptedPeer((0.0, bytes(bad)), (0.0, good))
    line, _ = line_to(peer)
    assert line.read(4, 132, 4) == b"\x10\x20\x30\x40"
    assert (line.retries, line.packets.crc_errors) == (1, 1)


def test_a_late_answer_to_an_earlier_question_is_not_taken_for_this_one() -> None:
    """The SDK cuts a longer reply to the size it wants. Here the ack of a write nobody waited for, and a
    64-byte block that comes late, met the next reads and were read as hardware errors."""
    late = status(1, b"") + status(1, bytes(range(64)))
    line, _ = line_to(ScriptedPeer((0.0, late + status(1, b"\x07\x08\x09\x0a"))))
    assert line.read(1, 132, 4) == b"\x07\x08\x09\x0a"


def test_the_alert_bit_is_kept_in_group_reads() -> None:
    line, _ = line_to(ScriptedPeer((0.0, status(1, b"\0\0\0\0", 0x80) + status(2, b"\0\0\0\0"))))
    found = line.sync_read((1, 2), 132, 4)
    assert (found[1].alert, found[2].alert) == (True, False)


def test_a_refusal_is_an_error_in_words() -> None:
    line, _ = line_to(ScriptedPeer((0.0, status(6, b"", 0x06))))
    with pytest.raises(DeviceError, match="servo 6 refused the write of 5000 to 116: value beyond a limit"):
        line.write(6, reg.GOAL_POSITION, 5000)


def test_silence_is_an_error_after_one_retry() -> None:
    peer = ScriptedPeer()
    line, _ = line_to(peer)
    with pytest.raises(NoReplyError, match="id 6"):
        line.read(6, 132, 4)
    assert len(peer.heard) == 2


def fast_reply(*blocks: tuple[int, int, bytes], announced: int | None = None) -> bytes:
    """The one packet of a Fast Sync Read, by code that shares nothing with the product: [(error, id, data)]."""
    size = len(blocks[0][2])
    length = 1 + (announced or len(blocks)) * (4 + size)
    out = bytes((0xFF, 0xFF, 0xFD, 0, 0xFE)) + length.to_bytes(2, "little") + b"\x55"
    for error, servo_id, data in blocks:
        out += bytes((error, servo_id)) + data
        crc = 0
        for byte in out:
            crc ^= byte << 8
            for _ in range(8):
                crc = ((crc << 1) ^ 0x8005) & 0xFFFF if crc & 0x8000 else crc << 1
        out += crc.to_bytes(2, "little")
    return out


WHOLE = ((0, 1, b"\xff\xff\xfd\x00"), (0x80, 2, b"\x01\x02\x03\x04"), (0, 3, b"\xff\xff\xfd\x55"))


def asked_fast(*answers: tuple[float, bytes], wait_s: float = 0.01) -> tuple[DynamixelLine, dict[int, bytes]]:
    line, _ = line_to(peer := ScriptedPeer(*answers))
    line.request((1, 2, 3), 132, 4, fast=True)
    assert peer.heard[0] == bytes.fromhex("FFFFFD00FE0A008A840004000102031AEC")
    return line, {k: r.data for k, r in line.collect(wait_s).items()}


def test_a_fast_reply_is_taken_apart_unstuffed_and_with_its_alert() -> None:
    line, _ = line_to(ScriptedPeer((0.0, fast_reply(*WHOLE))))
    line.request((1, 2, 3), 132, 4, fast=True)
    replies = line.collect(0.01)
    assert {k: (r.data, r.alert) for k, r in replies.items()} == {i: (d, bool(e)) for e, i, d in WHOLE}
    assert not line.busy


def test_a_servo_missing_in_a_fast_reply_does_not_take_those_before_it_along() -> None:
    _, got = asked_fast((0.0, fast_reply(*WHOLE[:2], announced=3)))
    assert got == {1: WHOLE[0][2], 2: WHOLE[1][2]}


def test_a_flipped_byte_in_a_fast_reply_leaves_the_blocks_before_it_and_the_next_packet() -> None:
    raw = bytearray(fast_reply(*WHOLE))
    raw[8 + 8 + 3] ^= 4
    line, got = asked_fast((0.0, bytes(raw)), (0.0, status(2, b"\x05\x06\x07\x08")))
    assert got == {1: WHOLE[0][2]}
    assert line.packets.crc_errors == 1
    assert line.read(2, 132, 4) == b"\x05\x06\x07\x08"


def test_a_fast_reply_comes_in_pieces_behind_noise_an_echo_and_a_late_answer() -> None:
    before = b"\xff\xff\xfd\x12" + status(9, b"\x01") + crc16(b"").to_bytes(2, "little")
    raw = before + fast_reply(*WHOLE)
    for cut in range(1, len(raw)):
        line, clock = line_to(ScriptedPeer((0.0, raw[:cut]), (0.0, raw[cut:])))
        line.request((1, 2, 3), 132, 4, fast=True)
        clock.sleep_until_s(clock.now_s() + 0.001)
        line.poll()
        line.port.writePort(b"\0")  # the scripted peer says the rest
        assert {k: r.data for k, r in line.collect(0.01).items()} == {i: d for _, i, d in WHOLE}, cut


def test_servos_that_do_not_know_fast_sync_read_are_found_out_once() -> None:
    line, clock = line_to(ScriptedPeer((0.0, fast_reply(*WHOLE[:1], announced=3))))
    steps = line.fast_steps((1, 2, 3), 132, 4)
    assert finish(steps, clock) is False
    line, clock = line_to(ScriptedPeer((0.0, b""), (0.0, fast_reply(*WHOLE))))
    assert finish(line.fast_steps((1, 2, 3), 132, 4), clock) is True


@pytest.mark.parametrize("old_firmware", [False, True])
def test_a_face_is_read_by_fast_sync_read_where_all_its_servos_know_it(old_firmware: bool) -> None:
    config = load_face("hybrid")
    world = SimWorld(config, plant=FirstOrderPlant(config))
    heard: list[int] = []
    device = world.device("rigid")
    assert isinstance(device, VirtualDynamixelBus)
    obey = device._obey

    def obeyed(instruction: Instruction, at_s: float) -> None:
        heard.append(instruction.code)
        if not (old_firmware and instruction.code == FAST_SYNC_READ):
            obey(instruction, at_s)

    device._obey = obeyed  # type: ignore[method-assign]
    bus = DynamixelBus(config, "rigid", world.open, world.clock)
    assert all(d.present for d in bus.connect())
    bus.enable()
    heard.clear()
    for _ in range(100):
        state = bus.collect()
        bus.write(np.full(len(bus.names), 0.5))
        bus.request()
        world.clock.sleep_until_s(world.clock.now_s() + 0.01)
    assert heard.count(SYNC_READ if old_firmware else FAST_SYNC_READ) > 90
    assert heard.count(FAST_SYNC_READ if old_firmware else SYNC_READ) == 0
    assert not state.faults
    assert not state.stale.any()
    assert np.isfinite(state.position_u).all()

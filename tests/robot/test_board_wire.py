"""Raw bytes of the servo-board driver against the examples that firmware/PROTOCOL.md shows to people."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from animaface.robot.servo_board import frames
from animaface.robot.servo_board.frames import Ack, Command, Decoder, Hello, Status, encode

PROTOCOL = Path(__file__).parents[2] / "firmware" / "PROTOCOL.md"


def examples() -> tuple[list[bytes], list[bytes]]:
    text = PROTOCOL.read_text(encoding="utf-8").partition("## Example bytes")[2]
    sent, got = (
        [bytes.fromhex(m) for m in re.findall(rf"^ *{sign} ((?:[0-9A-F]{{2}} ?)+)$", text, re.M)]
        for sign in "><"
    )
    return sent, got


def test_what_is_sent_is_what_the_protocol_shows() -> None:
    sent, _ = examples()
    ours = {
        0: encode(Command.HELLO, 1, frames.hello(1)),
        2: encode(Command.ARM, 3, bytes((0, 0))),
        3: encode(Command.ENABLE, 4, bytes((255, 0, 0))),
        4: encode(Command.SET, 5, frames.targets(200, {0: 1700})),
    }
    for k, raw in ours.items():
        assert raw == sent[k], k
    assert len(Decoder().push(sent[1])[0].payload) == 20, "CONFIG"


def test_what_the_board_answers_is_understood() -> None:
    _, got = examples()
    answers = [Decoder().push(raw)[0] for raw in got]
    hello = Hello.of(answers[0].payload)
    assert (hello.protocol, hello.board_id, hello.n_channels, hello.boot_id) == (1, 1, 12, 0xA1B2C3D4)
    ack = Ack.of(answers[2].payload)
    assert (ack.status, ack.state, ack.channel) == (0, 1, 255)
    read = next(a for a in answers if a.type == Command.READ | 0x80)
    status = Status.of(read.payload)
    assert (status.state, status.first, len(status.pulses_us)) == (1, 0, 1)
    assert 1500 < status.pulses_us[0] <= 1700
    assert status.channel_flags[0] & 3 == 3


@given(
    st.integers(0, 255),
    st.integers(0, 255),
    st.binary(max_size=200),
    st.binary(max_size=10),
    st.integers(1, 40),
)
def test_frames_survive_any_cutting(kind: int, sequence: int, payload: bytes, noise: bytes, cut: int) -> None:
    raw = noise.replace(b"\0", b"") + b"\0" + encode(kind, sequence, payload)
    decoder, found = Decoder(), []
    for start in range(0, len(raw), cut):
        found += decoder.push(raw[start : start + cut])
    assert (found[-1].type, found[-1].sequence, found[-1].payload) == (kind, sequence, payload)


@given(st.binary(min_size=1, max_size=60), st.integers(0, 10_000), st.integers(0, 7))
def test_a_flipped_bit_is_never_a_frame(payload: bytes, where: int, bit: int) -> None:
    raw = bytearray(encode(7, 3, payload))
    raw[where % len(raw)] ^= 1 << bit
    decoder = Decoder()
    for frame in decoder.push(bytes(raw) + b"\0"):
        assert frame.payload == payload
        pytest.fail("a broken frame was taken for a good one")


def test_check_value_of_the_crc() -> None:
    raw = encode(0x31, 0x32, b"3456789")
    assert raw[:-1].endswith(bytes((0xB1, 0x29)))  # 0x29B1, little-endian, no zero to escape

"""A host for the tests: frames by PyPI `cobs`, numbers read by struct. Independent of the drivers."""

import binascii
import struct

from cobs import cobs

from animaface.sim.boardcore import BoardCore

HELLO, CONFIG, GET_CONFIG, ARM, DISARM, ENABLE, SET, READ, STATS, RELEASE, STOP = range(1, 12)


def encode(kind: int, sequence: int, payload: bytes = b"") -> bytes:
    body = bytes([kind, sequence]) + payload
    return cobs.encode(body + struct.pack("<H", binascii.crc_hqx(body, 0xFFFF))) + b"\0"


def decode(frame: bytes) -> tuple[int, int, bytes]:
    assert frame.endswith(b"\0")
    body = cobs.decode(frame[:-1])
    assert binascii.crc_hqx(body[:-2], 0xFFFF) == struct.unpack("<H", body[-2:])[0]
    return body[0], body[1], body[2:-2]


def config(
    channel: int, *, on_loss: int = 1, low: int = 1000, high: int = 2000, neutral: int = 1500, safe: int = 1500,
    speed: int = 2000, accel: int = 0, park_speed: int = 1000, frame_hz: int = 50, duty: int = 255,
) -> bytes:  # fmt: skip
    return struct.pack(
        "<BB8HBB", channel, on_loss, low, high, neutral, safe, speed, accel, park_speed, frame_hz, duty, 0
    )


def targets(life_ms: int = 0, **by_channel: int) -> bytes:
    """targets(200, c0=1500, c3=1200)"""
    return struct.pack("<H", life_ms) + b"".join(
        struct.pack("<BH", int(name[1:]), pulse) for name, pulse in by_channel.items()
    )


class Host:
    """Speaks to a BoardCore and keeps the sequence."""

    def __init__(self, core: BoardCore) -> None:
        self.core = core
        self.sequence = 0
        self.now_us = 0

    def wait(self, ms: float) -> None:
        self.now_us += round(ms * 1000)
        self.core.advance(self.now_us)

    def ask(self, kind: int, payload: bytes = b"") -> bytes:
        self.sequence = (self.sequence + 1) % 256
        got, sequence, reply = decode(self.core.exchange(encode(kind, self.sequence, payload)))
        assert (got, sequence) == (kind | 0x80, self.sequence)
        return reply

    def hello(self) -> bytes:
        return self.ask(HELLO, b"AF\x01\x00")

    def read(self, count: int = 64) -> tuple[tuple[int, ...], list[tuple[int, int]]]:
        """((status, state, reason, reason_channel, flags, uptime, life, mv, ma), [(flags, pulse_us)])."""
        reply = self.ask(READ, bytes([0, count]))
        head = struct.unpack_from("<5BIHHH", reply)
        n = reply[16]
        return head, [struct.unpack_from("<BH", reply, 17 + 3 * i) for i in range(n)]

    def pulse(self, channel: int) -> int:
        return self.read()[1][channel][1]

    def bring_up(self, n: int = 2, **kwargs: int) -> None:
        assert self.hello()[0] == 0
        for i in range(n):
            assert self.ask(CONFIG, config(i, **kwargs))[0] == 0
        assert self.ask(ARM, b"\0\0")[0] == 0
        assert self.ask(ENABLE, struct.pack("<BH", 255, 4))[0] == 0
        for _ in range(n + 1):
            self.wait(8)
            assert self.ask(SET, targets())[0] == 0

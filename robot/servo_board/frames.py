"""The board's frames (firmware/PROTOCOL.md): COBS, CRC-16/CCITT-FALSE, the layout of each payload."""

import binascii
import struct
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from cobs import cobs

PROTOCOL_VERSION: Final = 1
MAGIC: Final = b"AF"
ALL_CHANNELS: Final = 255
_MAX_FRAME: Final = 260


class Command(IntEnum):
    """Type byte; a reply carries it with bit 7 set."""

    HELLO = 0x01
    CONFIG = 0x02
    GET_CONFIG = 0x03
    ARM = 0x04
    DISARM = 0x05
    ENABLE = 0x06
    SET = 0x07
    READ = 0x08
    STATS = 0x09
    RELEASE = 0x0A
    STOP = 0x0B
    SETUP = 0x0C
    GET_SETUP = 0x0D


class BoardState(IntEnum):
    """Where the board's state machine stands."""

    DISARMED = 0
    ARMED = 1
    TRIPPED = 2


class ChannelFlag(IntFlag):
    """Flags of one channel in READ."""

    CONFIGURED = 1
    ON = 2
    MOVING = 4
    CLAMPED = 8
    QUEUED = 16
    LOST = 32
    OVER_DUTY = 64
    PARKED = 128


STATUS_TEXT: Final = {
    1: "unknown command", 2: "wrong length", 3: "a number out of its range", 4: "no such channel",
    5: "not greeted", 6: "another protocol version", 7: "another board id", 8: "not armed",
    9: "a channel is not configured", 10: "refused while armed", 11: "the channel is on",
    12: "the emergency stop is open",
}  # fmt: skip
REASON_TEXT: Final = {
    0: "none", 1: "no command in time", 2: "stopped by the host", 3: "emergency stop", 4: "supply",
    5: "duty", 6: "its main loop stood still",
}  # fmt: skip
NOT_GREETED, NOT_ARMED, NOT_CONFIGURED = 5, 8, 9
NO_COMMAND: Final = 1
"""Of REASON_TEXT."""
ON_LOSS: Final = {"hold": 0, "park": 1, "relax": 2}


@dataclass(frozen=True)
class Frame:
    """One decoded frame."""

    type: int
    sequence: int
    payload: bytes


@dataclass(frozen=True)
class Ack:
    """The five bytes that answer most commands."""

    status: int
    state: int
    reason: int
    channel: int
    count: int

    @classmethod
    def of(cls, payload: bytes) -> "Ack":
        """From a payload of at least five bytes."""
        return cls(*payload[:5])


@dataclass(frozen=True)
class Hello:
    """What a board says of itself."""

    status: int
    protocol: int
    firmware: str
    kind: int
    board_id: int
    n_channels: int
    boot_id: int
    reset_cause: int
    config_crc: int
    state: int
    reason: int

    @classmethod
    def of(cls, payload: bytes) -> "Hello":
        """From the 17 bytes of a reply to HELLO."""
        f = struct.unpack("<8BIBHBB", payload)
        firmware = f"{f[2]}.{f[3]}.{f[4]}"
        return cls(f[0], f[1], firmware, f[5], f[6], f[7], f[8], f[9], f[10], f[11], f[12])


@dataclass(frozen=True)
class Status:
    """Reply to READ. pulses_us[i] = 0: true low."""

    status: int
    state: int
    reason: int
    reason_channel: int
    flags: int
    uptime_ms: int
    life_left_ms: int
    supply_mv: int
    current_ma: int
    first: int
    channel_flags: tuple[int, ...]
    pulses_us: tuple[int, ...]

    @classmethod
    def of(cls, payload: bytes) -> "Status":
        """From the payload of a reply to READ."""
        head = struct.unpack_from("<5BI3HBB", payload)
        rows = list(struct.iter_unpack("<BH", payload[17 : 17 + 3 * head[10]]))
        fields = (*head[:10], tuple(r[0] for r in rows), tuple(r[1] for r in rows))
        return cls(*fields)


def encode(command: int, sequence: int, payload: bytes = b"") -> bytes:
    """The bytes on the wire, with the zero that ends them."""
    body = bytes((command, sequence)) + payload
    crc = binascii.crc_hqx(body, 0xFFFF)
    return bytes(cobs.encode(body + crc.to_bytes(2, "little"))) + b"\0"


class Decoder:
    """Cuts frames out of a stream. `bad` counts those with a wrong CRC or broken COBS."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self.bad = 0

    def push(self, data: bytes) -> list[Frame]:
        """The frames that `data` completes."""
        self._buffer += data
        *done, rest = self._buffer.split(b"\0")
        self._buffer = rest[-_MAX_FRAME:]
        frames = []
        for raw in done:
            if not raw:
                continue
            frame = _decode(bytes(raw))
            if frame is None:
                self.bad += 1
            else:
                frames.append(frame)
        return frames


def _decode(raw: bytes) -> Frame | None:
    try:
        body = bytes(cobs.decode(raw))
    except cobs.DecodeError:
        return None
    if len(body) < 4 or binascii.crc_hqx(body[:-2], 0xFFFF) != int.from_bytes(body[-2:], "little"):
        return None
    return Frame(body[0], body[1], body[2:-2])


def hello(board_id: int) -> bytes:
    """Payload of HELLO; board_id 0: any board."""
    return MAGIC + bytes((PROTOCOL_VERSION, board_id))


def targets(life_ms: int, pulses_us: dict[int, int]) -> bytes:
    """Payload of SET."""
    out = bytearray(life_ms.to_bytes(2, "little"))
    for channel, pulse in pulses_us.items():
        out.append(channel)
        out += pulse.to_bytes(2, "little")
    return bytes(out)

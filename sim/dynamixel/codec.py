"""Dynamixel Protocol 2.0 packets: header, byte stuffing, CRC-16 (ROBOTIS e-manual, "DYNAMIXEL Protocol 2.0").

The simulation's own codec, shared with no driver, so that one bug can't sit on both ends.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

HEADER: Final = b"\xff\xff\xfd\x00"
STATUS: Final = 0x55
BROADCAST: Final = 0xFE
_POLYNOMIAL: Final = 0x8005
_MAX_LENGTH: Final = 4096  # longer announced packets are noise, not packets


def _table() -> list[int]:
    """CRC of every byte. (A table of byte pairs halves the turns, but misses the cache: it was slower.)"""
    crc = np.arange(256, dtype=np.int64) << 8
    for _ in range(8):
        crc = ((crc << 1) ^ (crc >> 15) * _POLYNOMIAL) & 0xFFFF
    return [int(c) for c in crc]


_TABLE: Final = _table()


def crc16(data: bytes, crc: int = 0) -> int:
    """CRC-16 with polynomial 0x8005, start 0, not reflected. Go on from `crc` for incremental use."""
    table = _TABLE
    for byte in data:
        crc = (crc & 0xFF) << 8 ^ table[crc >> 8 ^ byte]
    return crc


def stuff(body: bytes) -> bytes:
    """An FF FF FD inside a packet gets a second FD, so that it can't look like a header."""
    return body.replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd") if b"\xff\xff\xfd" in body else body


def unstuff(body: bytes) -> bytes:
    """Inverse of `stuff`."""
    return body.replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd") if b"\xff\xff\xfd\xfd" in body else body


def packet(device: int, body: bytes) -> bytes:
    """A whole packet around `body` (instruction and parameters, not yet stuffed)."""
    body = stuff(body)
    head = HEADER + struct.pack("<BH", device, len(body) + 2) + body
    return head + struct.pack("<H", crc16(head))


def status_packet(device: int, error: int, parameters: bytes = b"") -> bytes:
    """A servo's answer."""
    return packet(device, bytes((STATUS, error)) + parameters)


def fast_status_packet(blocks: list[tuple[int, int, bytes]], expected_size: int) -> bytes:
    """The one packet in which many servos answer: [(error, id, data)], each closed by a running CRC.

    `expected_size` is the length announced by the first servo, for all that were asked; where one is
    missing the packet ends early. Blocks are not stuffed: the length was told before they were known.
    """
    out = HEADER + struct.pack("<BHB", BROADCAST, expected_size, STATUS)
    crc, done = 0, 0
    for error, device, data in blocks:
        out += bytes((error, device)) + data
        crc = crc16(out[done:], crc)
        done = len(out)
        out += struct.pack("<H", crc)
    return out


@dataclass(frozen=True, slots=True)
class Instruction:
    """A packet from the host. `crc_ok` False: id and instruction are a guess."""

    device: int
    code: int
    parameters: bytes
    crc_ok: bool = True


class PacketReader:
    """Finds packets in a stream of bytes, over any split and any noise."""

    def __init__(self) -> None:
        self._buffer = b""
        self.bad_crc = 0
        self.noise_bytes = 0

    def feed(self, data: bytes) -> Iterator[Instruction]:
        """Packets that are complete with `data`. Status packets (echoes) are skipped."""
        buffer = self._buffer + data if self._buffer else data
        at = 0
        while True:
            start = buffer.find(HEADER, at)
            if start < 0:
                keep = _header_tail(buffer, at)
                self.noise_bytes += keep - at
                at = keep
                break
            self.noise_bytes += start - at
            at = start
            if len(buffer) < at + 7:
                break
            length = buffer[at + 5] | buffer[at + 6] << 8
            if length < 3 or length > _MAX_LENGTH:
                at += 4
                self.noise_bytes += 4
                continue
            end = at + 7 + length
            if len(buffer) < end:
                break
            raw = buffer[at:end]
            at = end
            ok = crc16(raw[:-2]) == raw[-2] | raw[-1] << 8
            if not ok:
                self.bad_crc += 1
                at += 4 - len(raw)  # a lost byte may have swallowed the next packet's head: look again
            if raw[7] != STATUS:
                yield Instruction(raw[4], raw[7], unstuff(raw[8:-2]), ok)
        self._buffer = buffer[at:]

    def forget(self) -> None:
        """Drop a packet under way: after a pause on the line its rest will not come."""
        self.noise_bytes += len(self._buffer)
        self._buffer = b""


def _header_tail(buffer: bytes, at: int) -> int:
    """Where a header that is not complete yet may begin."""
    for size in (3, 2, 1):
        if len(buffer) - at >= size and buffer[-size:] == HEADER[:size]:
            return len(buffer) - size
    return len(buffer)

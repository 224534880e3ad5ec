# ruff: noqa: N802 - the names of the methods that are replaced are the SDK's
"""What dynamixel-sdk 4.1.0 gets wrong, mended in this one place.

- Byte stuffing on the way out is computed and thrown away: done here.
- Un-stuffing loses bytes in rare payloads: done here.
- A fast reply in which one servo is missing, or one byte is wrong, is lost whole: here the blocks before count.
- Packet timeouts count a USB latency of 16 ms on the wall clock: 1 ms here, on the injected clock.
- After an exception on the line the port says busy for ever: it never does here.
- A late reply of another length is cut to size and taken for the awaited one: dropped here.
- A corrupt reply ends a group read: here the decoder looks on for the next header.
- The CRC table is built anew for each packet: once here.

The SDK's own instruction builders (ping, read, write, sync read, sync write, reboot) are used as they are.
"""

from collections.abc import Sequence
from typing import Any

from dynamixel_sdk import PortHandler
from dynamixel_sdk.protocol2_packet_handler import Protocol2PacketHandler
from dynamixel_sdk.robotis_def import (
    BROADCAST_ID,
    COMM_RX_CORRUPT,
    COMM_RX_TIMEOUT,
    COMM_SUCCESS,
    COMM_TX_ERROR,
    MAX_ID,
)

from animaface.robot.face.clock import Clock
from animaface.robot.transport import Transport

LATENCY_TIMER_MS = 1.0
_HEADER = b"\xff\xff\xfd\x00"
_PATTERN, _STUFFED = b"\xff\xff\xfd", b"\xff\xff\xfd\xfd"
_STATUS = 0x55
_MAX_PACKET = 1024
_TICK_S = 1e-7  # times nearer than this are the same: sums of floats must not wait for ever


def _crc_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1) ^ 0x8005 if crc & 0x8000 else crc << 1
        table.append(crc & 0xFFFF)
    return tuple(table)


_CRC_TABLE = _crc_table()


def crc16(data: Sequence[int], crc: int = 0) -> int:
    """CRC-16/BUYPASS (polynomial 0x8005, start 0), as Protocol 2.0 wants it."""
    for byte in data:
        crc = ((crc << 8) & 0xFFFF) ^ _CRC_TABLE[(crc >> 8) ^ byte]
    return crc


class LinePort(PortHandler):  # type: ignore[misc]
    """The SDK's port over our Transport and Clock: no wall time, so it runs in lock-step too."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        super().__init__("transport")
        self._transport = transport
        self._clock = clock
        self._deadline_s = 0.0
        self.baudrate = transport.baud
        self.tx_time_per_byte = 10_000.0 / transport.baud
        self.margin_s = (2.0 * LATENCY_TIMER_MS + 2.0) * 1e-3
        self.is_open = True

    def closePort(self) -> None:
        """Close the transport."""
        self._transport.close()
        self.is_open = False

    def clearPort(self) -> None:
        """Forget what came in and nobody read."""
        self._transport.discard_input()

    def readPort(self, length: int) -> bytes:
        """What has arrived; when that is less than `length`, wait until the packet's deadline for the rest."""
        data = self._transport.read(_MAX_PACKET * 4, 0.0)
        left_s = self._deadline_s - self._clock.now_s()
        if len(data) < length and left_s > _TICK_S:
            data += self._transport.read(length - len(data), left_s)
        return data

    def writePort(self, packet: bytes) -> int:
        """Send all."""
        self._transport.write(bytes(packet))
        return len(packet)

    def setPacketTimeout(self, packet_length: int) -> None:
        """The reply's time on the wire and the latency of the adapter."""
        self._deadline_s = self._clock.now_s() + self.tx_time_per_byte * 1e-3 * packet_length + self.margin_s

    def setPacketTimeoutMillis(self, msec: float) -> None:
        """A deadline `msec` from now."""
        self._deadline_s = self._clock.now_s() + msec * 1e-3

    def isPacketTimeout(self) -> bool:
        """Whether the deadline is past."""
        return self._clock.now_s() >= self._deadline_s - _TICK_S

    def getCurrentTime(self) -> float:
        """Milliseconds of the injected clock."""
        return self._clock.now_s() * 1e3


class MendedPacketHandler(Protocol2PacketHandler):  # type: ignore[misc]
    """The SDK's packet handler with the ways in and out replaced. `crc_errors` counts bad replies.

    `expected`: how many data bytes the awaited reply has; one of another length is the late answer to
    an earlier question and is dropped (the SDK would cut it to size). None: any. `keep_input`: an
    instruction that nobody answers does not forget the answers that are still on their way.
    """

    def __init__(self) -> None:
        super().__init__()
        self._buffer = bytearray()
        self.crc_errors = 0
        self.expected: int | None = None
        self.keep_input = False

    def updateCRC(self, crc_accum: int, data_blk_ptr: Sequence[int], data_blk_size: int) -> int:
        """CRC of the first `data_blk_size` bytes."""
        return crc16(data_blk_ptr[:data_blk_size], crc_accum)

    def txPacket(self, port: Any, txpacket: Sequence[int]) -> int:
        """Stuff, frame, send. The SDK left room for header and CRC in `txpacket`."""
        length = txpacket[5] | txpacket[6] << 8
        body = bytes(txpacket[7 : 7 + length - 2]).replace(_PATTERN, _STUFFED)
        if len(body) + 9 > _MAX_PACKET:
            return int(COMM_TX_ERROR)
        packet = bytearray(_HEADER)
        packet.append(txpacket[4])
        packet += (len(body) + 2).to_bytes(2, "little")
        packet += body
        packet += crc16(packet).to_bytes(2, "little")
        if not self.keep_input:
            self._buffer.clear()
            port.clearPort()
        port.writePort(packet)
        return int(COMM_SUCCESS)

    def rxPacket(self, port: Any, fast_option: bool) -> tuple[list[int], int]:
        """The next status packet, un-stuffed, until the port's deadline."""
        del fast_option  # see fast_blocks
        bad_before = self.crc_errors
        while True:
            packet = self._take()
            if packet is not None:
                return packet, int(COMM_SUCCESS)
            more = port.readPort(self._missing())
            self._buffer += more
            if not more and port.isPacketTimeout():
                corrupt = self._buffer or self.crc_errors > bad_before
                return [], int(COMM_RX_CORRUPT if corrupt else COMM_RX_TIMEOUT)

    def fast_blocks(self, port: Any, count: int, size: int) -> dict[int, tuple[int, bytes]]:
        """Id -> (error byte, `size` bytes) out of the fast reply of `count` servos, as far as it has come.

        All servos answer in one packet: error, id, data and a CRC over everything up to there, from each in turn.
        It stays in the buffer until it is whole, so that the next call may find more of it.
        """
        self._buffer += port.readPort(max(8 + count * (size + 4) - len(self._buffer), 1))
        while (reply := self._fast_reply()) is not None:
            out: dict[int, tuple[int, bytes]] = {}
            crc, done = 0, 0
            for at in range(8, len(reply) - size - 3, size + 4):
                end = at + 2 + size
                crc, done = crc16(reply[done:end], crc), end
                if crc != reply[end] | reply[end + 1] << 8:
                    self.crc_errors += 1
                    del self._buffer[:3]
                    return out
                out[reply[at + 1]] = reply[at], bytes(reply[at + 2 : end])
            if len(reply) == 7 + (reply[5] | reply[6] << 8):
                del self._buffer[: len(reply)]
            return out
        return {}

    def _fast_reply(self) -> bytes | None:
        """What there is of the fast reply; late answers of single servos before it are dropped."""
        while (total := self._begun()) is not None:
            if self._buffer[4] == BROADCAST_ID and self._buffer[7] == _STATUS:
                return bytes(self._buffer[:total])
            if len(self._buffer) < total:
                return None
            del self._buffer[:total]
        return None

    def _begun(self) -> int | None:
        """Length of the packet that the buffer begins with, once its header is in; noise before it is dropped."""
        buffer = self._buffer
        while (start := buffer.find(_HEADER)) >= 0:
            del buffer[:start]
            if len(buffer) < 8:
                return None
            total = 7 + (buffer[5] | buffer[6] << 8)
            if 10 <= total <= _MAX_PACKET and (buffer[4] <= MAX_ID or buffer[4] == BROADCAST_ID):
                return total
            del buffer[:3]
        del buffer[: max(len(buffer) - 3, 0)]
        return None

    def _missing(self) -> int:
        """How many bytes the packet that has begun still needs."""
        have = len(self._buffer)
        if have < 7:
            return 11 - have
        return max(7 + (self._buffer[5] | self._buffer[6] << 8) - have, 1)

    def _take(self) -> list[int] | None:
        """Cut one whole status packet of one servo out of the buffer; echoes and fast replies are dropped."""
        buffer = self._buffer
        while (total := self._begun()) is not None and len(buffer) >= total:
            if crc16(buffer[: total - 2]) != buffer[total - 2] | buffer[total - 1] << 8:
                self.crc_errors += 1
                del buffer[:3]
                continue
            packet = bytes(buffer[:total])
            del buffer[:total]
            if packet[4] == BROADCAST_ID or packet[7] != _STATUS or total < 11:
                continue  # our own instruction, echoed by the adapter
            body = packet[7:-2].replace(_STUFFED, _PATTERN)
            if self.expected not in (None, len(body) - 2) and not body[1] & 0x7F:
                continue
            return [*packet[:5], *(len(body) + 2).to_bytes(2, "little"), *body, *packet[-2:]]
        return None

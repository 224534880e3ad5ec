"""A tiny Protocol 2.0 host for tests in lock-step. CRC by dynamixel-sdk's table: independent of sim's codec."""

import struct

from dynamixel_sdk import Protocol2PacketHandler

from animaface.robot.transport import Transport

_CRC = Protocol2PacketHandler()


def request(device: int, code: int, params: bytes = b"") -> bytes:
    body = bytes([code]) + params
    body = body.replace(b"\xff\xff\xfd", b"\xff\xff\xfd\xfd")
    head = b"\xff\xff\xfd\x00" + struct.pack("<BH", device, len(body) + 2) + body
    return head + struct.pack("<H", _CRC.updateCRC(0, head, len(head)))


def read_status(line: Transport, timeout_s: float = 0.01) -> tuple[int, int, bytes] | None:
    """(id, error, parameters), None where nothing comes. Checks header, CRC and instruction byte."""
    head = line.read(7, timeout_s)
    if len(head) < 7:
        return None
    assert head[:4] == b"\xff\xff\xfd\x00"
    rest = line.read(head[5] | head[6] << 8, timeout_s)
    raw = head + rest
    assert _CRC.updateCRC(0, raw[:-2], len(raw) - 2) == struct.unpack("<H", raw[-2:])[0]
    assert rest[0] == 0x55
    body = rest[1:-2].replace(b"\xff\xff\xfd\xfd", b"\xff\xff\xfd")
    return head[4], body[0], body[1:]


class Client:
    """Ask one servo at a time."""

    def __init__(self, line: Transport) -> None:
        self.line = line

    def ask(self, device: int, code: int, params: bytes = b"") -> tuple[int, int, bytes] | None:
        self.line.write(request(device, code, params))
        return read_status(self.line)

    def read(self, device: int, address: int, size: int, *, signed: bool = False) -> int:
        answer = self.ask(device, 2, struct.pack("<HH", address, size))
        assert answer is not None
        assert answer[1] & 0x7F == 0, f"error {answer[1]}"
        return int.from_bytes(answer[2], "little", signed=signed)

    def write(self, device: int, address: int, size: int, value: int) -> int:
        """Returns the error byte."""
        data = (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        answer = self.ask(device, 3, struct.pack("<H", address) + data)
        assert answer is not None
        return answer[1]

    def sync_write(self, address: int, size: int, values: dict[int, int]) -> None:
        body = struct.pack("<HH", address, size)
        for device, value in values.items():
            body += bytes([device]) + (value & ((1 << 8 * size) - 1)).to_bytes(size, "little")
        self.line.write(request(0xFE, 0x83, body))

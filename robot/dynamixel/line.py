"""A Dynamixel line in terms of registers: the vendor's status codes become exceptions here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from dynamixel_sdk.robotis_def import COMM_SUCCESS

from animaface.robot.dynamixel.registers import ALERT, STATUS_ERRORS, Register
from animaface.robot.dynamixel.sdk import LinePort, MendedPacketHandler
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError
from animaface.robot.transport import Transport

_T = TypeVar("_T")
_RETRY_MARGIN_S = 0.012  # a busy computer answers late; a second try is patient


class NoReplyError(DeviceError):
    """A servo did not answer in time, twice."""


@dataclass(frozen=True)
class Reply:
    """What one servo answered: data, and whether it raised its alert bit."""

    data: bytes
    alert: bool


class DynamixelLine:
    """Instructions over one transport. Ids and counts; everything above speaks names and u."""

    def __init__(self, transport: Transport, clock: Clock) -> None:
        self.port = LinePort(transport, clock)
        self.packets = MendedPacketHandler()
        self.retries = 0
        self._transport = transport
        self._clock = clock
        self._awaited: tuple[int, ...] = ()

    def ping(self, servo_id: int) -> int | None:
        """Model number, or None when nobody answers."""
        self.packets.expected = 3
        try:
            model, _ = self._twice(lambda: self.packets.ping(self.port, servo_id), servo_id)
        except NoReplyError:
            return None
        return int(model)

    def read(self, servo_id: int, address: int, size: int) -> bytes:
        """`size` bytes from `address`. NoReplyError or DeviceError."""
        data, error = self._twice(lambda: self._read_once(servo_id, address, size), servo_id)
        self._check(servo_id, error, f"read of {address}")
        return bytes(data)

    def write(self, servo_id: int, register: Register, value: int) -> None:
        """Write one register and wait for the acknowledgement."""
        data = register.encode(value)
        self.packets.expected = 0

        def once() -> tuple[None, int, int]:
            result, error = self.packets.writeTxRx(self.port, servo_id, register.address, register.size, data)
            return None, result, error

        _, error = self._twice(once, servo_id)
        self._check(servo_id, error, f"write of {value} to {register.address}")

    def write_unanswered(self, servo_id: int, register: Register, value: int) -> None:
        """Write without waiting: for a servo that may be set not to answer, or everybody (id 254)."""
        data = register.encode(value)
        self.packets.writeTxOnly(self.port, servo_id, register.address, register.size, data)

    def reboot(self, servo_id: int) -> None:
        """Restart a servo; it answers again some .1 to .5 s later."""
        self.packets.expected = 0
        self.packets.reboot(self.port, servo_id)

    def sync_write(self, register: Register, values: dict[int, int]) -> None:
        """One packet with a value for each id; nobody answers."""
        params: list[int] = []
        for servo_id, value in values.items():
            params.append(servo_id)
            params += register.encode(value)
        self.packets.syncWriteTxOnly(self.port, register.address, register.size, params, len(params))

    def request(self, ids: tuple[int, ...], address: int, size: int) -> None:
        """Ask without waiting; `collect` takes the answers. One id is asked by a plain read."""
        self._awaited = ids
        self.packets.expected = size
        if len(ids) == 1:
            self.packets.readTx(self.port, ids[0], address, size)
        else:
            self.packets.syncReadTx(self.port, address, size, list(ids), len(ids), False)

    def collect(self, wait_s: float) -> dict[int, Reply]:
        """The answers to `request` that are there within `wait_s`. A servo that is missing is missing."""
        out: dict[int, Reply] = {}
        self.port.setPacketTimeoutMillis(wait_s * 1e3)
        while len(out) < len(self._awaited):
            packet, result = self.packets.rxPacket(self.port, False)
            if result != COMM_SUCCESS:
                break
            servo_id, error = packet[4], packet[8]
            if servo_id in self._awaited and not error & ~ALERT:
                out[servo_id] = Reply(bytes(packet[9:-2]), bool(error & ALERT))
        self._awaited = ()
        return out

    def sync_read(self, ids: tuple[int, ...], address: int, size: int) -> dict[int, Reply]:
        """Ask and wait; whoever did not answer the group is asked alone, once."""
        self.request(ids, address, size)
        on_wire_s = (len(ids) * (12 + size) + 14) * 10.0 / self._transport.baud
        out = self.collect(on_wire_s + self.port.margin_s)
        for servo_id in ids:
            if servo_id not in out:
                self.retries += 1
                data, result, error = self._read_once(servo_id, address, size)
                if result == COMM_SUCCESS and not error & ~ALERT:
                    out[servo_id] = Reply(bytes(data), bool(error & ALERT))
        return out

    def close(self) -> None:
        """Close the transport."""
        self.port.closePort()

    def _read_once(self, servo_id: int, address: int, size: int) -> tuple[bytes, int, int]:
        self.packets.expected = size
        data, result, error = self.packets.readTxRx(self.port, servo_id, address, size)
        return bytes(data), int(result), int(error)

    def _twice(self, once: Callable[[], tuple[_T, int, int]], servo_id: int) -> tuple[_T, int]:
        """One try and one patient retry -> (value, error byte)."""
        margin_s = self.port.margin_s
        value, result, error = once()
        if result != COMM_SUCCESS:
            self.retries += 1
            self.port.margin_s = _RETRY_MARGIN_S
            try:
                value, result, error = once()
            finally:
                self.port.margin_s = margin_s
        if result != COMM_SUCCESS:
            raise NoReplyError(
                f"servo {servo_id}: {self.packets.getTxRxResult(result)}",
                next_step="check its cable, id and baud rate: animaface ports",
            )
        return value, error

    @staticmethod
    def _check(servo_id: int, error: int, what: str) -> None:
        number = error & ~ALERT
        if number:
            raise DeviceError(f"servo {servo_id} refused the {what}: {STATUS_ERRORS.get(number, number)}")

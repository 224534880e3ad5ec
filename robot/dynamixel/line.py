"""A Dynamixel line in terms of registers: the vendor's status codes become exceptions here.

Every question can be put in pieces (`*_steps`): sent now, its answer taken when it is there, so that a
control loop never waits for a line. The blocking forms do the same pieces at once.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dynamixel_sdk.robotis_def import COMM_SUCCESS, INST_PING

from animaface.robot.bus import Patience, Steps, finish
from animaface.robot.dynamixel.registers import ALERT, STATUS_ERRORS, Register
from animaface.robot.dynamixel.sdk import LinePort, MendedPacketHandler
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError
from animaface.robot.transport import Transport

_RETRY_MARGIN_S = 0.012
_PATIENT_S = 0.050  # a busy computer reads late, an adapter with a latency timer of 16 ms hands over late
_LOOK_AGAIN_S = 0.0005


class NoReplyError(DeviceError):
    """A servo did not answer in time, twice."""


@dataclass(frozen=True)
class Reply:
    """What one servo answered. `error`: its error byte without the alert bit."""

    data: bytes
    error: int
    alert: bool


class DynamixelLine:
    """Instructions over one transport. Ids and counts; everything above speaks names and u."""

    def __init__(self, transport: Transport, clock: Clock, *, patient: bool = False) -> None:
        self.port = LinePort(transport, clock)
        self.packets = MendedPacketHandler()
        self.retries = 0
        self.patient = patient
        """Give every answer 50 ms: where nothing moves meanwhile, and before a servo is called absent."""
        self._baud = transport.baud
        self._clock = clock
        self._awaited: tuple[int, ...] = ()
        self._fast = False  # the answers come as one packet
        self._inbox: dict[int, Reply] = {}

    @property
    def busy(self) -> bool:
        """Whether an answer is still awaited."""
        return len(self._inbox) < len(self._awaited)

    # ---- questions

    def ping_steps(self, servo_id: int) -> Steps[int | None]:
        """Model number, or None when nobody answers."""
        packet = [0, 0, 0, 0, servo_id, 3, 0, INST_PING, 0, 0]
        try:
            reply = yield from self._asked(servo_id, 3, lambda: self.packets.txPacket(self.port, packet))
        except NoReplyError:
            return None
        return int.from_bytes(reply.data[:2], "little")

    def read_steps(self, servo_id: int, address: int, size: int) -> Steps[bytes]:
        """`size` bytes from `address`. NoReplyError or DeviceError."""
        reply = yield from self._asked(
            servo_id, size, lambda: self.packets.readTx(self.port, servo_id, address, size)
        )
        _check(servo_id, reply.error, f"read of {address}")
        return reply.data

    def write_steps(self, servo_id: int, register: Register, value: int) -> Steps[None]:
        """Write one register and wait for the acknowledgement."""
        reply = yield from self._asked(servo_id, 0, lambda: self.write_unanswered(servo_id, register, value))
        _check(servo_id, reply.error, f"write of {value} to {register.address}")

    def ping(self, servo_id: int) -> int | None:
        """`ping_steps` at once."""
        return finish(self.ping_steps(servo_id), self._clock)

    def read(self, servo_id: int, address: int, size: int) -> bytes:
        """`read_steps` at once."""
        return finish(self.read_steps(servo_id, address, size), self._clock)

    def write(self, servo_id: int, register: Register, value: int) -> None:
        """`write_steps` at once."""
        finish(self.write_steps(servo_id, register, value), self._clock)

    def write_unanswered(self, servo_id: int, register: Register, value: int) -> None:
        """Write without waiting: for a servo that may be set not to answer."""
        data = register.encode(value)
        self.packets.writeTxOnly(self.port, servo_id, register.address, register.size, data)

    def reboot_steps(self, servo_id: int) -> Steps[None]:
        """Restart a servo; it hears again some .1 to .5 s after its acknowledgement."""
        packet = [0, 0, 0, 0, servo_id, 3, 0, 8, 0, 0]
        yield from self._asked(servo_id, 0, lambda: self.packets.txPacket(self.port, packet))

    # ---- many at once

    def sync_write(self, register: Register, values: dict[int, int]) -> None:
        """One packet with a value for each id; nobody answers."""
        params: list[int] = []
        for servo_id, value in values.items():
            params.append(servo_id)
            params += register.encode(value)
        self.packets.keep_input = self.busy
        self.packets.syncWriteTxOnly(self.port, register.address, register.size, params, len(params))

    def request(self, ids: tuple[int, ...], address: int, size: int, *, fast: bool = False) -> None:
        """Ask without waiting; `collect` takes the answers. One id is asked by a plain read; `fast`: by Fast Sync
        Read, whose one reply needs 4 bytes a servo beside the data instead of 11."""
        self._await(ids, size)
        self._fast = fast and len(ids) > 1
        if len(ids) == 1:
            self.packets.readTx(self.port, ids[0], address, size)
        else:
            self.packets.syncReadTx(self.port, address, size, list(ids), len(ids), self._fast)

    def fast_steps(self, ids: tuple[int, ...], address: int, size: int) -> Steps[bool]:
        """Whether all of `ids` answer to a Fast Sync Read, which older firmware does not know."""
        on_wire_s = (2 * len(ids) + 22 + len(ids) * (size + 4)) * 10.0 / self._baud
        for _ in range(2):
            self.request(ids, address, size, fast=True)
            yield on_wire_s
            patience = Patience(self._clock, _RETRY_MARGIN_S)
            while True:
                self.poll()
                if not self.busy:
                    self._await((), 0)
                    return True
                if patience.over():
                    break
                yield _LOOK_AGAIN_S
        self._await((), 0)
        return False

    def poll(self, wait_s: float = 0.0) -> None:
        """Take in the awaited answers that are there within `wait_s`."""
        self.port.setPacketTimeoutMillis(wait_s * 1e3)
        while self.busy and self._fast:
            size = self.packets.expected or 0
            blocks = self.packets.fast_blocks(self.port, len(self._awaited), size)
            for servo_id, (error, data) in blocks.items():
                if servo_id in self._awaited:
                    self._inbox[servo_id] = Reply(data, error & ~ALERT, bool(error & ALERT))
            if self.port.isPacketTimeout():
                break
        while self.busy and not self._fast:
            packet, result = self.packets.rxPacket(self.port, False)
            if result != COMM_SUCCESS:
                break
            if packet[4] in self._awaited:
                reply = Reply(bytes(packet[9:-2]), packet[8] & ~ALERT, bool(packet[8] & ALERT))
                self._inbox[packet[4]] = reply

    def collect(self, wait_s: float) -> dict[int, Reply]:
        """The answers to `request` that are there within `wait_s`. A servo that is missing is missing."""
        self.poll(wait_s)
        out = {sid: r for sid, r in self._inbox.items() if not r.error}
        self._await((), 0)
        return out

    def sync_read(self, ids: tuple[int, ...], address: int, size: int) -> dict[int, Reply]:
        """Ask and wait; whoever did not answer the group is asked alone, once."""
        self.request(ids, address, size)
        out = self.collect((len(ids) * (12 + size) + 14) * 10.0 / self._baud + _RETRY_MARGIN_S)
        for servo_id in ids:
            if servo_id not in out:
                self.retries += 1
                self.request((servo_id,), address, size)
                out |= self.collect((26 + size) * 10.0 / self._baud + self.port.margin_s)
        return out

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Ask something else meanwhile: the answer that is awaited is taken in first and kept."""
        if not self._awaited:
            yield
            return
        self.poll(_PATIENT_S)
        kept = self._awaited, self._inbox, self.packets.expected, self._fast
        try:
            yield
        finally:
            self._awaited, self._inbox, self.packets.expected, self._fast = kept

    def close(self) -> None:
        """Close the transport."""
        self.port.closePort()

    # ---- inside

    def _await(self, ids: tuple[int, ...], size: int) -> None:
        self._awaited, self._inbox, self._fast = ids, {}, False
        self.packets.keep_input = False
        self.packets.expected = size

    def _asked(self, servo_id: int, size: int, send: Callable[[], object]) -> Steps[Reply]:
        """Send, take the answer when it is there, once more when it is not."""
        on_wire_s = (30 + size) * 10.0 / self._baud
        margins = (_PATIENT_S, _PATIENT_S) if self.patient else (self.port.margin_s, _RETRY_MARGIN_S)
        for margin_s in margins:
            self._await((servo_id,), size)
            send()
            yield on_wire_s
            patience = Patience(self._clock, margin_s)
            while True:
                self.poll(0.0)
                reply = self._inbox.get(servo_id)
                if reply is not None:
                    self._await((), 0)
                    return reply
                if patience.over():
                    break
                yield _LOOK_AGAIN_S
            self.retries += 1
        self._await((), 0)
        raise NoReplyError(
            f"no answer under id {servo_id}", next_step="check its cable, id and baud rate: animaface ports"
        )


def _check(servo_id: int, error: int, what: str) -> None:
    if error:
        raise DeviceError(f"servo {servo_id} refused the {what}: {STATUS_ERRORS.get(error, error)}")

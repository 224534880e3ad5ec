"""A line to one servo board: commands with sequence numbers, one retry, answers taken when they come."""

from collections.abc import Callable

from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError, TransportError
from animaface.robot.servo_board.frames import STATUS_TEXT, Ack, Command, Decoder, Frame, encode
from animaface.robot.transport import Transport

REPLY_S = 0.020
_RETRY_S = 0.060  # a busy computer reads late; the second try is patient


class BoardLine:
    """Frames over one transport. `on_answer` gets every answer that `send` did not wait for."""

    def __init__(self, transport: Transport, clock: Clock, on_answer: Callable[[Frame], None]) -> None:
        self._transport = transport
        self._clock = clock
        self._decoder = Decoder()
        self._on_answer = on_answer
        self._sequence = 0
        self.retries = 0
        transport.write(b"\0")  # cuts off whatever noise came before

    @property
    def bad_frames(self) -> int:
        """Frames that came in broken."""
        return self._decoder.bad

    def send(self, command: Command, payload: bytes = b"") -> int:
        """Send without waiting -> sequence of the command."""
        return self._send(command, payload)[0]

    def poll(self, wait_s: float = 0.0) -> None:
        """Hand the answers that are there, or come within `wait_s`, to `on_answer`."""
        data = self._transport.read(4096, 0.0)
        if not data and wait_s > 0.0:
            data = self._transport.read(1, wait_s) + self._transport.read(4096, 0.0)
        for frame in self._decoder.push(data):
            self._on_answer(frame)

    def ask(self, command: Command, payload: bytes = b"", *, try_s: float = REPLY_S) -> bytes:
        """Send, wait, once again with the same bytes -> payload of the answer. DeviceError when silent."""
        sequence, raw = self._send(command, payload)
        answer = self._await(command, sequence, try_s)
        if answer is None:
            self.retries += 1
            self._transport.write(b"\0" + raw)
            answer = self._await(command, sequence, max(try_s, _RETRY_S))
        if answer is None:
            raise DeviceError(
                f"the servo board does not answer to {command.name}",
                next_step="check its power and the baud rate",
            )
        return answer

    def order(self, command: Command, payload: bytes = b"") -> Ack:
        """`ask` for a command that is acknowledged; DeviceError when it is refused."""
        ack = Ack.of(self.ask(command, payload))
        if ack.status:
            about = "" if ack.channel == 255 else f" (channel {ack.channel})"
            raise DeviceError(
                f"the servo board refused {command.name}: {STATUS_TEXT.get(ack.status, ack.status)}{about}",
                next_step="close the emergency stop" if ack.status == 12 else "",
            )
        return ack

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def _send(self, command: Command, payload: bytes) -> tuple[int, bytes]:
        self._sequence = (self._sequence + 1) % 256
        raw = encode(command, self._sequence, payload)
        self._transport.write(raw)
        return self._sequence, raw

    def _await(self, command: Command, sequence: int, timeout_s: float) -> bytes | None:
        deadline_s = self._clock.now_s() + timeout_s
        while True:
            data = self._transport.read(4096, 0.0)
            if not data:
                left_s = deadline_s - self._clock.now_s()
                if left_s < 1e-7:
                    return None
                data = self._transport.read(1, left_s)
            found = None
            for frame in self._decoder.push(data):
                if frame.type == command | 0x80 and frame.sequence == sequence:
                    found = frame.payload
                else:
                    self._on_answer(frame)
            if found is not None:
                if len(found) < 5:
                    raise TransportError(f"the servo board's answer to {command.name} is too short")
                return found

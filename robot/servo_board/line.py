"""A line to one servo board: commands with sequence numbers, one retry, answers taken when they come."""

from collections.abc import Callable

from animaface.robot.bus import Patience, Steps
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError
from animaface.robot.servo_board.frames import STATUS_TEXT, Ack, Command, Decoder, Frame, encode
from animaface.robot.transport import Transport

REPLY_S = 0.020
_LOOK_AGAIN_S = 0.001
_RETRY_S = 0.060  # a busy computer reads late; the second try is patient


class BoardLine:
    """Frames over one transport. `on_answer` gets every answer that `send` did not wait for."""

    def __init__(self, transport: Transport, clock: Clock, on_answer: Callable[[Frame], None]) -> None:
        self._transport = transport
        self._clock = clock
        self._decoder = Decoder()
        self._on_answer = on_answer
        self._sequence = 0
        self._awaited: tuple[int, int] | None = None
        self._answer: bytes | None = None
        self.retries = 0
        transport.write(b"\0")  # cuts off whatever noise came before

    @property
    def bad_frames(self) -> int:
        """Frames that came in broken."""
        return self._decoder.bad

    def send(self, command: Command, payload: bytes = b"") -> int:
        """Send without waiting -> sequence of the command; the answer goes to `on_answer`."""
        return self._send(command, payload)[0]

    def poll(self, wait_s: float = 0.0) -> None:
        """Take in the answers that are there, or come within `wait_s`."""
        data = self._transport.read(4096, 0.0)
        if not data and wait_s > 0.0:
            data = self._transport.read(1, wait_s) + self._transport.read(4096, 0.0)
        for frame in self._decoder.push(data):
            if self._awaited == (frame.type, frame.sequence):
                self._answer = frame.payload
            else:
                self._on_answer(frame)

    def ask_steps(self, command: Command, payload: bytes = b"") -> Steps[bytes]:
        """Send, take the answer when it is there, once again with the same bytes. DeviceError when silent."""
        sequence, raw = self._send(command, payload)
        for patience_s in (REPLY_S, _RETRY_S):
            self._awaited, self._answer = (command | 0x80, sequence), None
            patience = Patience(self._clock, patience_s)
            while not patience.over():
                yield _LOOK_AGAIN_S
                self.poll()
                answer = self._take_answer()
                if answer is not None:
                    if len(answer) < 5:
                        raise DeviceError(f"the servo board's answer to {command.name} is too short")
                    return answer
            if patience_s == REPLY_S:
                self.retries += 1
                self._transport.write(b"\0" + raw)
        self._awaited = None
        raise DeviceError(
            f"the servo board does not answer to {command.name}",
            next_step="check its power and the baud rate",
        )

    def order_steps(self, command: Command, payload: bytes = b"", *, tolerated: int = 0) -> Steps[Ack]:
        """`ask_steps` for a command that is acknowledged; DeviceError when it is refused, but for the status
        `tolerated`."""
        ack = Ack.of((yield from self.ask_steps(command, payload)))
        if ack.status not in (0, tolerated):
            about = "" if ack.channel == 255 else f" (channel {ack.channel})"
            raise DeviceError(
                f"the servo board refused {command.name}: {STATUS_TEXT.get(ack.status, ack.status)}{about}",
                next_step="close the emergency stop" if ack.status == 12 else "",
            )
        return ack

    def close(self) -> None:
        """Close the transport."""
        self._transport.close()

    def _take_answer(self) -> bytes | None:
        if self._answer is not None:
            self._awaited = None
        return self._answer

    def _send(self, command: Command, payload: bytes) -> tuple[int, bytes]:
        self._sequence = (self._sequence + 1) % 256
        raw = encode(command, self._sequence, payload)
        self._transport.write(raw)
        return self._sequence, raw

"""Stop everything that moves: processes of ours by a signal, then every line by its own torque-off.

A process that hears rests and releases by itself. One that does not is killed, and its lines are opened
here: torque off for everybody on a Dynamixel line, STOP and RELEASE on a servo board.
"""

import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from animaface.robot.bringup.ports import holder
from animaface.robot.bus import finish
from animaface.robot.config import FaceConfig
from animaface.robot.dynamixel import registers as reg
from animaface.robot.dynamixel.line import DynamixelLine
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError, TransportError
from animaface.robot.running import Running, running
from animaface.robot.servo_board import frames
from animaface.robot.servo_board.frames import Command
from animaface.robot.servo_board.line import BoardLine
from animaface.robot.servos import BusKind
from animaface.robot.transport import Transport

EVERYBODY: Final = 254
REST_S: Final = 3.0
"""A process may take so long to rest; then it is killed and its lines are let go from here."""
_FREED_S: Final = 0.5
_LOOK_S: Final = 0.005
_UNKNOWN_BAUDS: Final = (1_000_000, 57_600, 115_200, 2_000_000, 3_000_000, 4_000_000)


@dataclass(frozen=True)
class HaltLine:
    """A line to let go. `kind` None: nobody knows what hangs on it, so both are told."""

    path: str
    kind: BusKind | None = None
    baud: int = 1_000_000
    ids: tuple[int, ...] = ()


@dataclass
class Halted:
    """What was done. `problems`: a line or process that may still move, and what to do about it."""

    rested: list[Running] = field(default_factory=list)
    killed: list[Running] = field(default_factory=list)
    released: list[str] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)


def lines_of(config: FaceConfig, ports: Mapping[str, str] | None = None) -> list[HaltLine]:
    """Every bus of a face; `ports`: bus -> path, for those that differ from the config."""
    return [
        HaltLine((ports or {}).get(name, bus.port), bus.kind, bus.baud,
                 tuple(a.id for a in config.on_bus(name) if a.id is not None))
        for name, bus in config.buses.items()
    ]  # fmt: skip


def halt_processes(
    clock: Clock, *, at_once: bool = False, rest_s: float = REST_S, asked: Sequence[Running] = ()
) -> Halted:
    """Tell every process of ours to rest and release, and wait; `at_once`: kill them all. `asked`: those
    that were told already."""
    done = Halted()
    new = [r for r in running() if r not in asked]
    told = [*asked, *new]
    for r in new:
        if at_once:
            r.tell(signal.SIGKILL)
        else:
            r.tell(signal.SIGTERM)
            r.tell(signal.SIGCONT)  # one that was stopped must wake to hear
    deadline_s = clock.now_s() + rest_s
    while any(r.alive for r in told) and clock.now_s() < deadline_s:
        clock.sleep_until_s(clock.now_s() + _LOOK_S)
    for r in told:
        late = r.alive
        if late and not r.tell(signal.SIGKILL) and r.alive:
            done.problems.append((f"process {r.pid} ({r.what}) can't be ended", f"sudo kill -9 {r.pid}"))
        (done.killed if late or at_once else done.rested).append(r)
    return done


def halt_lines(
    lines: Sequence[HaltLine], open_at: Callable[[str, int], Transport], clock: Clock, done: Halted
) -> None:
    """Torque off on every line; what can't be reached goes into `done.problems`."""
    if done.killed:
        open_at = _patient(open_at, clock)
    for line in lines:
        try:
            if line.kind == "dynamixel":
                still_on = _release_servos(line, open_at(line.path, line.baud), clock)
                if still_on:
                    ids = ", ".join(str(i) for i in still_on)
                    done.problems.append((f"{line.path}: id {ids} keeps its torque", "switch its power off"))
                    continue
            elif line.kind == "servo_board":
                _release_board(open_at(line.path, line.baud), clock)
            else:
                _release_unknown(line.path, open_at, clock)
        except TransportError as e:
            who = holder(line.path)
            by = f" by {who}" if who else ""
            mend = "end that program, then animaface stop" if who else e.next_step
            done.problems.append((f"{e.message}{by}", mend))
            continue
        except DeviceError as e:
            done.problems.append((f"{line.path}: {e.message}", "switch the servos' power off"))
            continue
        done.released.append(line.path)


def _patient(open_at: Callable[[str, int], Transport], clock: Clock) -> Callable[[str, int], Transport]:
    """A killed process may be gone for its parent while its last thread still holds the port for a moment."""

    def opened(path: str, baud: int) -> Transport:
        give_up_s = clock.now_s() + _FREED_S
        while True:
            try:
                return open_at(path, baud)
            except TransportError:
                if clock.now_s() >= give_up_s:
                    raise
            clock.sleep_until_s(clock.now_s() + _LOOK_S)

    return opened


def _release_servos(line: HaltLine, transport: Transport, clock: Clock) -> list[int]:
    """Ids of the line that say that their torque is still on."""
    try:
        wire = DynamixelLine(transport, clock)
        for _ in range(2):  # nobody acknowledges a broadcast
            wire.write_unanswered(EVERYBODY, reg.TORQUE_ENABLE, 0)
        _drain(transport, clock)
        replies = wire.sync_read(line.ids, reg.TORQUE_ENABLE.address, 1) if line.ids else {}
        return [i for i, r in replies.items() if r.data != b"\0"]
    finally:
        transport.close()


def _release_board(transport: Transport, clock: Clock) -> None:
    """DeviceError when the board does not confirm."""
    try:
        wire = BoardLine(transport, clock, lambda _: None)
        finish(wire.ask_steps(Command.HELLO, frames.hello(0)), clock)
        finish(wire.order_steps(Command.STOP), clock)
        finish(wire.order_steps(Command.RELEASE, bytes((frames.ALL_CHANNELS,))), clock)
    finally:
        transport.close()


def _release_unknown(path: str, open_at: Callable[[str, int], Transport], clock: Clock) -> None:
    """Both kinds are told, at every speed; nobody is asked to confirm."""
    for baud in _UNKNOWN_BAUDS:
        transport = open_at(path, baud)
        try:
            if baud == _UNKNOWN_BAUDS[0]:
                board = BoardLine(transport, clock, lambda _: None)
                board.send(Command.HELLO, frames.hello(0))
                board.send(Command.STOP)
                board.send(Command.RELEASE, bytes((frames.ALL_CHANNELS,)))
            wire = DynamixelLine(transport, clock)
            for _ in range(2):
                wire.write_unanswered(EVERYBODY, reg.TORQUE_ENABLE, 0)
            _drain(transport, clock)
        finally:
            transport.close()


def _drain(transport: Transport, clock: Clock) -> None:
    """Let some 100 bytes leave before the line is closed or asked."""
    clock.sleep_until_s(clock.now_s() + 0.002 + 1000.0 / transport.baud)

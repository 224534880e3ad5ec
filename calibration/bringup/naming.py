"""`init`: one question for each servo that answered, and a face file that loads comes out."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from animaface.calibration.prompter import Prompter
from animaface.robot.bringup.draft import Draft
from animaface.robot.bringup.scan import FoundServo, OpenAt, PortAnswer
from animaface.robot.dynamixel.line import DynamixelLine
from animaface.robot.dynamixel.registers import LED
from animaface.robot.face.clock import Clock
from animaface.robot.face.errors import DeviceError, InputError, TransportError
from animaface.robot.parts import PARTS
from animaface.robot.servos import SERVO_MODELS

SKIP: Final = "skip"
NO_MORE: Final = "no-more"
"""Nothing further on this line belongs to the face."""

PWM_MODELS: Final = tuple(name for name, m in SERVO_MODELS.items() if m.bus_kind == "servo_board")

OpenPort = Callable[[str], OpenAt]
"""Path of a port -> how to open it at a baud rate."""


def name_servos(
    answers: Sequence[PortAnswer], draft: Draft, prompter: Prompter, open_port: OpenPort, clock: Clock
) -> Draft:
    """Ask for every servo of `answers` that `draft` does not know yet. Its light is on while it is asked for.

    Raises InputError when nothing was found, or nothing was named and there was no file before.
    """
    if not any(a.servos or a.board for a in answers):
        told = "; ".join(f"{a.port.path}: {a.problem or 'nobody answers'}" for a in answers)
        raise InputError(
            f"no servo and no servo board answered ({told or 'no serial port with a USB identity'})",
            next_step="check power and cables, then animaface ports",
        )
    for answer in answers:
        bus = draft.bus_for(answer)
        if bus is None:
            continue
        if answer.board is not None:
            _name_channels(bus, answer, draft, prompter)
        else:
            _name_dynamixels(bus, answer, draft, prompter, open_port(answer.port.path), clock)
    if not draft.actuators and draft.known is None:
        raise InputError("no servo was given a part: nothing to write", next_step="animaface init, once more")
    return draft


def _options(draft: Draft, *more: str) -> list[str]:
    """Skip first (the answer that changes nothing), then the parts that nobody has, then the others."""
    taken = draft.parts_taken
    free = [p for p in PARTS if p not in taken]
    return [SKIP, *more, *free, *(p for p in PARTS if p in taken)]


def _name_dynamixels(
    bus: str, answer: PortAnswer, draft: Draft, prompter: Prompter, open_at: OpenAt, clock: Clock
) -> None:
    baud = draft.baud_of(bus)
    unfit = [s for s in answer.servos if s.baud != baud or not s.model]
    for s in unfit:
        why = f"talks at {s.baud} baud, the others at {baud}" if s.model else "is no model this product knows"
        prompter.say(f"{answer.port.path}: {s.title} with id {s.id} is left out: it {why}")
    servos = [s for s in answer.servos if s not in unfit and not draft.name_at(bus, s.id)]
    for k, servo in enumerate(servos):
        prompter.progress(k, len(servos), f"{answer.port.path}: which servo is which")
        where = f"{servo.title} with id {servo.id} on {answer.port.path} (its light is on now)"
        with _light(open_at, servo, clock):
            part = prompter.choose(f"{where}: which part of the face does it move?", _options(draft, NO_MORE))
        if part == NO_MORE:
            return
        if part != SKIP:
            draft.add_servo(bus, servo, part)


def _name_channels(bus: str, answer: PortAnswer, draft: Draft, prompter: Prompter) -> None:
    board = answer.board
    if board is None:
        return
    prompter.say(
        f"A servo board (id {board.board_id}, {board.n_channels} channels) answers on {answer.port.path}. "
        "It cannot tell which channels have a servo."
    )
    where = f"board {board.board_id} on {answer.port.path}"
    model = ""
    for channel in range(board.n_channels):
        if draft.name_at(bus, channel):
            continue
        question = f"channel {channel} of {where}: which part of the face does it move?"
        part = prompter.choose(question, _options(draft, NO_MORE))
        if part == NO_MORE:
            return
        if part == SKIP:
            continue
        model = model or prompter.choose(f"Which servos does {where} drive?", PWM_MODELS)
        draft.add_channel(bus, channel, model, part)


@contextlib.contextmanager
def _light(open_at: OpenAt, servo: FoundServo, clock: Clock) -> Iterator[None]:
    """The servo's own light; a servo that can't is asked for in the dark."""
    _set_light(open_at, servo, clock, 1)
    try:
        yield
    finally:
        _set_light(open_at, servo, clock, 0)


def _set_light(open_at: OpenAt, servo: FoundServo, clock: Clock, on: int) -> None:
    with contextlib.suppress(TransportError, DeviceError):
        transport = open_at(servo.baud)
        try:
            DynamixelLine(transport, clock).write(servo.id, LED, on)
        finally:
            transport.close()

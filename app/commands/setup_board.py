"""`animaface setup-board`: what belongs to a servo board: its id, the oscillators of its PCA9685s, its sensors."""

import select
import sys
from typing import Annotated

import typer

from animaface.app import options as opt
from animaface.app.asking import ended_by_signals
from animaface.app.console import emit_json, err, table
from animaface.app.lines import open_line
from animaface.robot.bringup.board_setup import (
    CHIPS,
    KEYS,
    NOMINAL,
    BoardAtHand,
    oscillator_from_hz,
    oscillator_from_pulse,
)  # fmt: skip
from animaface.robot.bringup.scan import BOARD_BAUD
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import InputError
from animaface.robot.running import announced
from animaface.robot.serial_transport import find_port

NAME = "setup-board"
EXAMPLE = "animaface setup-board usb:2341:0042 --chip 0x40"


def run(
    port: Annotated[str, typer.Argument(help="The board's port: a path or usb:VID:PID[:SERIAL].")],
    board_id: Annotated[int | None, typer.Option("--id", min=1, max=254, help="Give it this id.")] = None,
    chip: Annotated[
        str | None, typer.Option(help="Measure the oscillator of the PCA9685 at 0x40, 0x41 or 0x42.")
    ] = None,
    channel: Annotated[int | None, typer.Option(help="With --chip: measure at this channel.")] = None,
    measured_hz: Annotated[
        float | None, typer.Option(help="With --chip: frame rate you measured while 50 Hz were asked for.")
    ] = None,
    measured_us: Annotated[
        float | None, typer.Option(help="With --chip: pulse you measured while 1500 us were asked for.")
    ] = None,
    value: Annotated[
        list[str] | None, typer.Option("--set", help=f"NAME=NUMBER; names: {', '.join(KEYS[4:])}.")
    ] = None,
    json: opt.Json = False,
) -> None:
    """Show and change what a servo board keeps: id, PCA9685 oscillators, supply limits.

    With --chip alone it puts 1500 us at 50 Hz on a channel and asks what a multimeter (Hz) or a scope shows.
    """
    clock, path = RealClock(), find_port(port)
    with ended_by_signals(), announced("board", {"board": path}, NAME):
        board = BoardAtHand(open_line(path, BOARD_BAUD), clock)
        try:
            wanted = _wanted(board_id, value or [])
            if chip is not None:
                wanted[f"oscillator_{chip}"] = _oscillator(board, chip, channel, measured_hz, measured_us)
            for name, number in wanted.items():
                board.change(name, number)
            setup = board.setup()
        finally:
            board.close()
    if json:
        emit_json({"port": path, "firmware": board.hello.firmware, "changed": wanted, "setup": setup})
        return
    rows = [
        (name, str(v), _meaning(name, v), "changed" if name in wanted else "") for name, v in setup.items()
    ]
    table(f"servo board on {path}, firmware {board.hello.firmware}", ("what", "value", "meaning", ""), rows)


def _wanted(board_id: int | None, options: list[str]) -> dict[str, int]:
    wanted = {} if board_id is None else {"board_id": board_id}
    for option in options:
        name, equals, number = option.partition("=")
        if not equals or not number.isdigit():
            raise InputError(f"--set {option!r}: wanted NAME=NUMBER, such as least_supply_mv=4800")
        wanted[name] = int(number)
    return wanted


def _oscillator(
    board: BoardAtHand, chip: str, channel: int | None, measured_hz: float | None, measured_us: float | None
) -> int:
    """Setup value of one chip, from what was measured, now or before with the value that stands."""
    first = board.first_channel(chip) if channel is None else channel
    set_now = board.setup().get(f"oscillator_{chip}", NOMINAL)
    if chip not in CHIPS or (measured_hz is not None and measured_us is not None):
        raise InputError("give --measured-hz or --measured-us, not both")
    if measured_hz is None and measured_us is None:
        measured_hz = _ask(board, first)
    if measured_us is not None:
        return oscillator_from_pulse(measured_us, set_now)
    return oscillator_from_hz(measured_hz or 0.0, set_now)


def _ask(board: BoardAtHand, channel: int) -> float:
    """The pulse goes out until the person has written down a number."""
    err.print(
        f"Unplug the servos of this chip. Channel {channel} puts out 1500 us at 50 Hz now.", markup=False
    )
    err.print("Frame rate that you measure there, Hz: ", end="", markup=False)
    with board.pulsing(channel):
        while not select.select([sys.stdin], [], [], 0.1)[0]:
            board.keep()
        line = sys.stdin.readline().strip().replace(",", ".")
    try:
        return float(line)
    except ValueError:
        raise InputError(
            f"{line!r} is no frame rate", next_step="animaface setup-board ... --measured-hz 50.9"
        ) from None


def _meaning(name: str, value: int) -> str:
    if name.startswith("oscillator"):
        return f"{100.0 * (value / NOMINAL - 1.0):+.2f} %" if value != NOMINAL else "not measured"
    return "" if value or name == "board_id" else "not used"

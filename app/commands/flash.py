"""`animaface flash`: put the firmware that the package carries on a servo board, and ask the board for it after."""

import hashlib
import json as json_format
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from animaface.app import options as opt
from animaface.app.console import emit_json, err, out
from animaface.robot.face.clock import RealClock
from animaface.robot.face.errors import (
    DeviceError,
    InputError,
    MissingDependencyError,
    TransportError,
    unknown_name,
)
from animaface.robot.serial_transport import SerialTransport, find_port
from animaface.robot.servo_board import frames
from animaface.robot.servo_board.frames import Command, Decoder, Hello

NAME = "flash"
EXAMPLE = "animaface flash mega --port /dev/ttyACM0"

BOARDS = {"mega": "usb:2341:0042", "rp2040": ""}
PREBUILT = Path(__file__).resolve().parents[2] / "firmware" / "prebuilt"
"""Beside the sources in a checkout, inside the package in an installation."""
_BAUD = 1_000_000
_GREET_S = 4.0  # the boot loader sits there for a while after the reset
_LISTEN_S = 0.1


@dataclass(frozen=True)
class Image:
    """A firmware image and what the board must say once it runs."""

    path: Path
    version: str
    protocol: int


def find_image(board: str) -> Image:
    """The image for `board`, its checksum verified.

    Raises InputError for an unknown board, a missing image or one that is not what the manifest says.
    """
    if board not in BOARDS:
        raise InputError(unknown_name("board", board, BOARDS))
    folder = PREBUILT
    try:
        manifest: dict[str, Any] = json_format.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        entry = manifest["images"][board]
        data = (folder / entry["file"]).read_bytes()
    except (OSError, KeyError, ValueError) as e:
        raise InputError(
            f"there is no prebuilt image for {board} in {folder} ({type(e).__name__}: {e})",
            next_step="in a checkout: make -C firmware prebuilt   (wants the board's compiler)",
        ) from e
    if hashlib.sha256(data).hexdigest() != entry["sha256"]:
        raise InputError(
            f"{entry['file']} is damaged: its checksum is not the one in manifest.json",
            next_step="install the package again, or make -C firmware prebuilt",
        )
    return Image(folder / entry["file"], str(manifest["version"]), int(manifest["protocol"]))


def run(
    board: Annotated[str, typer.Argument(help="Which board: mega, rp2040.")],
    port: Annotated[
        str | None,
        typer.Option(help="mega: its serial port or usb:VID:PID. rp2040: the folder of its RPI-RP2 drive."),
    ] = None,
    check: Annotated[bool, typer.Option(help="Ask the board for its version afterwards.")] = True,
    check_port: Annotated[
        str | None, typer.Option(help="Port to ask on, where it is another (rp2040: its serial adapter).")
    ] = None,
    json: opt.Json = False,
) -> None:
    """Put the servo board's firmware on a board and check the version that answers."""
    image = find_image(board)
    if board == "mega":
        path = find_port(port or BOARDS["mega"])
        write_mega(image, path)
        asked: str | None = check_port or path
    else:
        write_uf2(image, port)
        asked = check_port
    found = verify(image, find_port(asked)) if check and asked else None
    if json:
        emit_json(
            {
                "board": board,
                "image": image.path.name,
                "wanted": image.version,
                "found": found and found.firmware,
            }
        )
    elif found is None:
        out.print(f"{image.path.name} ({image.version}) is on the board; nobody asked it.", markup=False)
    else:
        out.print(
            f"The board runs firmware {found.firmware}, protocol {found.protocol}: "
            f"board id {found.board_id}, {found.n_channels} channels.",
            markup=False,
        )


def write_mega(image: Image, port: str) -> None:
    """Through the Mega's boot loader with avrdude. Raises MissingDependencyError, DeviceError."""
    if shutil.which("avrdude") is None:
        raise MissingDependencyError(
            "avrdude, which speaks to the Mega's boot loader, is not installed",
            next_step="sudo apt-get install avrdude   (macOS: brew install avrdude)",
        )
    if not Path(port).exists():
        raise TransportError(
            f"{port}: no such port", next_step="plug the board in; animaface doctor lists ports"
        )
    command = ["avrdude", "-p", "atmega2560", "-c", "wiring", "-P", port, "-b", "115200", "-D"]
    err.print(f"writing {image.path.name} through {port}", markup=False)
    done = subprocess.run(
        [*command, "-U", f"flash:w:{image.path}:i"], capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode:
        words = "\n  ".join((done.stderr or done.stdout).strip().splitlines()[-6:])
        raise DeviceError(
            f"avrdude could not write to the board on {port}:\n  {words}",
            next_step="close other programs on the port, check the cable, press reset once and try again",
        )


def write_uf2(image: Image, drive: str | None) -> None:
    """Copy onto the drive that a Pico in its boot loader shows. Raises InputError."""
    folder = Path(drive) if drive else None
    if folder is None or not (folder / "INFO_UF2.TXT").exists():
        raise InputError(
            f"{drive or 'no folder'} is not a Pico's drive (it holds INFO_UF2.TXT)",
            next_step="hold BOOTSEL while plugging the Pico in, then animaface flash rp2040 --port /media/$USER/RPI-RP2",
        )
    try:
        shutil.copyfile(image.path, folder / image.path.name)
    except OSError as e:
        raise DeviceError(
            f"the copy to {folder} failed: {e}", next_step="plug the Pico in again with BOOTSEL held"
        ) from e


def verify(image: Image, port: str) -> Hello:
    """Ask who is there. Raises DeviceError when nobody or another version answers."""
    hello = greet(port)
    if (hello.firmware, hello.protocol) != (image.version, image.protocol):
        raise DeviceError(
            f"wanted firmware {image.version} with protocol {image.protocol}, but the board on {port} says "
            f"{hello.firmware} with protocol {hello.protocol}",
            next_step="flash again; was it the right port?",
        )
    return hello


def greet(port: str) -> Hello:
    """HELLO until somebody answers, 4 s at most."""
    transport, clock, decoder = SerialTransport(port, _BAUD), RealClock(), Decoder()
    try:
        deadline_s = clock.now_s() + _GREET_S
        while clock.now_s() < deadline_s:
            transport.write(b"\0" + frames.encode(Command.HELLO, 1, frames.hello(0)))
            end_s = clock.now_s() + _LISTEN_S
            while clock.now_s() < end_s:
                for frame in decoder.push(transport.read(64, 0.005)):
                    if frame.type == Command.HELLO | 0x80 and len(frame.payload) == 17:
                        return Hello.of(frame.payload)
    finally:
        transport.close()
    raise DeviceError(
        f"{port}: the image was written, but no servo board answers at {_BAUD} baud",
        next_step="press reset; on a Mega with an old boot loader read docs/firmware.md, 'Boot loader'",
    )

"""`animaface setup-linux`: udev rules, real-time rights and a service for this machine."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from animaface.app.console import out
from animaface.app.linux import system_files, write
from animaface.robot.face.errors import ConfigError

NAME = "setup-linux"
EXAMPLE = "sudo animaface setup-linux --service 'live --face hybrid --source ws://127.0.0.1:8765'"


def run(
    service: Annotated[
        str | None,
        typer.Option(help="Also a systemd unit that runs this command of animaface from power-on."),
    ] = None,
    user: Annotated[str | None, typer.Option(help="Whom the service runs as; else who called sudo.")] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the files, write nothing.")] = False,
    root: Annotated[Path, typer.Option(help="Write below this folder, for an image of a system.")] = Path(
        "/"
    ),
) -> None:
    """Install udev rules (rights, latency timer) and real-time rights; with --service a unit, too.

    Needs root. Says what to run afterwards; changes nothing else.
    """
    who = user or os.environ.get("SUDO_USER") or os.environ.get("USER") or "root"
    command = None if service is None else _command(service)
    found = system_files(who, command)
    if show:
        for file in found:
            out.print(f"# /{file.place}\n{file.text}", markup=False, soft_wrap=True)
        return
    for path in write(found, root):
        out.print(f"wrote {path}", markup=False, soft_wrap=True)
    out.print("now: sudo udevadm control --reload && sudo udevadm trigger", markup=False, soft_wrap=True)
    out.print(f"     sudo usermod -aG dialout,audio {who}   (and log in again)", markup=False, soft_wrap=True)
    if service is not None:
        out.print("     sudo systemctl daemon-reload && sudo systemctl enable --now animaface", markup=False,
                  soft_wrap=True)  # fmt: skip


def _command(service: str) -> str:
    """The program that runs now, by its absolute path, with the arguments given."""
    words = shlex.split(service)
    if not words:
        raise ConfigError("--service is empty", next_step=EXAMPLE)
    if words[0] == "animaface":
        words = words[1:]
    program = Path(sys.argv[0])
    found = program if program.name == "animaface" and program.is_absolute() else shutil.which("animaface")
    start = [str(Path(found).absolute())] if found else [sys.executable, "-m", "animaface.app.main"]
    return shlex.join([*start, *words])

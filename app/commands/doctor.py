"""`animaface doctor`: what is here, what is missing, and the command that mends it."""

from typing import Annotated

import typer

from animaface.app import options as opt
from animaface.app.console import emit_json, table
from animaface.app.health import Finding, examine, examine_audio_loop, examine_face

NAME = "doctor"
EXAMPLE = "animaface doctor --json"

_MARK = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "missing": "[red]missing[/]"}


def run(
    face: Annotated[
        str | None, typer.Option(help="Look at the lines of this face too: who answers, return delay, ids.")
    ] = None,
    port: Annotated[
        list[str] | None, typer.Option(help="With --face: BUS=PATH, when a bus is not where the config says.")
    ] = None,
    loop: Annotated[
        bool,
        typer.Option(
            "--audio-loop", help="Play clicks, hear them by a microphone, measure the card's delay."
        ),
    ] = False,
    output: Annotated[
        str | None, typer.Option(help="With --audio-loop: the sound card, by a part of its name.")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="With --audio-loop: the microphone, by a part of its name.")
    ] = None,
    json: opt.Json = False,
) -> None:
    """Look at this machine: packages, sound, ports, real-time rights, faces and their calibrations.

    Exits with 1 only when something is missing that every use (or the face asked for) needs.
    """
    findings = examine()
    if face is not None:
        findings += examine_face(face, port or [])
    if loop:
        findings += examine_audio_loop(output, device)
    healthy = not any(f.state == "missing" and f.needed for f in findings)
    if json:
        emit_json({"healthy": healthy, "findings": [f.as_dict() for f in findings]})
    else:
        table("animaface doctor", ("", "what", "found", "to mend it"), [_row(f) for f in findings])
    raise typer.Exit(0 if healthy else 1)


def _row(f: Finding) -> tuple[str, str, str, str]:
    return _MARK[f.state], f.what, f.found, f.mend

"""`animaface doctor`: what is here, what is missing, and the command that mends it."""

import typer

from animaface.app.console import emit_json, table
from animaface.app.health import Finding, examine

NAME = "doctor"
EXAMPLE = "animaface doctor --json"

_MARK = {"ok": "[green]ok[/]", "note": "[yellow]note[/]", "missing": "[red]missing[/]"}


def run(json: bool = typer.Option(False, "--json", help="One JSON object instead of a table.")) -> None:
    """Look at this machine: packages, sound, ports, real-time rights, faces and their calibrations.

    Exits with 1 only when something is missing that every use needs.
    """
    findings = examine()
    healthy = not any(f.state == "missing" and f.needed for f in findings)
    if json:
        emit_json({"healthy": healthy, "findings": [f.as_dict() for f in findings]})
    else:
        table("animaface doctor", ("", "what", "found", "to mend it"), [_row(f) for f in findings])
    raise typer.Exit(0 if healthy else 1)


def _row(f: Finding) -> tuple[str, str, str, str]:
    return _MARK[f.state], f.what, f.found, f.mend

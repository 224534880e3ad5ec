"""The `animaface` command. Each command lives in app/commands/; what goes wrong is shown here."""

import os
import sys

from animaface.app import early_stop

if early_stop.wanted():
    early_stop.ask()

# One thread for array libraries: the control process and the network share two cores with the face.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import typer

from animaface import __version__
from animaface.app.commands import (
    calibrate,
    dashboard,
    demo,
    doctor,
    edit,
    flash,
    init,
    jog,
    live,
    mimic,
    perform,
    play,
    ports,
    record,
    replay,
    report,
    say,
    setup_board,
    setup_linux,
    setup_motors,
    simulate,
    stop,
    train,
)  # fmt: skip
from animaface.app.console import complain
from animaface.robot.face.errors import AnimafaceError, ConfigError, unknown_name
from animaface.robot.face.providers import CHOICES, VARIABLE

app = typer.Typer(
    name="animaface",
    help="Sound comes in, an animatronic face speaks, with feeling, on real motors.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)
_COMMANDS = (
    doctor, demo, play, live, say, mimic, dashboard, record, replay, perform, edit, simulate, calibrate, report, ports, init, setup_motors, setup_board, setup_linux,
    jog, stop, flash, train,
)  # fmt: skip
for module in _COMMANDS:
    app.command(name=module.NAME, epilog=f"Example: {module.EXAMPLE}")(module.run)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: bool = typer.Option(
        False, "--version", callback=_version, is_eager=True, help="Print the version."
    ),
    provider: str = typer.Option(
        "", help=f"What runs the networks: {', '.join(CHOICES)}. Also {VARIABLE}.", show_default=False
    ),
) -> None:
    """Sound comes in, an animatronic face speaks, with feeling, on real motors."""
    if provider:
        if provider not in CHOICES:
            raise ConfigError(unknown_name("provider", provider, CHOICES))
        os.environ[VARIABLE] = provider  # for the processes of this one, too


def main() -> None:
    """Entry point: exit status 0 fine, 1 an error a person can mend or a stop, 2 wrong usage."""
    try:
        app()
    except AnimafaceError as error:
        complain(error, as_json="--json" in sys.argv)
        sys.exit(1)


if __name__ == "__main__":
    main()

"""`animaface say`: text through an installed speech synthesiser, spoken by a face."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from animaface.app.asking import ended_by_signals
from animaface.app.live import synthesiser
from animaface.app.live.session import LiveOptions, run_live
from animaface.app.live.shown import TerminalWatcher, report
from animaface.app.motion import motion_of
from animaface.app.show import warn_uncalibrated
from animaface.app.stage import parse_ports, stage
from animaface.robot.config import load_face
from animaface.speech.emotion import parse_emotion

NAME = "say"
EXAMPLE = 'animaface say "Hello, I am a face." --face hybrid --sim'


def run(
    text: Annotated[str, typer.Argument(help="What to say.")],
    face: Annotated[str, typer.Option(help="Name of a shipped face, or a YAML file.")] = "hybrid",
    sim: Annotated[bool, typer.Option("--sim", help="Use the simulated face.")] = False,
    voice_command: Annotated[
        str | None,
        typer.Option(
            help="Command with {wav} and {text} or {text_file}; else espeak-ng or flite, if installed."
        ),
    ] = None,
    emotion: Annotated[
        str, typer.Option(help="Name and intensity, mixtures by comma: happy:0.7; auto: what the voice says.")
    ] = "neutral",
    style: Annotated[
        str,
        typer.Option(
            help="Of articulation: plain, mumbling, clear, lively, calm, auto, one of your own, mixes."
        ),
    ] = "plain",
    output: Annotated[
        str | None, typer.Option(help="Sound card, by a part of its name (see doctor).")
    ] = None,
    no_sound: Annotated[bool, typer.Option("--no-sound", help="Leave the sound card alone.")] = False,
    port: Annotated[
        list[str] | None, typer.Option(help="BUS=PATH, when a bus is not where the config says.")
    ] = None,
    calibration: Annotated[Path | None, typer.Option(help="Calibration folder to use.")] = None,
    hand_map: Annotated[bool, typer.Option("--hand-map", help="Ignore calibrations.")] = False,
    log: Annotated[
        Path | None, typer.Option(help="Record the run here (mcap, see animaface replay).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Blinks, gaze and head movement; the simulated face.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Say a text, lips and voice together."""
    parse_emotion(emotion)
    command = synthesiser.template(voice_command)
    config = load_face(face)
    ports = parse_ports(config, port or [])
    motion = motion_of(config, sim=sim, calibration=calibration, use_calibration=not hand_map)
    if not json:
        warn_uncalibrated(config, motion)
    with tempfile.TemporaryDirectory(prefix="animaface-") as scratch:
        voice = synthesiser.speak(text, Path(scratch), command)
        options = LiveOptions(
            source=str(voice),
            output=output,
            sound=not no_sound,
            emotion=emotion,
            style=style,
            seed=seed,
            log=log,
        )
        with (
            TerminalWatcher(quiet=json) as watcher,
            ended_by_signals(),
            stage(face, config, sim=sim, ports=ports, truth=None, seed=seed) as where,
        ):
            numbers = run_live(options, config, motion, where, watcher)
    report(numbers | {"source": "text", "synthesiser": command.split()[0]}, as_json=json)

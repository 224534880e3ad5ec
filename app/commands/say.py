"""`animaface say`: text through an installed speech synthesiser, spoken by a face."""

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from animaface.app import options as opt
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
    face: opt.Face = "hybrid",
    sim: opt.Sim = False,
    voice_command: Annotated[
        str | None,
        typer.Option(
            help="Command with {wav} and {text} or {text_file}; else espeak-ng or flite, if installed."
        ),
    ] = None,
    emotion: opt.Emotion = "neutral",
    style: opt.Style = "plain",
    output: opt.SoundCard = None,
    no_sound: opt.NoSound = False,
    port: opt.Port = None,
    calibration: opt.Calibration = None,
    hand_map: opt.HandMap = False,
    log: opt.Log = None,
    seed: opt.Seed = 0,
    json: opt.Json = False,
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

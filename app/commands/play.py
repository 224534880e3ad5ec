"""`animaface play`: a take or a recording on a face, real or simulated."""

from pathlib import Path
from typing import Annotated

import typer

from animaface.app.console import emit_json, out, table
from animaface.app.motion import motion_of
from animaface.app.numbers import rows
from animaface.app.show import show, summary, warn_uncalibrated
from animaface.app.sound_out import open_sink
from animaface.app.source import load_source
from animaface.app.stage import parse_ports
from animaface.robot.config import load_face
from animaface.robot.face.errors import ConfigError

NAME = "play"
EXAMPLE = "animaface play voice.wav --face hybrid --sim --record out.mp4"


def run(
    source: Annotated[str, typer.Argument(help="A recording, a take (csv), or `demo`.")],
    face: Annotated[str, typer.Option(help="Name of a shipped face, or a YAML file.")] = "hybrid",
    sim: Annotated[bool, typer.Option("--sim", help="Play on the simulated face.")] = False,
    record: Annotated[Path | None, typer.Option(help="Write a video of the simulated face (mp4).")] = None,
    emotion: Annotated[
        str, typer.Option(help="For recordings: name and intensity, such as happy:0.7")
    ] = "neutral",
    port: Annotated[
        list[str] | None, typer.Option(help="BUS=PATH, when a bus is not where the config says.")
    ] = None,
    calibration: Annotated[Path | None, typer.Option(help="Calibration folder to use.")] = None,
    hand_map: Annotated[bool, typer.Option("--hand-map", help="Ignore calibrations.")] = False,
    no_sound: Annotated[bool, typer.Option("--no-sound", help="Leave the sound card alone.")] = False,
    truth: Annotated[Path | None, typer.Option(help="With --sim: keep the truth log here.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Play only the beginning.")] = None,
    seed: Annotated[int, typer.Option(help="Blinks, gaze and head movement; the simulated face.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Play a recording or a take on a face. Sound goes to the default sound card when there is one."""
    if record is not None and not sim:
        raise ConfigError("--record draws the simulated face", next_step="add --sim")
    config = load_face(face)
    ports = parse_ports(config, port or [])
    motion = motion_of(config, sim=sim, calibration=calibration, use_calibration=not hand_map)
    material = load_source(source, emotion=emotion, seed=seed, seconds=seconds)
    if not json:
        warn_uncalibrated(config, motion)
    sink = open_sink(wanted=not no_sound and material.samples is not None)
    shown = show(
        face, config, material, motion, sink, sim=sim, ports=ports, record=record, truth=truth, seed=seed
    )
    numbers = summary(config, material, motion, shown)
    if json:
        emit_json(numbers)
        return
    table(f"{config.id}: {material.title}", ("what", "measured"), rows(numbers))
    if record is not None:
        out.print(f"{record}: the face as it moved, drawn from the truth log", markup=False)

"""`animaface play`: a take or a recording on a face, real or simulated."""

from pathlib import Path
from typing import Annotated, Any

import typer

from animaface.app.console import emit_json, out, table
from animaface.app.live.session import MOST_DROPPED
from animaface.app.live.speaker import open_speaker
from animaface.app.motion import motion_of
from animaface.app.numbers import rows
from animaface.app.show import show, summary, warn_uncalibrated
from animaface.app.source import Source, load_source
from animaface.app.stage import parse_ports
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.errors import ConfigError, DeviceError

NAME = "play"
EXAMPLE = "animaface play voice.wav --face hybrid --sim --record out.mp4"


def run(
    source: Annotated[str, typer.Argument(help="A recording, a take (csv), or `demo`.")],
    face: Annotated[str, typer.Option(help="Name of a shipped face, or a YAML file.")] = "hybrid",
    sim: Annotated[bool, typer.Option("--sim", help="Play on the simulated face.")] = False,
    record: Annotated[Path | None, typer.Option(help="Write a video of the simulated face (mp4).")] = None,
    emotion: Annotated[
        str,
        typer.Option(
            help="For recordings: name and intensity, such as happy:0.7; auto: what the voice says."
        ),
    ] = "neutral",
    style: Annotated[
        str,
        typer.Option(
            help="Of articulation: plain, mumbling, clear, lively, calm, auto, one of your own, mixes."
        ),
    ] = "plain",
    port: Annotated[
        list[str] | None, typer.Option(help="BUS=PATH, when a bus is not where the config says.")
    ] = None,
    calibration: Annotated[Path | None, typer.Option(help="Calibration folder to use.")] = None,
    hand_map: Annotated[bool, typer.Option("--hand-map", help="Ignore calibrations.")] = False,
    no_sound: Annotated[bool, typer.Option("--no-sound", help="Leave the sound card alone.")] = False,
    output: Annotated[
        str | None, typer.Option(help="Sound card, by a part of its name (see doctor).")
    ] = None,
    log: Annotated[
        Path | None, typer.Option(help="Record the run here (mcap, see animaface replay).")
    ] = None,
    truth: Annotated[Path | None, typer.Option(help="With --sim: keep the truth log here.")] = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Play only the beginning.")] = None,
    seed: Annotated[int, typer.Option(help="Blinks, gaze and head movement; the simulated face.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of a table.")] = False,
) -> None:
    """Play a recording or a take on a face. Sound goes to the default sound card when there is one.

    Exits with 1 when more than 1 % of the frames came too late for the face.
    """
    if record is not None and not sim:
        raise ConfigError("--record draws the simulated face", next_step="add --sim")
    config = load_face(face)
    ports = parse_ports(config, port or [])
    motion = motion_of(config, sim=sim, calibration=calibration, use_calibration=not hand_map)
    material = load_source(source, emotion=emotion, style=style, seed=seed, seconds=seconds)
    if not json:
        warn_uncalibrated(config, motion)
    speaker = open_speaker(output, wanted=not no_sound and material.samples is not None)
    shown = show(face, config, material, motion, speaker, sim=sim, ports=ports, record=record, truth=truth, seed=seed,
                 log=log)  # fmt: skip
    numbers = summary(config, material, motion, shown)
    if json:
        emit_json(numbers)
    else:
        _tell(config, material, numbers, record, log)
    if shown.played.dropped_share > MOST_DROPPED:
        raise DeviceError(
            f"{100 * shown.played.dropped_share:.1f} % of the frames came too late (at most {100 * MOST_DROPPED:g} %)",
            next_step="end other programs, or run on a faster machine",
        )


def _tell(
    config: FaceConfig, material: Source, numbers: dict[str, Any], record: Path | None, log: Path | None
) -> None:
    table(f"{config.id}: {material.title}", ("what", "measured"), rows(numbers))
    if record is not None:
        out.print(f"{record}: the face as it moved, drawn from the truth log", markup=False)
    if log is not None:
        out.print(f"{log}: the run; animaface replay {log}, Foxglove or PlotJuggler show it", markup=False)

"""`animaface play`: a take or a recording on a face, real or simulated."""

from pathlib import Path
from typing import Annotated, Any

import typer

from animaface.app import options as opt
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
    face: opt.Face = "hybrid",
    sim: opt.Sim = False,
    record: Annotated[Path | None, typer.Option(help="Write a video of the simulated face (mp4).")] = None,
    emotion: opt.Emotion = "neutral",
    style: opt.Style = "plain",
    port: opt.Port = None,
    calibration: opt.Calibration = None,
    hand_map: opt.HandMap = False,
    no_sound: opt.NoSound = False,
    output: opt.SoundCard = None,
    log: opt.Log = None,
    truth: opt.Truth = None,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Play only the beginning.")] = None,
    seed: opt.Seed = 0,
    json: opt.Json = False,
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

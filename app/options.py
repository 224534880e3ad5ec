"""Options that mean the same in every command that has them."""

from pathlib import Path
from typing import Annotated

import typer

Face = Annotated[str, typer.Option(help="Name of a shipped face, or a YAML file.")]
FaceArgument = Annotated[str, typer.Argument(help="Name of a shipped face, or a YAML file.")]
Sim = Annotated[bool, typer.Option("--sim", help="Use the simulated face.")]
Port = Annotated[list[str] | None, typer.Option(help="BUS=PATH, when a bus is not where the face file says.")]
Calibration = Annotated[Path | None, typer.Option(help="Calibration folder to use.")]
HandMap = Annotated[bool, typer.Option("--hand-map", help="Ignore calibrations.")]

Emotion = Annotated[
    str,
    typer.Option(
        help="Name and intensity, mixtures by comma: happy:0.5,surprise:0.3; auto: what the voice says; @anna behind it: as "
        "Anna shows it (animaface train expressions)."
    ),
]
Style = Annotated[
    str,
    typer.Option(help="Of articulation: plain, mumbling, clear, lively, calm, auto, one of your own, mixes."),
]
Seed = Annotated[int, typer.Option(help="Blinks, gaze and head movement; the simulated face.")]

SoundCard = Annotated[
    str | None, typer.Option("--output", help="Sound card, by a part of its name (see doctor).")
]
NoSound = Annotated[bool, typer.Option("--no-sound", help="Leave the sound card alone.")]

Log = Annotated[Path | None, typer.Option(help="Record the run here (mcap, see animaface replay).")]
Truth = Annotated[Path | None, typer.Option(help="With --sim: keep the truth log here.")]
Model = Annotated[Path | None, typer.Option(help="Your copy of face_landmarker_v2.task.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")]

"""`animaface perform`: a recording becomes a take (CSV of blendshapes and head), no face needed."""

from pathlib import Path
from typing import Annotated

import typer

from animaface.app.console import emit_json, out
from animaface.robot.face.take import write_csv, write_live_link_csv

NAME = "perform"
EXAMPLE = "animaface perform voice.wav -o voice.csv --emotion happy:0.7"


def run(
    sound: Annotated[Path, typer.Argument(help="Recording: wav, flac, ogg, mp3; any rate, any channels.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The take to write.")] = Path("take.csv"),
    emotion: Annotated[
        str, typer.Option(help="Name and intensity, mixtures by comma: happy:0.5,surprise:0.3")
    ] = "neutral",
    seed: Annotated[int, typer.Option(help="Blinks, gaze and head movement repeat with the seed.")] = 0,
    live_link: Annotated[bool, typer.Option("--live-link", help="Write Live Link Face CSV instead.")] = False,
    json: Annotated[bool, typer.Option("--json", help="One JSON object instead of text.")] = False,
) -> None:
    """Turn a recording into a take: 52 ARKit blendshapes and head rotation, 60 a second."""
    from animaface.speech.perform import perform
    from animaface.speech.sound import read_sound

    take = perform(read_sound(sound), emotion=emotion, seed=seed).take
    (write_live_link_csv if live_link else write_csv)(take, output)
    if json:
        emit_json(
            {"take": str(output), "frames": len(take.time_s), "seconds": take.duration_s, "emotion": emotion}
        )
    else:
        out.print(
            f"{output}: {len(take.time_s)} frames, {take.duration_s:.1f} s, emotion {emotion}", markup=False
        )
        out.print(f"next: animaface play {output} --face hybrid --sim --record out.mp4", markup=False)

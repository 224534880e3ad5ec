"""`animaface perform`: a recording becomes a take (CSV of blendshapes and head), no face needed."""

from pathlib import Path
from typing import Annotated

import typer

from animaface.app import options as opt
from animaface.app.console import emit_json, err, out
from animaface.robot.face.take import write_csv, write_live_link_csv

NAME = "perform"
EXAMPLE = "animaface perform voice.wav -o voice.csv --emotion happy:0.7"


def run(
    sound: Annotated[Path, typer.Argument(help="Recording: wav, flac, ogg, mp3; any rate, any channels.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The take to write.")] = Path("take.csv"),
    emotion: opt.Emotion = "neutral",
    style: opt.Style = "plain",
    save_style: Annotated[
        str | None, typer.Option(help="Keep the style heard in this recording under a name, for --style.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Blinks, gaze and head movement repeat with the seed.")] = 0,
    live_link: Annotated[bool, typer.Option("--live-link", help="Write Live Link Face CSV instead.")] = False,
    json: opt.Json = False,
) -> None:
    """Turn a recording into a take: 52 ARKit blendshapes and head rotation, 60 a second."""
    from animaface.speech.perform import perform
    from animaface.speech.sound import read_sound

    voice = read_sound(sound)
    if save_style is not None:
        from animaface.speech.style import StyleListener
        from animaface.speech.style import save_style as keep

        speaker = StyleListener()
        speaker.push(voice.samples)
        kept = keep(speaker.style, save_style)
        err.print(f"{kept}: {speaker.style}; use it with --style {save_style}", markup=False, soft_wrap=True)
    take = perform(voice, emotion=emotion, style=style, seed=seed).take
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

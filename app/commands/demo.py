"""`animaface demo` (what `make demo` runs): the simulated face speaks; a video, a take, the numbers."""

import json as json_module
import time
from pathlib import Path
from typing import Annotated

import typer

from animaface.app import options as opt
from animaface.app.console import emit_json, err, out, table
from animaface.app.live.speaker import open_speaker
from animaface.app.motion import motion_of
from animaface.app.numbers import rows_with_targets
from animaface.app.show import show, summary, warn_uncalibrated
from animaface.app.source import DEMO, load_source
from animaface.robot.config import load_face
from animaface.robot.face.take import write_csv

NAME = "demo"
EXAMPLE = "animaface demo --emotion anger:0.8 --face morpheus --out out"


def run(
    wav: Annotated[str, typer.Option(help="A recording; `demo` is the one that comes along.")] = DEMO,
    emotion: opt.Emotion = "happy:0.7",
    style: opt.Style = "plain",
    face: opt.Face = "hybrid",
    output: Annotated[Path, typer.Option("--out", help="Folder for demo.mp4, demo.csv, demo.json.")] = Path(
        "out"
    ),
    seed: opt.Seed = 0,
    json: opt.Json = False,
) -> None:
    """Let the simulated face speak a recording: real drivers, real bytes, a video and the numbers."""
    config = load_face(face)
    motion = motion_of(config, sim=True)
    warn_uncalibrated(config, motion)
    err.print("1/3 from sound to blendshapes", markup=False)
    began_s = time.perf_counter()
    source = load_source(wav, emotion=emotion, style=style, seed=seed)
    speech_s = time.perf_counter() - began_s
    output.mkdir(parents=True, exist_ok=True)
    write_csv(source.take, output / "demo.csv")
    err.print(
        "2/3 the face speaks, through its drivers and serial ports, in real time; 3/3 drawing", markup=False
    )
    video = output / "demo.mp4"
    shown = show(face, config, source, motion, open_speaker(), sim=True, ports={}, record=video, seed=seed)
    numbers = summary(config, source, motion, shown)
    numbers |= {"emotion": emotion, "speech_x_real_time": round(source.take.duration_s / speech_s, 1)}
    (output / "demo.json").write_text(json_module.dumps(numbers, indent=1) + "\n", encoding="utf-8")
    if json:
        emit_json(numbers)
        return
    table("What was measured", ("what", "measured", "target", ""), rows_with_targets(numbers))
    out.print(
        f"\n{video}: you should see a person's face speak {source.title} in time with the sound, close its lips at "
        f"every m, b and p, blink, move its head a little, and show {emotion}.\n"
        f"{output / 'demo.csv'}: the take; {output / 'demo.json'}: these numbers.",
        markup=False, soft_wrap=True,
    )  # fmt: skip

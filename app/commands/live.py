"""`animaface live`: a face that speaks while the sound is coming in."""

from typing import Annotated, Literal

import typer

from animaface.app import options as opt
from animaface.app.asking import ended_by_signals
from animaface.app.live.session import LiveOptions, run_live
from animaface.app.live.shown import TerminalWatcher, report
from animaface.app.motion import motion_of
from animaface.app.show import warn_uncalibrated
from animaface.app.stage import parse_ports, stage
from animaface.robot.config import load_face
from animaface.speech.emotion import parse_emotion

NAME = "live"
EXAMPLE = "animaface live --face hybrid --sim --source ws://127.0.0.1:8765"


def run(
    face: opt.Face = "hybrid",
    sim: opt.Sim = False,
    source: Annotated[
        str, typer.Option(help="mic, stdin (raw 16-bit PCM), ws://HOST:PORT, or a file.")
    ] = "mic",
    device: Annotated[
        str | None, typer.Option(help="Microphone, by a part of its name (see doctor).")
    ] = None,
    output: opt.SoundCard = None,
    no_sound: opt.NoSound = False,
    listen: Annotated[
        str | None,
        typer.Option(help="Hear others through this microphone ('' for the default one) and listen."),
    ] = None,
    vad: Annotated[
        Literal["energy", "silero"], typer.Option(help="How a voice is told from noise with --listen.")
    ] = "energy",
    emotion: opt.Emotion = "neutral",
    style: opt.Style = "plain",
    rate: Annotated[int, typer.Option(help="With stdin: samples a second.")] = 16_000,
    channels: Annotated[int, typer.Option(min=1, max=2, help="With stdin.")] = 1,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="End after so long.")] = None,
    port: opt.Port = None,
    calibration: opt.Calibration = None,
    hand_map: opt.HandMap = False,
    log: opt.Log = None,
    truth: opt.Truth = None,
    seed: opt.Seed = 0,
    json: opt.Json = False,
) -> None:
    """Speak whatever comes in, until it ends or Ctrl-C.

    A file, standard input and a WebSocket are played by the face's own card, held back so that the lips
    are on time; a microphone is followed as fast as possible, and the lateness is shown.
    """
    parse_emotion(emotion)
    config = load_face(face)
    ports = parse_ports(config, port or [])
    motion = motion_of(config, sim=sim, calibration=calibration, use_calibration=not hand_map)
    if not json:
        warn_uncalibrated(config, motion)
    options = LiveOptions(
        source=source, device=device, output=output, sound=not no_sound, listen=listen, vad=vad, emotion=emotion, style=style,
        rate_hz=rate, channels=channels, seconds=seconds, seed=seed, log=log,
    )  # fmt: skip
    with (
        TerminalWatcher(quiet=json) as watcher,
        ended_by_signals(),
        stage(face, config, sim=sim, ports=ports, truth=truth, seed=seed) as where,
    ):
        numbers = run_live(options, config, motion, where, watcher)
    report(numbers, as_json=json)

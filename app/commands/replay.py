"""`animaface replay`: a recorded run once more, on a face, in lock-step, or on paper; two runs compared."""

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import soundfile
import typer

from animaface.app import options as opt
from animaface.app.asking import ended_by_signals
from animaface.app.console import emit_json, err, out, progress_bar, table
from animaface.app.live.speaker import open_speaker
from animaface.app.playback import LEAD_S, Played, play_trajectory
from animaface.app.recording.compare import Difference, Tolerances, compare
from animaface.app.recording.lock_step import replay_in_lock_step
from animaface.app.recording.log import RunLog, read_log
from animaface.app.stage import parse_ports, stage
from animaface.app.stop_keys import stopped_by_keys
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.errors import ConfigError, DeviceError, InputError
from animaface.robot.face.take import write_csv

NAME = "replay"
EXAMPLE = "animaface replay run.mcap --no-face --take take.csv"


def run(
    log: Annotated[Path, typer.Argument(help="A recording (mcap).")],
    face: Annotated[
        str | None, typer.Option(help="Another face config with the same actuators; else the recording's.")
    ] = None,
    sim: Annotated[bool, typer.Option("--sim", help="Replay on the simulated face.")] = False,
    no_face: Annotated[
        bool, typer.Option("--no-face", help="Move nothing: tell what is in it, export.")
    ] = False,
    lock_step: Annotated[
        bool,
        typer.Option(
            "--lock-step", help="Through drivers, gate and virtual devices in virtual time; needs --log."
        ),
    ] = False,
    take: Annotated[Path | None, typer.Option(help="Write the shapes as a take (csv).")] = None,
    wav: Annotated[Path | None, typer.Option(help="Write the sound.")] = None,
    new_log: Annotated[Path | None, typer.Option("--log", help="Record the replay here.")] = None,
    other: Annotated[
        Path | None,
        typer.Option("--compare", help="Compare with this recording; exits with 1 if they differ."),
    ] = None,
    tolerance_u: Annotated[float, typer.Option(help="With --compare: of commands.")] = Tolerances.u,
    tolerance_position: Annotated[
        float, typer.Option(help="With --compare: of measured u.")
    ] = Tolerances.position,
    tolerance_shape: Annotated[float, typer.Option(help="With --compare: of shapes.")] = Tolerances.shape,
    output: opt.SoundCard = None,
    no_sound: opt.NoSound = False,
    port: opt.Port = None,
    seed: Annotated[int, typer.Option(help="Of the simulated face.")] = 0,
    json: opt.Json = False,
) -> None:
    """Play a recording's motor requests and sound on a face, through today's gate.

    With --no-face or --compare nothing moves. With --lock-step the requests go through the drivers and the gate to
    a simulated face in virtual time, into the recording named by --log; with --compare, that is what is compared.
    """
    if lock_step and new_log is None:
        raise ConfigError("--lock-step wants --log FILE for what it does")
    old = read_log(log)
    if old.cut:
        err.print(f"note: {log}: {old.cut}", markup=False, soft_wrap=True)
    numbers = summary(old)
    _export(old, take, wav)
    if lock_step and new_log is not None:
        stats = replay_in_lock_step(old, _config(old, face), new_log, seed=seed)
        numbers |= {"log": str(new_log), "ticks": stats.ticks, "missed": stats.missed}
    elif not (no_face or other is not None or take is not None or wav is not None):
        config = _config(old, face)
        played = _on_face(old, config, face or old.face, parse_ports(config, port or []), sim, output, not no_sound,
                          new_log, seed)  # fmt: skip
        numbers |= {"sound_out": played.sink, "missed_share": round(played.stats.missed_share, 5),
                    "dropped_share": round(played.dropped_share, 5), "told": played.told, **played.more}  # fmt: skip
    differences = []
    if other is not None:
        ours = read_log(new_log) if lock_step and new_log is not None else old
        allowed = Tolerances(u=tolerance_u, position=tolerance_position, shape=tolerance_shape)
        differences = compare(ours, read_log(other), allowed)
    _tell(numbers, differences, as_json=json)


def summary(log: RunLog) -> dict[str, Any]:
    """What a recording holds, in numbers."""
    _, samples = log.samples()
    out: dict[str, Any] = {
        "face": log.face, "run": log.about.get("command", "play"), "seconds": round(log.duration_s, 2),
        "ticks": len(log.time_s), "shapes": len(log.shapes_at_s),
        "sound_seconds": round(len(samples) / log.sound_rate_hz, 2),
        "gate_changed_share": round(float((log.reasons > 0).any(axis=1).mean()), 4) if len(log.reasons) else 0.0,
        "faults": sorted({name for _, faults in log.faults for name in faults}),
        "events": [text for _, text in log.events], "cut": log.cut,
    }  # fmt: skip
    if len(log.late_s) and np.isfinite(log.late_s).any():
        out["tick_late_p99_ms"] = round(1e3 * float(np.nanquantile(log.late_s, 0.99)), 3)
    return out


def _config(log: RunLog, face: str | None) -> FaceConfig:
    config = load_face(face or log.face)
    if tuple(config.names) != log.actuators:
        raise InputError(
            f"the recording is of {len(log.actuators)} actuators of {log.face!r}; {config.id!r} has others",
            next_step="--face with a config that has the same actuators in the same order",
        )
    return config


def _export(log: RunLog, take: Path | None, wav: Path | None) -> None:
    if take is not None:
        write_csv(log.take(), take)
    if wav is not None:
        _, samples = log.samples()
        if not len(samples):
            raise InputError("this recording holds no sound")
        soundfile.write(wav, samples, log.sound_rate_hz)


def _on_face(
    log: RunLog, config: FaceConfig, face: str, ports: dict[str, str], sim: bool, output: str | None, sound: bool,
    new_log: Path | None, seed: int,
) -> Played:  # fmt: skip
    if not len(log.time_s):
        raise InputError("this recording holds no commands")
    start_s, samples = log.samples()
    origin_s = start_s if np.isfinite(start_s) else float(log.time_s[0]) + LEAD_S
    due_s = log.time_s - origin_s
    keep = due_s >= -LEAD_S
    shapes = log.take() if len(log.shapes_at_s) else None
    speaker = open_speaker(output, wanted=sound and len(samples) > 0)
    with (
        progress_bar() as bar,
        ended_by_signals(),
        stage(face, config, sim=sim, ports=ports, truth=None, seed=seed) as where,
        stopped_by_keys(),
    ):
        task = bar.add_task("replaying", total=1.0)
        return play_trajectory(
            due_s[keep], log.requested_u[keep], config, where, speaker, samples=samples, shapes=shapes, log=new_log,
            on_progress=lambda done_s, total_s: bar.update(task, completed=done_s / total_s),
            on_warning=lambda message: err.print(f"warning: {message}", markup=False, soft_wrap=True),
        )  # fmt: skip


def _in_words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {x}" for name, x in value.items() if x not in ("", None))
    return "; ".join(str(x) for x in value) if isinstance(value, list) else str(value)


def _tell(numbers: dict[str, Any], differences: list[Difference], *, as_json: bool) -> None:
    same = all(d.same for d in differences)
    if as_json:
        more = {"same": same, "differences": [d.as_dict() for d in differences]} if differences else {}
        emit_json({**numbers, **more})
    else:
        rows = [
            (name.replace("_", " "), _in_words(value))
            for name, value in numbers.items()
            if value not in ("", [], None)
        ]
        table(f"{numbers['face']}: recording", ("what", "found"), rows)
        if differences:
            out.print()
            table("compared", ("what", "largest difference", "allowed", "where", ""), [
                (d.what, f"{d.largest:.4f}", f"{d.allowed:g}", f"{d.where} at {d.at_s:.2f} s" if d.where else "",
                 "same" if d.same else "DIFFERENT") for d in differences
            ])  # fmt: skip
    if not same:
        worst = ", ".join(d.what for d in differences if not d.same)
        raise DeviceError(
            f"the recordings differ in {worst}", next_step="look at both in Foxglove or PlotJuggler"
        )

"""`animaface mimic`: the face does what a person before a camera, or in a video, does."""

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from animaface.app import options as opt
from animaface.app.asking import ended_by_signals
from animaface.app.console import emit_json, err, out, progress_bar, table
from animaface.app.lines import ports_of
from animaface.app.live.speaker import open_speaker
from animaface.app.mimic import mimic_live, take_of_video
from animaface.app.motion import Motion, motion_of
from animaface.app.show import show, summary, warn_uncalibrated
from animaface.app.source import Source
from animaface.app.stage import parse_ports, stage
from animaface.calibration.camera.face_mesh import FaceMesh
from animaface.calibration.camera.sources import Webcam
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.errors import ConfigError
from animaface.robot.face.take import Take, write_csv

NAME = "mimic"
EXAMPLE = "animaface mimic --video me.mp4 --face hybrid --sim --record out.mp4"


def run(
    camera: Annotated[
        str | None, typer.Option(help="Number or path of the camera that looks at you.")
    ] = None,
    video: Annotated[Path | None, typer.Option(help="A video of a person instead of a camera.")] = None,
    face: opt.Face = "hybrid",
    sim: opt.Sim = False,
    take: Annotated[
        Path | None, typer.Option("-o", "--take", help="With --video: only write the take (csv).")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(help="With --video and --sim: write a video of the face.")
    ] = None,
    neutral_s: Annotated[
        float, typer.Option(min=0.1, help="So long at the beginning you look at rest, which is subtracted.")
    ] = 0.5,
    seconds: Annotated[float | None, typer.Option(min=0.1, help="With --camera: end after so long.")] = None,
    model: opt.Model = None,
    port: opt.Port = None,
    calibration: opt.Calibration = None,
    hand_map: opt.HandMap = False,
    json: opt.Json = False,
) -> None:
    """Drive the face from a person's: MediaPipe's scores, less how the person looks at rest, without jitter.

    The same is a good trial of a calibration: what you do should be what the face does.
    """
    if (camera is None) == (video is None):
        raise ConfigError("wanted either --camera or --video", next_step=EXAMPLE)
    if record is not None and not (sim and video):
        raise ConfigError(
            "--record draws the simulated face after a video", next_step="add --sim and --video"
        )
    config = load_face(face)
    ports = parse_ports(config, port or [])
    mesh = FaceMesh(model)
    try:
        if video is not None and take is not None:
            made = _watched(video, mesh, neutral_s)
            write_csv(made, take)
            _tell({"take": str(take), "seconds": round(made.duration_s, 3)}, json=json)
            return
        motion = motion_of(config, sim=sim, calibration=calibration, use_calibration=not hand_map)
        if not json:
            warn_uncalibrated(config, motion)
        if video is not None:
            source = Source(video.name, _watched(video, mesh, neutral_s), None, None, None)
            shown = show(face, config, source, motion, open_speaker(None, wanted=False), sim=sim, ports=ports,
                         record=record, truth=None, seed=0)  # fmt: skip
            _tell(summary(config, source, motion, shown), json=json)
        else:
            with (
                closing(Webcam(camera or "0")) as eye,
                ended_by_signals(),
                stage(face, config, sim=sim, ports=ports, truth=None) as there,
            ):
                lines = there if sim else ports_of(config, there)
                _live(eye, mesh, config, lines, motion, neutral_s, seconds, json=json)
    finally:
        mesh.close()


def _watched(video: Path, mesh: FaceMesh, neutral_s: float) -> Take:
    with progress_bar() as bar:
        task = bar.add_task(f"watching {video.name}", total=1.0)
        return take_of_video(
            video, mesh, neutral_s=neutral_s, on_progress=lambda s: bar.update(task, completed=s)
        )


def _live(
    source: Webcam, mesh: FaceMesh, config: FaceConfig, ports: dict[str, str], motion: Motion, neutral_s: float,
    seconds: float | None, *, json: bool,
) -> None:  # fmt: skip
    err.print("look at the camera with your face at rest ... Ctrl-C ends")
    done = mimic_live(
        source, mesh, config, ports, motion, neutral_s=neutral_s, seconds=seconds,
        on_warning=lambda text: err.print(text, markup=False), on_ready=lambda: err.print("now move"),
    )  # fmt: skip
    _tell({"seconds": round(done.seconds, 1), "pictures": done.pictures, "without a face": done.no_face,
           "picture to command (ms)": round(1e3 * done.look_s, 1)}, json=json)  # fmt: skip


def _tell(numbers: dict[str, object], *, json: bool) -> None:
    if json:
        emit_json(numbers)
        return
    table(
        "mimic",
        ("what", "value"),
        [(k, str(v)) for k, v in numbers.items() if not isinstance(v, dict | list)],
    )
    if "take" in numbers:
        out.print(f"next: animaface play {numbers['take']} --sim --record out.mp4", markup=False)

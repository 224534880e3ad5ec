"""`animaface calibrate`: babble, learn how this face moves, invert it, write the calibration and its report."""

from pathlib import Path
from typing import Annotated, Any

import platformdirs
import typer

from animaface.app import options as opt
from animaface.app.asking import AskingPrompter, UnaskingPrompter, ended_by_signals
from animaface.app.console import LinesPrompter, emit_json, out, table
from animaface.app.motion import simulated_user_folder
from animaface.calibration.folder import shipped_folder, user_folder
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.errors import ConfigError, MissingDependencyError

NAME = "calibrate"
EXAMPLE = "animaface calibrate my_face.yaml --camera 0 --eyes-mm 62"
_CAMERA_POSES = 500
_POSES = 2000


def run(
    face: opt.FaceArgument = "hybrid",
    sim: Annotated[bool, typer.Option("--sim", help="Calibrate the simulated face.")] = False,
    camera: Annotated[
        str | None,
        typer.Option(help="Number or path of the camera that looks at the face; `sim`: the rendered one."),
    ] = None,
    landmarks: Annotated[
        str,
        typer.Option(
            help="Only with --sim: `truth` with a little noise, or `camera`: rendered and detected."
        ),
    ] = "truth",
    eyes_mm: Annotated[
        float | None, typer.Option(min=20, max=200, help="From pupil to pupil, as measured with a ruler, mm.")
    ] = None,
    model: opt.Model = None,
    markers: Annotated[
        bool,
        typer.Option(
            "--markers", help="No skin: printed markers or dots mark the landmarks (docs/calibration.md)."
        ),
    ] = False,
    marker_sheet: Annotated[
        Path | None, typer.Option(help="Write a page of markers to print (PNG, A4 at 300 dpi), and end.")
    ] = None,
    poses: Annotated[
        int | None,
        typer.Option(min=50, help=f"Looks at the babbling face; {_POSES}, with a camera {_CAMERA_POSES}."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A small one in a minute or so: to try it out.")
    ] = False,
    skip: Annotated[list[str] | None, typer.Option(help="Leave this step out (may be repeated).")] = None,
    again: Annotated[
        list[str] | None,
        typer.Option(help="Do this step anew, with all that was built on it (may be repeated)."),
    ] = None,
    guide: Annotated[
        bool | None,
        typer.Option("--guide/--no-guide", help="Ask before and after each step; on with a real face."),
    ] = None,
    recalibrate: Annotated[
        bool,
        typer.Option(
            "--recalibrate",
            help="The face has aged: learn it again from 50 poses; the old calibration is kept.",
        ),
    ] = False,
    drift: Annotated[
        bool,
        typer.Option(
            "--drift",
            help="Is the calibration still true? Six seconds of moving and looking; nothing is written.",
        ),
    ] = False,
    port: opt.Port = None,
    seed: Annotated[int, typer.Option(help="Babbling, training and the simulated face.")] = 0,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to write, instead of your own data folder.")
    ] = None,
    work: Annotated[
        Path | None, typer.Option(help="Where unfinished work is kept, to go on with it.")
    ] = None,
    progress_lines: Annotated[
        bool, typer.Option("--progress-lines", help="Progress as JSON lines on stderr, nothing is asked.")
    ] = False,
    json: opt.Json = False,
) -> None:
    """Calibrate a face. Interrupted (Ctrl-C, power cut), run it again: it goes on where it stopped.

    Steps: bring-up, neutral, camera, lags, babbling, self-model, inverse, check, report.
    """
    if marker_sheet is not None:
        _sheet(marker_sheet)
        return
    if drift and recalibrate:
        raise ConfigError("--drift only looks, --recalibrate learns anew: wanted one of them, found both",
                          next_step=f"animaface calibrate {face} ... --drift")  # fmt: skip
    config = load_face(face)
    seen_by_camera = camera is not None or landmarks == "camera"
    if landmarks not in ("truth", "camera"):
        raise ConfigError(f"--landmarks {landmarks}: wanted truth or camera")
    if not sim and camera in (None, "sim"):
        raise ConfigError("a real face needs a camera that looks at it",
                          next_step=f"animaface calibrate {face} --camera 0, or try it with --sim")  # fmt: skip
    options = _options(poses, quick=quick, camera=seen_by_camera, seed=seed)
    target = output or (simulated_user_folder(config.id) if sim else user_folder(config.id))
    unfinished = work or Path(platformdirs.user_cache_dir("animaface")) / "calibrate" / target.name
    guided = not sim and not progress_lines if guide is None else guide
    steps: dict[str, Any] = {"skip": skip or (), "again": again or (), "guide": guided}
    present = target if target.is_dir() or not sim else shipped_folder(config.id)

    def work_with(session: Any) -> None:
        if drift:
            _tell_drift(_drift(session, present), face, json=json)
        else:
            meta = _done(session, target, present if recalibrate else None, poses, steps)
            _tell(meta, target, face, sim=sim, json=json)

    with ended_by_signals(), _prompter(guided or not sim, lines=progress_lines) as prompter:
        if sim:
            session = _simulated(config, unfinished, prompter, options, seen_by_camera, model)
            try:
                work_with(session)
            finally:
                session.stand.detector.close()
        else:
            from animaface.app.real_stand import RealEye, real_session

            eye = RealEye(camera or "0", eyes_mm, model, markers)
            with real_session(config, port or [], unfinished, options, prompter, eye) as session:
                work_with(session)


def _done(
    session: Any, target: Path, before: Path | None, poses: int | None, steps: dict[str, Any]
) -> dict[str, Any]:
    """A whole session, or the calibration `before` brought up to date."""
    if before is None:
        meta: dict[str, Any] = session.run(target, **steps)
        return meta
    from animaface.calibration.recalibration import POSES, recalibrate

    return recalibrate(session.stand, before, target, session.work.folder, poses=poses or POSES,
                       options=session.options)  # fmt: skip


def _drift(session: Any, calibration: Path) -> Any:
    from animaface.calibration.recalibration import look_for_drift

    return look_for_drift(session.stand, calibration, session.work.folder, options=session.options)


def _sheet(path: Path) -> None:
    from animaface.calibration.camera.markers import marker_sheet
    from animaface.calibration.camera.model import need_opencv

    if not need_opencv().imwrite(str(path), marker_sheet()):
        raise ConfigError(f"{path} can't be written", next_step="name a .png file in a folder that exists")
    out.print(
        f"{path}: print it at 300 dpi; a marker's number is the landmark that it stands for", markup=False
    )


def _options(poses: int | None, *, quick: bool, camera: bool, seed: int) -> Any:
    try:
        from animaface.calibration.session import Options
    except ImportError as e:
        raise MissingDependencyError(
            f"calibration needs torch and mujoco ({e})", next_step="pip install 'animaface[sim,train,report]'"
        ) from e
    if quick:
        return Options.quick(seed)
    if camera:
        return Options.camera(poses or _CAMERA_POSES, seed)
    return Options(poses=poses or _POSES, seed=seed)


def _prompter(asks: bool, *, lines: bool) -> Any:
    if lines:
        return LinesPrompter()
    return AskingPrompter() if asks else UnaskingPrompter()


def _simulated(
    config: FaceConfig, work: Path, prompter: Any, options: Any, by_camera: bool, model: Path | None
) -> Any:
    try:
        from animaface.app.simulated import simulated_session
    except ImportError as e:
        raise MissingDependencyError(
            f"the simulated face needs mujoco ({e})", next_step="pip install 'animaface[sim,train,report]'"
        ) from e
    return simulated_session(config, work, seed=options.seed, options=options, prompter=prompter,
                             landmarks="camera" if by_camera else "truth", model=model)  # fmt: skip


def _tell_drift(found: Any, face: str, *, json: bool) -> None:
    if json:
        emit_json(found.facts())
        return
    table(f"{face}: has it drifted?", ("region", "error now, mm", "usual", ""), [
        (region, f"{now:.2f}", f"{found.usual_mm[region]:.2f}", "drifted" if region in found.regions else "")
        for region, now in found.error_mm.items() if region in found.usual_mm
    ])  # fmt: skip
    if found.slips:
        told = _slips(found.slips)
        out.print(f"stand elsewhere, in shares of their range: {told}", markup=False, soft_wrap=True)
    verdict = (
        "next: animaface calibrate ... --recalibrate" if found.regions else "The calibration is still true."
    )
    out.print(verdict, markup=False)


def _slips(slips_u: dict[str, float]) -> str:
    return ", ".join(f"{name} {slip:+.2f}" for name, slip in slips_u.items())


def _tell(meta: dict[str, Any], target: Path, face: str, *, sim: bool, json: bool) -> None:
    if json:
        emit_json({"folder": str(target), "report": str(target / "report.html"), **meta})
        return
    if again := meta.get("recalibration"):
        table(f"{meta['face_id']}: recalibrated from {again['poses']} poses", ("what", "measured"), [
            ("drifted", ", ".join(again["drifted"]) or "nothing"),
            ("actuators that stand elsewhere", _slips(again["slips_u"]) or "none"),
            ("error before, mm", f"{again['before']['mean_mm']:.2f}"),
            ("error after, mm", f"{again['after']['mean_mm']:.2f}"),
        ])  # fmt: skip
    flat = {k: v for k, v in meta["quality"].items() if not isinstance(v, dict | list)}
    table(f"{meta['face_id']}: calibrated", ("what", "measured"),
          [(k, f"{v:.3f}" if isinstance(v, float) else str(v)) for k, v in flat.items()])  # fmt: skip
    out.print(f"the report: {target / 'report.html'}", markup=False, soft_wrap=True)
    out.print(
        f"next: animaface play demo --face {face}{' --sim --record out.mp4' if sim else ''}", markup=False
    )

"""A calibrated face that has aged: noticed from a few frames, learned again from a few dozen poses; the calibration before is kept
and compared."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration import album, drift, folder
from animaface.calibration.camera.delay import measure_delay
from animaface.calibration.face_steps import FaceSteps
from animaface.calibration.learn import Learned, learn_inverse, load_learned
from animaface.calibration.options import Options, Stand
from animaface.calibration.paths import exam_path
from animaface.calibration.recording import Recording
from animaface.calibration.work import Work
from animaface.robot.face.errors import CalibrationError
from animaface.selfmodel.distill import DistillOptions
from animaface.selfmodel.export import export_inverse, export_self_model
from animaface.selfmodel.score import score

Array = NDArray[np.float64]

POSES: Final = 50
LOOKS: Final = 15
"""Poses that are driven again to see whether the face has drifted: six seconds."""
_CHECK_SWING_S: Final = 6.0


def recalibrate(
    stand: Stand,
    source: Path,
    target: Path,
    work: Path,
    *,
    poses: int = POSES,
    options: Options | None = None,
) -> dict[str, Any]:
    """Learn the face of `source`, a calibration folder, again from `poses` poses, and write `target`.

    source and target may be the same; what was in target stays beside it as `<target>.previous`. The new
    calibration.json carries `recalibration`: which regions had drifted, which actuators stand elsewhere, and the
    errors of the old and the new self-model on a path that neither has seen. Raises CalibrationError when source is
    missing or broken, and when the new model is no better than the old one (then nothing is written).
    """
    o, config = options or Options(), stand.config
    face, meta, old, youth = _before(stand, source, work, poses, o)
    seen, exam = _watch(face, old, youth, poses)
    found = _compared(config.names, meta, old, youth, seen)
    stand.prompter.say(f"drifted: {', '.join(found.regions) or 'nothing'}")
    new = drift.adapt(old, seen, youth)
    before, after = (_errors(learned, exam) for learned in (old, new))
    if after["mean_mm"] >= before["mean_mm"]:
        raise CalibrationError(
            f"the recalibrated model errs by {after['mean_mm']:.2f} mm, the old one by {before['mean_mm']:.2f} mm; "
            "the old calibration stays", next_step=f"animaface calibrate {config.id}")  # fmt: skip
    meta["recalibration"] = {
        "from": meta["date"], "poses": sum(len(r.frame_s) for r in seen), **found.facts(), "before": before, "after": after,
    }  # fmt: skip
    meta["date"] = datetime.now(UTC).strftime("%Y-%m-%d %H:%M")
    _write(target, source, new, seen, meta, stand, o)
    return meta


def look_for_drift(stand: Stand, source: Path, work: Path, *, options: Options | None = None) -> drift.Drift:
    """Is the calibration in `source` still true? A few seconds of its babbling are driven again and compared; nothing is written.

    Raises CalibrationError when source is missing or broken.
    """
    face, meta, old, youth = _before(stand, source, work, LOOKS, options or Options())
    with face.moving():
        seen = _drive(face, old, youth, LOOKS)
    return _compared(stand.config.names, meta, old, youth, seen)


def _before(
    stand: Stand, source: Path, work: Path, poses: int, o: Options
) -> tuple[FaceSteps, dict[str, Any], Learned, list[Recording]]:
    """The steps of a face, what its calibration says, its self-model, and the photos of its youth to take again."""
    meta = folder.load(source, stand.config)
    old = load_learned(source, 1e-3 * np.array(meta["neutral_mm"]), stand.config)
    same_eye = meta.get("plane") == stand.detector.plane
    youth = drift.pieces_again(old, album.load_album(source), poses) if same_eye else []
    return FaceSteps(stand, Work(work), o), meta, old, youth


def _watch(
    face: FaceSteps, old: Learned, youth: list[Recording], poses: int
) -> tuple[list[Recording], Recording]:
    """(poses to learn from, a path to judge by), with the robot released again at the end."""
    config, o = face.stand.config, face.options
    with face.moving():
        seen = _drive(face, old, youth, poses)
        judge = exam_path(config, o.seed + 5, swing_s=_CHECK_SWING_S, takes=1)
        face.recorder.go(judge[0], 0.5)
        exam = face.recorder.record(judge, frame_hz=o.exam_hz, progress=face.progress("check"))
    return seen, exam


def _drive(face: FaceSteps, old: Learned, youth: list[Recording], poses: int) -> list[Recording]:
    """The same poses as in the face's youth, or imagined ones, looked at; the face must be allowed to move."""
    config, body, o, detector = face.stand.config, face.body, face.options, face.stand.detector
    face.recorder.look(body.neutral_u, 20, settle_s=1.0)
    detector.learn_rest(20)
    if not detector.delay_known:
        detector.delay_s = measure_delay(
            face.recorder, config, body.neutral_u, face.stand.flash, o.seed
        ).delay_s
    seen, hz = [], drift.again_hz(youth)
    for path in [r.u for r in youth] or [drift.recalibration_path(old, body, poses, o.seed)]:
        face.recorder.go(path[0], 0.5)
        seen.append(face.recorder.record(path, frame_hz=hz, progress=face.progress("looking again")))
    return seen


def _compared(
    names: Sequence[str], meta: dict[str, Any], old: Learned, youth: list[Recording], seen: list[Recording]
) -> drift.Drift:
    exam_mm = meta.get("models", {}).get("self-model", {}).get("error_mm", {})
    usual = drift.region_errors_mm(old, youth) if youth else exam_mm
    return drift.find_drift(old, seen, usual, names, youth)


def _errors(learned: Learned, exam: Recording) -> dict[str, Any]:
    found = score(exam.landmarks_m, learned.model.predict(learned.inputs(exam))[0])
    return {"mean_mm": float(np.mean(list(found.error_mm.values()))), **found.as_dict()}


def _write(
    target: Path,
    source: Path,
    learned: Learned,
    seen: list[Recording],
    meta: dict[str, Any],
    stand: Stand,
    o: Options,
) -> None:
    from animaface.calibration.report import with_recalibration

    config = stand.config
    facts = {
        "face_id": config.id,
        "config_hash": meta["config_hash"],
        "poses": meta["quality"]["poses"],
        "seed": o.seed,
    }
    net = learn_inverse(learned, config, replace(DistillOptions(seed=o.seed), **o.distil), _telling(stand))

    def fill(new: Path) -> None:
        # The face as it is now: the next change is counted from here. All photos of its youth stay in .previous.
        Work(new).keep(album.NAME, **album.packed(seen))
        if (source / "report.html").is_file():
            page = (source / "report.html").read_text(encoding="utf-8")
            told = with_recalibration(page, meta["recalibration"])
            (new / "report.html").write_text(told, encoding="utf-8")
        export_self_model(learned.model, new / "selfmodel.onnx", config.names, learned.response, learned.history,
                          {**facts, "observed": learned.observed.tolist()})  # fmt: skip
        export_inverse(net, new / "inverse.onnx", config.names, facts)
        (new / "calibration.json").write_text(json.dumps(meta, indent=1), encoding="utf-8")

    folder.write(target, fill)


def _telling(stand: Stand) -> Any:
    return lambda done, total: stand.prompter.progress(done, total, "inverse")

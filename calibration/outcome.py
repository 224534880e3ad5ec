"""What a session leaves behind: calibration.json, the networks, the babbling and the report."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from animaface.calibration import album, folder
from animaface.calibration.face_steps import FaceSteps
from animaface.calibration.recording import Recording
from animaface.calibration.work import Work
from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import CalibrationError
from animaface.selfmodel.retarget import Retarget
from animaface.selfmodel.rig import default_rig

if TYPE_CHECKING:
    from animaface.calibration.learn import Learned

Array = NDArray[np.float64]


def facts(face: FaceSteps, learned: "Learned") -> dict[str, Any]:
    """The content of calibration.json. Where the check was skipped its numbers are missing."""
    config, work, detector = face.stand.config, face.work, face.stand.detector
    answers = face.answers()
    neutral = work.arrays("neutral") or {}
    model = _model(face, learned)
    speech = work.facts("speech") or {}
    return {
        "schema_version": folder.SCHEMA_VERSION,
        "face_id": config.id,
        "config_hash": folder.config_hash(config),
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M"),
        "units": {"lags_ms": "ms", "moved_mm": "mm", "speed_u_s": "ranges/s", "relative": "error / motion"},
        "detector": detector.name,
        "plane": detector.plane,
        "camera": {**(work.facts("camera") or {}), **detector.facts()},
        "neutral_mm": np.round(1e3 * learned.neutral_m, 3).tolist(),
        "jitter_mm": 1e3 * float(neutral["jitter_m"]),
        "lags_ms": {
            n: round(1e3 * (a.delay_s + a.tau_s), 1) if a.seen else config.actuators[n].whole_lag_ms
            for n, a in answers.items()
        },
        "observability": {
            n: {"seen": a.seen, "moved_mm": round(1e3 * a.moved_m, 2), "fit": round(a.quality, 4),
                "speed_u_s": round(a.speed_u_s, 2), "driven_by": "self-model" if a.seen else "hand map"}
            for n, a in answers.items()
        },
        "walked": {n: f for n in config.names if (f := work.facts(f"walked_{n}"))},
        "quality": _quality(model, speech),
        "models": model.get("models", {}),
        "speech": speech,
        "shapes": _shapes(face, learned),
        "curve": (work.facts("curve") or {}).get("rows", []),
        "options": asdict(face.options),
    }  # fmt: skip


def _model(face: FaceSteps, learned: "Learned") -> dict[str, Any]:
    from animaface.calibration import check

    exam, head = face.work.arrays("exam"), face.work.arrays("exam_head")
    recordings = face.recordings()
    if exam is None:
        return {"poses": face.poses()}
    model = check.score_self_model(learned, recordings, Recording.of(exam)) | {"poses": face.poses()}
    if head is not None:
        seen = Recording.of(head)
        error = learned.model.predict(learned.inputs(seen))[1] - seen.head_rad
        model["head_error_deg"] = float(np.degrees(np.sqrt((error**2).mean())))
    return model


def _quality(model: dict[str, Any], speech: dict[str, Any]) -> dict[str, Any]:
    models = model.get("models")
    out: dict[str, Any] = {"poses": model["poses"]}
    if models:
        out |= {
            "self-model, worst region": models["self-model"]["worst"],
            "linear model, worst region": models["linear"]["worst"],
            "nearest neighbour, worst region": models["nearest neighbour"]["worst"],
            "constant face, worst region": models["constant face"]["worst"],
            "head error (deg)": model["head_error_deg"],
        }
    return out | {
        "lips closed within 1.5 mm at m b p": speech.get("closed_share"),
        "vowel gap done / asked": speech.get("vowel_gap_ratio"),
        "vowels within 25 % of asked": speech.get("vowel_within_25_percent"),
        "correlation of lip gap asked and done": speech.get("gap_correlation"),
    }


def _shapes(face: FaceSteps, learned: "Learned") -> list[dict[str, Any]]:
    from animaface.calibration import check

    kept = face.work.arrays("expressions")
    if kept is None:
        return []
    names, values = check.expressions(face.options.shapes)
    targets = seen_targets(face, learned)
    return check.shape_table(names, values, targets, kept["done_m"], kept["reachable_m"], kept["before_m"])


def seen_targets(face: FaceSteps, learned: "Learned") -> Retarget:
    """Targets as the detector can judge them: without depth where it sees none."""
    targets = learned.retarget()
    return InPlane(default_rig(), learned.neutral_m) if face.stand.detector.plane else targets


class InPlane(Retarget):
    """Targets in the plane of the picture."""

    def landmarks_m(self, values: Array) -> Array:
        """As Retarget, nothing moves in depth."""
        out = super().landmarks_m(values)
        out[..., 2] = self.neutral_m[:, 2]
        return out


def write(target: Path, face: FaceSteps, learned: "Learned", meta: dict[str, Any]) -> None:
    """The calibration folder, whole or not at all; beside the numbers, those of the calibration it replaces."""
    from animaface.calibration.report import write_report

    meta["replaces"] = _replaced(target, face.stand.config)

    kept = face.work.arrays("expressions") or {}
    nothing = np.zeros((0, *learned.neutral_m.shape))

    def fill(new: Path) -> None:
        into = Work(new)
        for name in ("selfmodel.onnx", "inverse.onnx"):
            (new / name).write_bytes(face.work.path(name).read_bytes())
        into.keep(album.NAME, **album.packed(face.recordings()))
        into.keep_facts("calibration", meta)
        write_report(new / "report.html", meta, seen_targets(face, learned), kept.get("done_m", nothing),
                     kept.get("reachable_m", nothing))  # fmt: skip

    folder.write(target, fill)


def _replaced(target: Path, config: FaceConfig) -> dict[str, Any]:
    """Date and numbers of quality of a calibration of this face that lies in `target`."""
    try:
        before = folder.load(target, config)
    except CalibrationError:
        return {}
    return {"date": before["date"], "quality": before["quality"]}

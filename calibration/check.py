"""The finished calibration tried out on the face: the fixed path, every ARKit shape, and speech."""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.learn import Learned
from animaface.calibration.recording import Recorder, Recording
from animaface.robot.face.arkit import ARKIT_NAMES, FRAME_RATE_HZ
from animaface.robot.face.errors import CalibrationError
from animaface.robot.face.landmarks import N_LANDMARKS, lip_gap_m
from animaface.selfmodel.expressions import EMOTIONS, shapes_alone, spoken_take
from animaface.selfmodel.history import TICK_S
from animaface.selfmodel.retarget import Retarget
from animaface.selfmodel.runtime import FaceInverse
from animaface.selfmodel.score import constant_face, linear_model, nearest_neighbour, score

Array = NDArray[np.float64]
Progress = Callable[[int, int], None]

CLOSED_M: Final = 0.0015
HELD_S: Final = 0.4
_MISSED_IN_A_ROW: Final = 2
_OPEN_VOWELS: Final = ("AA", "AE", "AH", "EH", "AO")


def score_self_model(learned: Learned, training: list[Recording], exam: Recording) -> dict[str, Any]:
    """Relative error by region on the fixed path: ours, constant face, linear, nearest neighbour."""
    q = np.concatenate([r.at_frames(learned.response.follow(r.u)) for r in training])
    seen = np.concatenate([r.landmarks_m for r in training])
    q_exam = exam.at_frames(learned.response.follow(exam.u))
    predicted, head = learned.model.predict(learned.inputs(exam))
    models = {
        "self-model": predicted,
        "linear": linear_model(q, seen, q_exam),
        "nearest neighbour": nearest_neighbour(q, seen, q_exam),
        "constant face": constant_face(seen, len(q_exam)),
    }
    scores = {name: score(exam.landmarks_m, m).as_dict() for name, m in models.items()}
    head_error = float(np.degrees(np.sqrt(((head - exam.head_rad) ** 2).mean())))
    return {"models": scores, "head_error_deg": head_error}


def expressions(only: Sequence[str] = ()) -> tuple[tuple[str, ...], Array]:
    """Names and values[E, 55] of what is tried: the 52 shapes at 1 and the emotions, or `only` some of them."""
    names = (*ARKIT_NAMES, *EMOTIONS)
    values = shapes_alone((1.0,))
    if only:
        pick = [names.index(n) for n in only]
        return tuple(only), values[pick]
    return names, values


def try_expressions(recorder: Recorder, u: Array, neutral_u: Array, progress: Progress) -> Array:
    """[E, 478, 3] what each of the commands u[E, N] looks like, held for HELD_S from neutral; NaN where it could not be seen: lips that
    press each other away are no face to a camera. Raises CalibrationError when several in a row are not seen."""
    done, missed = np.full((len(u), N_LANDMARKS, 3), np.nan), 0
    for k, row in enumerate(u):
        recorder.go(row, 0.25)
        try:
            done[k], missed = recorder.look(row, 4, settle_s=HELD_S)[0], 0
        except CalibrationError:
            missed += 1
            if missed > _MISSED_IN_A_ROW:
                raise
        recorder.go(neutral_u, 0.25)
        progress(k + 1, len(u))
    return done


def held(inverse: FaceInverse, values: Array) -> Array:
    """[E, N] commands of held expressions: each is asked for as a take of its own."""
    return np.stack([inverse.solve(np.repeat(v[None], 3, axis=0))[1] for v in values])


def trajectory(inverse: FaceInverse, lag_s: Array, values: Array) -> Array:
    """[T, N] at TICK_S for a take values[., 55] at 60 Hz, each actuator ahead by its lag; as in play."""
    u = inverse.solve(values)
    time_s = np.arange(len(u)) / FRAME_RATE_HZ
    grid = np.arange(0.0, time_s[-1], TICK_S)
    return np.stack(
        [np.interp(grid + lag, time_s, column) for lag, column in zip(lag_s, u.T, strict=True)], axis=1
    )


def try_speech(
    recorder: Recorder, inverse: FaceInverse, lag_s: Array, retarget: Retarget, takes: int, progress: Progress
) -> dict[str, Any]:
    """Spoken takes on the face: closed at m b p, open at vowels as asked, gap followed."""
    sealed_m = float(lip_gap_m(retarget.neutral_m))
    closed, ratios, asked_all, done_all = [], [], [], []
    for k in range(takes):
        take = spoken_take(777_000 + k, 4.0)
        path = trajectory(inverse, lag_s, take.values)
        recorder.go(path[0], 0.4)
        seen = recorder.record(path, frame_hz=100.0)
        time_s = seen.frame_s - seen.start_s
        done = lip_gap_m(seen.landmarks_m) - sealed_m
        asked = np.interp(time_s, take.time_s, lip_gap_m(retarget.landmarks_m(take.values)) - sealed_m)
        asked_all.append(asked)
        done_all.append(done)
        for name, start, end in take.phones:
            inside = (time_s >= start - 0.03) & (time_s <= end + 0.03)
            if name == "M" and inside.any():
                closed.append(float(done[inside].min()))
            elif name in _OPEN_VOWELS and inside.any() and asked[inside].max() > 0.003:
                ratios.append(float(done[inside].max() / asked[inside].max()))
        progress(k + 1, takes)
    asked, done = np.concatenate(asked_all), np.concatenate(done_all)
    gaps, ratio = np.array(closed), np.array(ratios)
    return {
        "closures": len(gaps),
        "closed_share": float((gaps <= CLOSED_M).mean()) if len(gaps) else None,
        "closed_gap_p95_mm": float(1e3 * np.percentile(gaps, 95)) if len(gaps) else None,
        "vowels": len(ratio),
        "vowel_gap_ratio": float(np.median(ratio)) if len(ratio) else None,
        "vowel_within_25_percent": float((np.abs(ratio - 1.0) <= 0.25).mean()) if len(ratio) else None,
        "gap_correlation": _correlation(asked, done),
    }


def _correlation(a: Array, b: Array) -> float | None:
    return float(np.corrcoef(a, b)[0, 1]) if min(a.std(), b.std()) > 1e-6 else None


def shape_table(
    names: tuple[str, ...], values: Array, retarget: Retarget, done_m: Array, reachable_m: Array,
    before_m: Array,
) -> list[dict[str, Any]]:  # fmt: skip
    """Per expression in mm (rms over the landmarks it moves): asked, what the face could reach, what was done, and
    what the hand map did before.

    `reachable`, `done`, `before`: the share of the asked movement along its direction (1 = all of it). What could not be seen
    (NaN) has no numbers.
    """
    rows = []
    for name, value, done, best, before in zip(names, values, done_m, reachable_m, before_m, strict=True):
        asked = retarget.landmarks_m(value[None])[0] - retarget.neutral_m
        size = np.linalg.norm(asked, axis=1)
        moving = size > max(0.15 * float(size.max()), 3e-4)
        if not moving.any():
            rows.append({"name": name, "asked_mm": 0.0})
            continue
        norm = float((asked[moving] ** 2).sum())
        row: dict[str, Any] = {"name": name, "asked_mm": _rms_mm(asked[moving])}
        for what, landmarks_m in (("reachable", best), ("done", done), ("before", before)):
            if np.isfinite(landmarks_m).all():
                way = landmarks_m - retarget.neutral_m
                row[what] = float((way[moving] * asked[moving]).sum()) / norm
                row[f"{what}_error_mm"] = _rms_mm((way - asked)[moving])
        if "done" in row:
            row["elsewhere_mm"] = _rms_mm((done - retarget.neutral_m)[~moving])
        rows.append(row)
    return rows


def _rms_mm(x: Array) -> float:
    return float(1e3 * np.sqrt((x**2).sum(axis=1).mean())) if len(x) else 0.0

"""What photos teach: the error of a self-model against the number of poses it saw."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Final

from animaface.calibration.check import score_self_model
from animaface.calibration.learn import Learned, learn_face
from animaface.calibration.options import Options
from animaface.calibration.recording import Recording
from animaface.selfmodel.train import TrainOptions

_SHARES: Final = (1 / 8, 1 / 4, 1 / 2, 1.0)
_FEWEST: Final = 40
_STEPS: Final = 400
"""Of training for a point of the curve, all points alike: fewer than a calibration takes, so the last point lies a
little above it."""

Progress = Callable[[int, int], None]


def pose_curve(
    learned: Learned, recordings: Sequence[Recording], exam: Recording, asked: Options, way: str,
    progress: Progress,
) -> list[dict[str, Any]]:  # fmt: skip
    """Rows {"way", "poses", "worst"}: models trained on the first poses alone, scored on the fixed path.

    `way`: how the face babbled; `asked` tells how many photos a pose has, and how models are trained.
    """
    options = TrainOptions(**asked.train)
    options = replace(options, steps=min(options.steps, _STEPS))
    total, rows = sum(len(r.frame_s) for r in recordings), []
    counts = [n for share in _SHARES if (n := round(share * total)) >= _FEWEST]
    for k, n in enumerate(counts):
        part = first_poses(recordings, n)
        model = learn_face(
            part, learned.response, learned.observed, learned.neutral_m, options, lambda done, of: None
        )
        found = score_self_model(model, part, exam)["models"]["self-model"]
        rows.append({"way": way, "poses": round(n / asked.photos_per_pose), "worst": found["worst"]})
        progress(k + 1, len(counts))
    return rows


def first_poses(recordings: Sequence[Recording], n: int) -> list[Recording]:
    """The first n frames of recordings, with all that was commanded before them."""
    out, left = [], n
    for r in recordings:
        if left <= 0:
            break
        out.append(r.photos(slice(left)))
        left -= len(out[-1].frame_s)
    return out

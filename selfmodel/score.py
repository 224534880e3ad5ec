"""How a self-model is scored: relative error by region on a test path, the worst region counts.

Relative error = rms error / rms motion, over the landmarks of the region whose true rms motion on that
path is above .5 mm. Beside it the models that cost nothing: constant face, linear, nearest neighbour.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.landmarks import MOVING_RMS_M, REGION_NAMES, regions

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RegionScore:
    """Relative error and rms error in mm per region; regions where nothing moves are absent."""

    relative: dict[str, float]
    error_mm: dict[str, float]

    @property
    def worst(self) -> float:
        """Largest relative error of any region that moves, NaN when none does."""
        return max(self.relative.values(), default=float("nan"))

    @property
    def worst_region(self) -> str:
        """Where `worst` is; '' when nothing moves."""
        return max(self.relative, key=lambda r: self.relative[r], default="")

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"worst": self.worst, "worst_region": self.worst_region, "relative": self.relative,
                "error_mm": self.error_mm}  # fmt: skip


def score(truth_m: Array, predicted_m: Array) -> RegionScore:
    """Score predictions [T, 478, 3] against the truth on a test path, both in m."""
    motion = ((truth_m - truth_m.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0)
    error = ((truth_m - predicted_m) ** 2).sum(axis=2).mean(axis=0)
    relative, error_mm = {}, {}
    for name in REGION_NAMES:
        index = [i for i in regions()[name] if motion[i] > MOVING_RMS_M**2]
        if index:
            relative[name] = float(np.sqrt(error[index].sum() / motion[index].sum()))
            error_mm[name] = float(1e3 * np.sqrt(error[index].mean()))
    return RegionScore(relative, error_mm)


def constant_face(train_m: Array, n: int) -> Array:
    """[n, 478, 3] the mean face of the training poses."""
    return np.broadcast_to(train_m.mean(axis=0), (n, *train_m.shape[1:]))


def linear_model(train_q: Array, train_m: Array, test_q: Array) -> Array:
    """[T, 478, 3] least squares on the positions q[., N] of the actuators."""
    a = np.column_stack([train_q, np.ones(len(train_q))])
    b = train_m.reshape(len(train_m), -1)
    fit = np.linalg.lstsq(a, b, rcond=None)[0]
    return np.asarray(np.column_stack([test_q, np.ones(len(test_q))]) @ fit).reshape(-1, *train_m.shape[1:])


def nearest_neighbour(train_q: Array, train_m: Array, test_q: Array) -> Array:
    """[T, 478, 3] the photo whose command was nearest."""
    square = (test_q**2).sum(1)[:, None] - 2.0 * test_q @ train_q.T + (train_q**2).sum(1)[None]
    return np.asarray(train_m[square.argmin(axis=1)])

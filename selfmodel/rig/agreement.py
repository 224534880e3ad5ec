"""How far the rig agrees with another head's ARKit basis: direction and size, shape by shape."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES
from animaface.robot.face.errors import InputError
from animaface.robot.face.landmarks import Array
from animaface.selfmodel.rig.arkit_rig import FaceRig, default_rig

REFERENCE_NAME: Final = "ict_landmark_basis.npz"


@dataclass(frozen=True)
class Agreement:
    """One shape: cosine of the two motions, size of ours over theirs, landmarks compared."""

    cosine: float
    size: float
    landmarks: int


def reference_m(path: Path) -> dict[str, Array]:
    """Name -> [468, 3] displacement of a reference basis at our head's size, m; InputError if it is none."""
    try:
        with np.load(path, allow_pickle=False) as z:
            names, moves = [str(n) for n in z["names"]], z["displacement"].astype(np.float64)
    except (OSError, ValueError, KeyError) as e:
        raise InputError(f"{path}: no basis with 'names' and 'displacement'") from e
    if moves.shape != (len(names), lm.N_VERTICES, 3):
        raise InputError(
            f"{path}: displacement [{len(names)}, {lm.N_VERTICES}, 3] wanted, found {moves.shape}"
        )
    return {n: m * lm.INTEROCULAR_M for n, m in zip(names, moves, strict=True)}


def agreement(path: Path, *, moving: float = 0.1, rig: FaceRig | None = None) -> dict[str, Agreement]:
    """Shape -> agreement over the landmarks that the reference moves by more than `moving` of its largest.

    Shapes that the reference doesn't move (tongueOut) are left out.
    """
    reference = reference_m(path)
    ours = (rig or default_rig()).displacement_m[:, : lm.N_VERTICES]
    out: dict[str, Agreement] = {}
    for name in ARKIT_NAMES:
        theirs = reference[name]
        far = np.linalg.norm(theirs, axis=1)
        if far.max() == 0.0:
            continue
        at = far > moving * far.max()
        a, b = ours[ARKIT_INDEX[name]][at].ravel(), theirs[at].ravel()
        size_a, size_b = float(np.linalg.norm(a)), float(np.linalg.norm(b))
        out[name] = Agreement(float(a @ b) / max(size_a * size_b, 1e-12), size_a / size_b, int(at.sum()))
    return out


def within(table: dict[str, Agreement], share: float) -> int:
    """How many shapes are within `share` of the reference's size."""
    return sum(abs(row.size - 1.0) <= share for row in table.values())

"""Smooth weights over the 478 landmarks: what belongs to the jaw, to the lower lip, to the eye."""

from functools import cache
from typing import Final

import numpy as np

from animaface.robot.face import landmarks as lm
from animaface.robot.face.landmarks import Array

JAW_ANCHORS: Final[dict[int, float]] = {
    # lower lip and chin ride on the jaw bone
    95: 0.88, 88: 0.94, 178: 0.98, 87: 1.0, 14: 1.0, 17: 1.0, 18: 1.0, 200: 1.0, 199: 1.0, 175: 1.0, 152: 1.0, 148: 0.98,
    # along the jaw's edge the skin is held more and more by the neck and the ear
    176: 0.95, 149: 0.85, 150: 0.72, 136: 0.55, 172: 0.45, 58: 0.35, 132: 0.12, 93: 0.0, 234: 0.0,
    # upper lip, nose and cheekbones belong to the skull; the upper lip is pulled down a little
    191: 0.10, 80: 0.09, 81: 0.08, 82: 0.08, 13: 0.08, 0: 0.07, 164: 0.05, 2: 0.02, 1: 0.0, 98: 0.03, 129: 0.02,
    50: 0.06, 123: 0.05, 101: 0.02, 116: 0.0, 127: 0.0, 10: 0.0, 9: 0.0, 33: 0.0, 133: 0.0, 145: 0.0,
}  # fmt: skip
"""Share of the jaw's motion at right-side landmarks; mirrored, and harmonic in between."""

SIDE_ANCHORS: Final[dict[int, float]] = {
    **dict.fromkeys((95, 88, 178, 87, 14, 17, 18, 84, 181, 91, 199, 152, 149, 136), 1.0),
    **dict.fromkeys((191, 80, 81, 82, 13, 0, 37, 39, 40, 2, 98, 1, 50, 33, 10, 234), 0.0),
}
"""1 below the mouth, 0 above it: keeps a handle on one lip from dragging the other one."""

_INNER_RIGHT: Final = ((191, 95), (80, 88), (81, 178), (82, 87), (13, 14))
CLOSE_ANCHORS: Final[dict[int, float]] = {
    **dict.fromkeys((191, 80, 81, 82, 13), 0.0),
    # exactly what parts the lips, so that mouthClose = jawOpen seals them at any opening
    **{low: JAW_ANCHORS[low] - JAW_ANCHORS[up] for up, low in _INNER_RIGHT},
    17: 0.82, 18: 0.6, 200: 0.4, 199: 0.27, 152: 0.1, 149: 0.07, 136: 0.02, 132: 0.0,
    106: 0.62, 43: 0.54, 0: 0.0, 2: 0.0, 98: 0.0, 50: 0.0, 123: 0.0, 10: 0.0,
}  # fmt: skip
"""How far orbicularis and mentalis can undo the jaw's opening, as a share of the jaw's motion."""

# Rows of the eyelids from the outer to the inner corner; rows 2 and 3 are the folds around the margins.
RIM_UPPER_RIGHT: Final = (246, 161, 160, 159, 158, 157, 173)
RIM_LOWER_RIGHT: Final = (7, 163, 144, 145, 153, 154, 155)
EYE_CORNERS_RIGHT: Final = (33, 133)
FOLD_UPPER_RIGHT: Final = (247, 30, 29, 27, 28, 56, 190)
FOLD_LOWER_RIGHT: Final = (25, 110, 24, 23, 22, 26, 112)
OUTER_UPPER_RIGHT: Final = (113, 225, 224, 223, 222, 221, 189)
OUTER_LOWER_RIGHT: Final = (226, 31, 228, 229, 230, 231, 232, 233, 244)
SKIN_CORNERS_RIGHT: Final = (130, 243)


@cache
def mesh_edges() -> tuple[np.ndarray[tuple[int], np.dtype[np.int64]], ...]:
    """Edges of the mesh without the triangles that close the mouth."""
    up, low = set(lm.INNER_UPPER), set(lm.INNER_LOWER)
    found: set[tuple[int, int]] = set()
    for tri in lm.triangles().tolist():
        if set(tri) & up and set(tri) & low and set(tri) <= (up | low | {78, 308}):
            continue
        for a, b in ((tri[0], tri[1]), (tri[1], tri[2]), (tri[2], tri[0])):
            found.add((min(a, b), max(a, b)))
    pairs = np.array(sorted(found), dtype=np.int64)
    return pairs[:, 0], pairs[:, 1]


def harmonic(anchors: dict[int, float]) -> Array:
    """[478] weights that take the given values at right-side landmarks and at their mirror twins.

    In between they are harmonic on the mesh with the mouth cut open; zero on the irises.
    """
    twin = lm.mirror_index()
    known = {**anchors, **{int(twin[i]): v for i, v in anchors.items()}}
    xyz = lm.neutral_m()
    a, b = mesh_edges()
    w = 1.0 / np.linalg.norm(xyz[a] - xyz[b], axis=1)
    n = lm.N_VERTICES
    lap = np.zeros((n, n))
    np.add.at(lap, (a, b), -w)
    np.add.at(lap, (b, a), -w)
    np.fill_diagonal(lap, -lap.sum(axis=1))
    fixed = np.zeros(n, dtype=bool)
    out = np.zeros(lm.N_LANDMARKS)
    for i, value in known.items():
        fixed[i], out[i] = True, value
    free = ~fixed
    out[:n][free] = np.linalg.solve(lap[np.ix_(free, free)], -lap[np.ix_(free, fixed)] @ out[:n][fixed])
    return 0.5 * (out + out[twin])


@cache
def jaw_weight() -> Array:
    """[478] share of the jaw's motion that each landmark makes."""
    return harmonic(JAW_ANCHORS)


@cache
def lower_side() -> Array:
    """[478] 1 below the mouth, 0 above it, about a half at the corners."""
    return harmonic(SIDE_ANCHORS)


@cache
def close_weight() -> Array:
    """[478] share of the jaw's motion that mouthClose takes back."""
    return harmonic(CLOSE_ANCHORS)


@cache
def off_the_lids() -> Array:
    """[478] 0 on the lid margins and irises, 0.6 on the first fold, 1 elsewhere.

    Skin handles leave the margins to the eye itself, so that a closed eye stays closed.
    """
    out = np.ones(lm.N_LANDMARKS)
    twin = lm.mirror_index()
    still = [*RIM_UPPER_RIGHT, *RIM_LOWER_RIGHT, *EYE_CORNERS_RIGHT, *lm.IRIS_RIGHT]
    fold = [*FOLD_UPPER_RIGHT, *FOLD_LOWER_RIGHT, *SKIN_CORNERS_RIGHT]
    out[fold] = out[twin[fold]] = 0.6
    out[still] = out[twin[still]] = 0.0
    return out

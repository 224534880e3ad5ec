"""The 478 face-mesh landmarks: neutral shape, triangles, mirror map, regions, lip gap.

Order is MediaPipe's face mesh: 468 vertices, then five per iris (centre, +x, top, -x, bottom), the
subject's right eye first. Head frame: x to the subject's left, y up, z out of the face, metres.
"""

from functools import cache
from importlib.resources import files
from typing import Final

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

N_VERTICES: Final = 468
N_LANDMARKS: Final = 478
IRIS_RIGHT: Final = tuple(range(468, 473))
IRIS_LEFT: Final = tuple(range(473, 478))
IRIS_RADIUS_M: Final = 0.00585
EYEBALL_RADIUS_M: Final = 0.0120
MOVING_RMS_M: Final = 0.0005
"""Landmarks whose true rms motion on a test path is below this say nothing about a model."""

# Inner-lip rows from the subject's right corner to the left one, corners (78, 308) excluded.
INNER_UPPER: Final = (191, 80, 81, 82, 13, 312, 311, 310, 415)
INNER_LOWER: Final = (95, 88, 178, 87, 14, 317, 402, 318, 324)
LIP_GAP_PAIRS: Final = ((82, 87), (13, 14), (312, 317))
"""(upper, lower) landmarks whose mean distance is the lip gap."""

_UPPER_LIP_RIGHT = (185, 40, 39, 37, 0, 184, 74, 73, 72, 11, 183, 42, 41, 38, 12, 191, 80, 81, 82, 13)
_LOWER_LIP_RIGHT = (146, 91, 181, 84, 17, 77, 90, 180, 85, 16, 96, 89, 179, 86, 15, 95, 88, 178, 87, 14)
_CORNERS_RIGHT = (61, 76, 62, 78, 57, 186, 92, 43, 106, 212, 216)
_BROWS_RIGHT = (70, 63, 105, 66, 107, 55, 65, 52, 53, 46, 124, 156)
_LIDS_RIGHT = (246, 161, 160, 159, 158, 157, 173, 7, 163, 144, 145, 153, 154, 155,
               247, 30, 29, 27, 28, 56, 190, 25, 110, 24, 23, 22, 26, 112)  # fmt: skip
_NOSE_RIGHT = (1, 2, 4, 5, 19, 94, 64, 48, 115, 220, 45, 129, 102, 49, 131, 219, 218, 237, 44,
               98, 240, 235, 59, 166, 79, 203, 198, 209, 126, 217)  # fmt: skip
_CHEEKS_RIGHT = (50, 101, 118, 117, 116, 123, 147, 187, 205, 36, 142, 100, 119, 120, 207, 206, 111, 177, 213)
_JAW_RIGHT = (152, 148, 176, 149, 150, 136, 172, 58, 175, 199, 200, 18, 83, 182, 204, 211, 210, 194,
              32, 140, 171, 208, 201, 169, 135, 170)  # fmt: skip


@cache
def _topology() -> tuple[Array, NDArray[np.int64], Array]:
    with files(__package__).joinpath("data/mediapipe_canonical_face.npz").open("rb") as f:
        z = np.load(f, allow_pickle=False)
        return z["xyz"].astype(np.float64) * 1e-2, z["tri"].astype(np.int64), z["uv"].astype(np.float64)


def triangles() -> NDArray[np.int64]:
    """[898, 3] vertex indices of the canonical mesh (eye and mouth holes are closed in it)."""
    return _topology()[1]


def uv() -> Array:
    """[468, 2] texture coordinates of the canonical mesh."""
    return _topology()[2]


@cache
def mirror_index() -> NDArray[np.int64]:
    """[478] index of each landmark's twin on the other side of the face."""
    xyz = _topology()[0]
    flipped = xyz * np.array([-1.0, 1.0, 1.0])
    twin = np.linalg.norm(xyz[:, None] - flipped[None], axis=2).argmin(axis=0)
    # irises: centre<->centre, top<->top, +x<->-x
    iris = np.array([473, 476, 475, 474, 477, 468, 471, 470, 469, 472])
    return np.concatenate([twin, iris])


def _neighbours() -> list[set[int]]:
    out: list[set[int]] = [set() for _ in range(N_VERTICES)]
    for a, b, c in triangles():
        out[a] |= {b, c}
        out[b] |= {a, c}
        out[c] |= {a, b}
    return out


def _closed_lips(xyz: Array) -> Array:
    """The canonical mesh with its slightly open lips brought together.

    Inner-lip pairs meet half-way, everything 35 mm from the mouth stays, the rest follows the
    biharmonic of the mesh graph, so that the lips keep their fullness.
    """
    upper, lower = np.array(INNER_UPPER), np.array(INNER_LOWER)
    move = np.zeros_like(xyz)
    middle = 0.5 * (xyz[upper] + xyz[lower])
    move[upper], move[lower] = middle - xyz[upper], middle - xyz[lower]
    centre = xyz[[13, 14]].mean(axis=0)
    far = np.linalg.norm((xyz - centre) * [1.0, 1.3, 0.6], axis=1) > 0.035
    fixed = far.copy()
    fixed[upper] = fixed[lower] = True
    fixed[[78, 308]] = True
    lap = np.zeros((N_VERTICES, N_VERTICES))
    inner_edges = {frozenset(p) for p in zip(INNER_UPPER, INNER_LOWER, strict=True)}
    up, low = set(INNER_UPPER), set(INNER_LOWER)
    for i, around in enumerate(_neighbours()):
        for j in around:
            crosses = (i in up and j in low) or (i in low and j in up)
            if frozenset((i, j)) in inner_edges or crosses:
                continue  # triangles that span the mouth hole carry nothing
            lap[i, i] += 1.0
            lap[i, j] -= 1.0
    bi = lap @ lap
    free = ~fixed
    move[free] = np.linalg.solve(bi[np.ix_(free, free)], -bi[np.ix_(free, fixed)] @ move[fixed])
    return xyz + move


@cache
def _neutral() -> Array:
    xyz = _closed_lips(_topology()[0])
    out = np.zeros((N_LANDMARKS, 3))
    out[:N_VERTICES] = xyz
    ring = IRIS_RADIUS_M * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [-1, 0, 0], [0, -1, 0]], float)
    for side, index in (("right", IRIS_RIGHT), ("left", IRIS_LEFT)):
        out[list(index)] = eye_centre_m(side) + np.array([0, 0, EYEBALL_RADIUS_M]) + ring
    out.setflags(write=False)
    return out


def eye_centre_m(side: str) -> Array:
    """[3] centre of the eyeball ('left' or 'right'), behind the middle of the lid opening."""
    corners = [33, 133, 159, 145] if side == "right" else [263, 362, 386, 374]
    mid = _topology()[0][corners].mean(axis=0)
    return np.asarray(mid - np.array([0.0, 0.0, EYEBALL_RADIUS_M - 0.001]), dtype=np.float64)


def neutral_m() -> Array:
    """[478, 3] neutral landmarks, lips sealed, read-only; metres, head frame."""
    return _neutral()


INTEROCULAR_M: Final = 0.0633
"""Eye-centre to eye-centre of the canonical face, the unit of the ARKit reference bases."""


def _both(right: tuple[int, ...]) -> tuple[int, ...]:
    twin = mirror_index()
    return tuple(sorted({*right, *(int(twin[i]) for i in right)}))


@cache
def regions() -> dict[str, tuple[int, ...]]:
    """Region -> landmark indices; every landmark is in at most one region."""
    out: dict[str, tuple[int, ...]] = {}
    taken: set[int] = set()
    for name, right in (
        ("corners", _CORNERS_RIGHT), ("upper_lip", _UPPER_LIP_RIGHT), ("lower_lip", _LOWER_LIP_RIGHT),
        ("lids", _LIDS_RIGHT), ("brows", _BROWS_RIGHT), ("nose", _NOSE_RIGHT),
        ("cheeks", _CHEEKS_RIGHT), ("jaw", _JAW_RIGHT),
    ):  # fmt: skip
        out[name] = tuple(i for i in _both(right) if i not in taken)
        taken |= set(out[name])
    return out


@cache
def lip_rings() -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Upper lip [4, 9], lower lip [4, 9] and corners [4, 2]: landmarks ring by ring from the outer border to the inner rim, from
    the subject's right to the left."""
    mirror = mirror_index()

    def rings(right: tuple[int, ...]) -> NDArray[np.int64]:
        half = np.array(right).reshape(4, 5)  # the last of each is in the middle
        return np.concatenate([half, mirror[half[:, 3::-1]]], axis=1)

    corners = np.array(_CORNERS_RIGHT[:4])
    return rings(_UPPER_LIP_RIGHT), rings(_LOWER_LIP_RIGHT), np.stack([corners, mirror[corners]], axis=1)


REGION_NAMES: Final = ("lids", "brows", "nose", "cheeks", "upper_lip", "lower_lip", "corners", "jaw")


def lip_gap_m(landmarks_m: Array) -> Array:
    """[...] lip gap of [..., 478, 3] landmarks: mean distance of the three inner-lip pairs, m.

    Subtract the sealed gap of the face at hand (its gap at a resting, closed mouth).
    """
    up = [u for u, _ in LIP_GAP_PAIRS]
    low = [b for _, b in LIP_GAP_PAIRS]
    gap = np.linalg.norm(landmarks_m[..., up, :] - landmarks_m[..., low, :], axis=-1)
    return np.asarray(gap.mean(axis=-1), dtype=np.float64)

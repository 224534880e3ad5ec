"""The mesh that a picture of the face is laid over, and how hard it is to bend.

Eyes and mouth are holes, so that upper and lower lip, upper and lower lid move apart freely.
"""

from functools import cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.landmarks import (
    INNER_LOWER,
    INNER_UPPER,
    N_VERTICES,
    lip_rings,
    mirror_index,
    neutral_m,
    regions,
    triangles,
)

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_EYES: Final = frozenset((
    33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
    263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466,
))  # fmt: skip
_MOUTH: Final = frozenset((*INNER_UPPER, *INNER_LOWER, 78, 308))

_OUTLINE: Final = (284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136,
                   172, 58, 132, 93, 234, 127, 162, 21, 54)  # fmt: skip

_UPPER_RIGHT: Final = (246, 161, 160, 159, 158, 157, 173)
_LOWER_RIGHT: Final = (7, 163, 144, 145, 153, 154, 155)
LID_PAIRS: Final = np.array([
    *zip(_UPPER_RIGHT, _LOWER_RIGHT, strict=True),
    *zip(mirror_index()[list(_UPPER_RIGHT)].tolist(), mirror_index()[list(_LOWER_RIGHT)].tolist(), strict=True),
])  # fmt: skip
"""[14, 2] landmarks of the upper and the lower rim that face each other, the subject's right eye first."""
_NOSE_BRIDGE: Final = 6
CANTHI: Final = np.array([[33, 133], [362, 263]])
"""Landmarks of the corners of the eyes, the subject's right eye first."""
_LIP_STIFF: Final = 10.0
"""Lips are thick: they are pulled along, not apart."""

RIGID: Final = (10, 338, 297, 332, 109, 67, 103, 127, 356, 234, 454, 54, 284, 21, 251, 162, 389)
"""Forehead and temples: landmarks that no actuator moves."""


@cache
def open_triangles() -> Index:
    """[K, 3] triangles of the skin without those that span an eye or the mouth."""
    keep = [t for t in triangles().tolist() if not (set(t) <= _EYES or set(t) <= _MOUTH)]
    return np.array(keep, dtype=np.int64)


def eye_rims() -> Index:
    """The landmarks on the rims of the lids."""
    return np.array(sorted(_EYES), dtype=np.int64)


def mouth_rim() -> Index:
    """The landmarks where upper and lower lip meet."""
    return np.array(sorted(_MOUTH), dtype=np.int64)


@cache
def border() -> Array:
    """[468] 1 on the face's border, where it turns away from the camera, and less on skin within three neighbours of it
    (cheeks, jaw and chin: above the eyes the border moves nothing)."""
    beside = _beside() > 0.0
    below = neutral_m()[:N_VERTICES, 1] < neutral_m()[_NOSE_BRIDGE, 1]
    out = np.zeros(N_VERTICES)
    out[list(_OUTLINE)] = 1.0
    for share in (0.6, 0.3):
        out = np.maximum(out, share * (below & (beside @ (out > 0.0))))
    return out


@cache
def facing() -> Array:
    """[468] how much the skin at rest faces the camera: 1 straight, 0 where it is seen from the side."""
    x, normal = neutral_m()[:N_VERTICES], np.zeros((N_VERTICES, 3))
    for tri in open_triangles():
        across = np.cross(x[tri[1]] - x[tri[0]], x[tri[2]] - x[tri[0]])
        normal[tri] += across if across[2] > 0.0 else -across
    return np.asarray(normal[:, 2] / np.linalg.norm(normal, axis=1))


def lid_axes(points_px: Array) -> Array:
    """[14, 2] unit vectors across the eye, downwards, one for each of LID_PAIRS, of points [468, 2] px."""
    out = np.zeros((len(LID_PAIRS), 2))
    for k, ends in enumerate(CANTHI):
        out[7 * k : 7 * (k + 1)] = _axes(points_px[ends])[1]
    return out * np.where(out[:, 1:] < 0.0, -1.0, 1.0)


def lid_stiffness(points_px: Array, along: float, across: float) -> tuple[Array, Array]:
    """([936, 936] energy of lids that slide along the eye, [936, 936] weights of rims seen across it).

    Lids turn about the line between the corners of the eye, so they hardly move along it. Near those corners, where the eye is
    hardly open, its rims are seen less well.
    """
    axes = lid_axes(points_px)
    lids = np.array(regions()["lids"])
    middle = np.array([points_px[LID_PAIRS[7 * k : 7 * (k + 1)]].mean(axis=(0, 1)) for k in range(2)])
    eye = np.linalg.norm(middle - points_px[lids, None], axis=2).argmin(axis=1)
    turned = axes[7 * eye][:, ::-1] * [-1.0, 1.0]
    wide = ((points_px[LID_PAIRS[:, 1]] - points_px[LID_PAIRS[:, 0]]) * axes).sum(axis=1)
    seen = (across * (wide / wide.max()) ** 2)[:, None, None] * _squares(axes)
    return _of_landmarks(lids, along * _squares(turned)), _of_landmarks(
        LID_PAIRS.ravel(), np.repeat(seen, 2, axis=0)
    )


def mouth_axes(points_px: Array) -> Array:
    """[2, 2] unit vectors along the mouth and across it, of points [468, 2] px."""
    return _axes(points_px[lip_rings()[2][0]])


def _axes(ends_px: Array) -> Array:
    """[2, 2] unit vectors from one of ends_px [2, 2] to the other, and across."""
    along = ends_px[1] - ends_px[0]
    return np.asarray(np.array([along, [-along[1], along[0]]]) / np.linalg.norm(along))


def held_along_mouth(points_px: Array, which: Index, much: tuple[float, float]) -> Array:
    """[936, 936] energy of these landmarks' movements: `much` along the mouth and across it."""
    axes = mouth_axes(points_px)
    return _of_landmarks(which, axes.T @ np.diag(much) @ axes)


def _squares(vectors: Array) -> Array:
    """[K, 2, 2] of vectors [K, 2]: energy of movements along each."""
    return np.asarray(vectors[:, :, None] * vectors[:, None])


def _of_landmarks(which: Index, energies: Array) -> Array:
    """[936, 936] energies [K, 2, 2], or one [2, 2] for all, of landmarks' own movements."""
    out = np.zeros((N_VERTICES, 2, N_VERTICES, 2))
    out[which, :, which] = energies
    return out.reshape(2 * N_VERTICES, 2 * N_VERTICES)


def lip_landmarks() -> Index:
    """The landmarks of both lips."""
    return np.array([i for r in ("upper_lip", "lower_lip") for i in regions()[r]], dtype=np.int64)


@cache
def _beside() -> Array:
    """[468, 468] 1 for landmarks that share a triangle of the skin, and for each with itself."""
    out = np.eye(N_VERTICES)
    for tri in open_triangles():
        out[np.ix_(tri, tri)] = 1.0
    return out


@cache
def stiffness(membrane: float, bending: float, ground: float) -> Array:
    """[468, 468] energy of a displacement: membrane L + bending L A^-1/2 L + ground I, L the cotangent Laplacian, A the
    share of the skin that a landmark stands for, mean 1.

    The elastic sheet that skin is for a camera (M. Botsch, O. Sorkine, On linear variational surface
    deformation methods, 2008); lips are firmer. Forehead and temples are held. Its lengths and angles are those of the canonical
    face in space: two landmarks that lie side by side in the picture can be far apart on skin that goes inwards between them.
    """
    x, firm = neutral_m(), np.ones(N_VERTICES)
    firm[lip_landmarks()] = _LIP_STIFF
    laplace, stretch = (np.zeros((N_VERTICES, N_VERTICES)) for _ in range(2))
    area = np.zeros(N_VERTICES)
    for tri in open_triangles():
        thick = firm[tri].min()
        for k in range(3):
            i, j, far = tri[k], tri[(k + 1) % 3], tri[(k + 2) % 3]
            a, b = x[i] - x[far], x[j] - x[far]
            twice_area = float(np.linalg.norm(np.cross(a, b))) + 1e-9
            area[i] += twice_area
            weight = 0.1 + 0.5 * min(abs(float(a @ b)) / twice_area, 5.0)
            for energy, much in ((laplace, weight), (stretch, weight * thick)):
                energy[[i, j], [i, j]] += much
                energy[[i, j], [j, i]] -= much
    firmer = np.maximum(area / area.mean(), 0.1) ** -0.5
    out = membrane * stretch + bending * (laplace @ (firmer[:, None] * laplace))
    out[np.arange(N_VERTICES), np.arange(N_VERTICES)] += ground
    out[RIGID, RIGID] += 1.0
    return np.asarray(out)


def placed(points_px: Array) -> Array:
    """[468, 2] px where the canonical face's points lie in a picture in which the network saw points_px[468, 2].

    The network's own mesh slides: on a still face its forehead is up to 10 px and its lids 4 px away from where
    the canonical face (and with it the rig's shapes) has these points. So its clear features count (rims of the
    eyes, lips, nose, brows, outline), and the canonical face is bent to them like a stiff sheet.
    """
    canonical = neutral_m()[:N_VERTICES, :2] * [1.0, -1.0]
    features = np.unique([*_EYES, *lip_landmarks(), *(i for r in ("nose", "brows") for i in regions()[r])])
    base = moved(canonical, *similarity(canonical[features], points_px[features]))
    held = np.zeros(N_VERTICES)
    held[features] = held[list(_OUTLINE)] = 1.0
    sheet = stiffness(5.0, 5.0, 0.01) + np.diag(held)
    sheet[RIGID, RIGID] -= 1.0
    return np.asarray(base + np.linalg.solve(sheet, held[:, None] * (points_px - base)))


def similarity(source: Array, target: Array) -> tuple[complex, complex]:
    """(a, b) of the best z -> a z + b in the plane, points [n, 2] as complex numbers."""
    p, q = source[:, 0] + 1j * source[:, 1], target[:, 0] + 1j * target[:, 1]
    p0, q0 = p.mean(), q.mean()
    a = ((q - q0) * (p - p0).conj()).sum() / (np.abs(p - p0) ** 2).sum()
    return complex(a), complex(q0 - a * p0)


def moved(points: Array, a: complex, b: complex) -> Array:
    """Points [..., 2] after z -> a z + b."""
    z = a * (points[..., 0] + 1j * points[..., 1]) + b
    return np.stack([z.real, z.imag], axis=-1)

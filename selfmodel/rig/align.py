"""Lays a user's head over ours and finds our landmarks on its skin.

Two heads with ARKit shapes tell where their parts are by what moves: the middle of what eyeBlinkLeft
moves is the left eye on both. These middles give rotation, scale and place (Umeyama 1991, Least-squares
estimation of transformation parameters between two point patterns); closest points refine them.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face import landmarks as lm
from animaface.robot.face.arkit import ARKIT_INDEX
from animaface.robot.face.landmarks import Array

TELLING: Final = (
    "eyeBlinkLeft", "eyeBlinkRight", "browOuterUpLeft", "browOuterUpRight", "browInnerUp",
    "noseSneerLeft", "noseSneerRight", "mouthSmileLeft", "mouthSmileRight", "mouthShrugUpper",
    "mouthRollUpper", "mouthRollLower", "mouthFrownLeft", "mouthFrownRight", "jawOpen",
)  # fmt: skip
"""Shapes whose place on the face is told by what they move."""
TWINS: Final = ("jawOpen", "eyeBlinkLeft", "eyeBlinkRight")
"""Shapes that tell an upper from a lower lip or lid where the two touch."""
_ROUNDS: Final = 15


@dataclass(frozen=True)
class Similarity:
    """x -> scale * rotation @ x + shift."""

    scale: float
    rotation: Array  # [3, 3]
    shift: Array  # [3]

    def points(self, xyz: Array) -> Array:
        """[..., 3] points carried over."""
        return np.asarray(self.scale * xyz @ self.rotation.T + self.shift)

    def vectors(self, xyz: Array) -> Array:
        """[..., 3] displacements carried over."""
        return np.asarray(self.scale * xyz @ self.rotation.T)


def umeyama(source: Array, target: Array, weights: Array) -> Similarity:
    """The similarity that carries source [n, 3] onto target [n, 3] with least weighted squares."""
    w = weights / weights.sum()
    a, b = w @ source, w @ target
    s, t = source - a, target - b
    u, d, vt = np.linalg.svd((t * w[:, None]).T @ s)
    flip = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * flip) @ vt
    scale = float((d * flip).sum() / (w @ np.square(s).sum(axis=1)))
    return Similarity(scale, rotation, b - scale * rotation @ a)


def _areas(points: Array, triangles: NDArray[np.int64]) -> Array:
    """[v] area of skin that belongs to each vertex."""
    a, b, c = (points[triangles[:, k]] for k in range(3))
    area = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1) / 3.0
    out = np.zeros(len(points))
    for k in range(3):
        np.add.at(out, triangles[:, k], area)
    return out


def _middles(points: Array, triangles: NDArray[np.int64], moves: list[Array]) -> Array:
    """[n, 3] middle of what each shape moves, by area and squared motion."""
    areas = _areas(points, triangles)
    out = []
    for move in moves:
        w = areas * np.square(move).sum(axis=1)
        out.append(w @ points / max(float(w.sum()), 1e-300))
    return np.array(out)


def lay_over(
    points: Array,
    triangles: NDArray[np.int64],
    moves: dict[str, Array],
    ours_m: Array,
    our_moves_m: Array,
) -> Similarity:
    """The similarity from a user's head [v, 3] to ours [478, 3], by its moves {name: [v, 3]}."""
    telling = [n for n in TELLING if n in moves and np.abs(moves[n]).max() > 0.0]
    vertices = slice(0, lm.N_VERTICES)
    ours = _middles(
        ours_m[vertices], lm.triangles(), [our_moves_m[ARKIT_INDEX[n], vertices] for n in telling]
    )
    theirs = _middles(points, triangles, [moves[n] for n in telling])
    fit = umeyama(theirs, ours, np.ones(len(telling)))
    skin = ours_m[vertices]
    for _ in range(_ROUNDS):
        near = fit.points(points)
        nearest = np.array([np.square(near - p).sum(axis=1).argmin() for p in skin])
        off = np.linalg.norm(near[nearest] - skin, axis=1)
        # what has no counterpart on a differently shaped head counts less
        weights = 1.0 / (1.0 + np.square(off / max(float(np.median(off)), 1e-6)))
        anchors = np.full(len(telling), 2.0 * weights.sum() / len(telling))
        fit = umeyama(
            np.concatenate([points[nearest], theirs]),
            np.concatenate([skin, ours]),
            np.concatenate([weights, anchors]),
        )
    return fit


def closest(
    points_m: Array,
    triangles: NDArray[np.int64],
    moves_m: dict[str, Array],
    ours_m: Array,
    our_moves_m: Array,
) -> tuple[NDArray[np.int64], Array]:
    """(corner vertices [468, 3], their shares [468, 3]) of the skin nearest to each of our landmarks.

    Nearness counts place and, where lips or lids touch, whether the skin moves along with jawOpen and
    the blinks as it does on our face.
    """
    corners = np.arange(lm.N_VERTICES)
    names = [n for n in TWINS if n in moves_m]
    theirs = np.concatenate([points_m, *(0.5 * _unit(moves_m[n]) for n in names)], axis=1)
    ours = np.concatenate([ours_m, *(0.5 * _unit(our_moves_m[ARKIT_INDEX[n]]) for n in names)], axis=1)[
        corners
    ]
    at: list[list[int]] = [[] for _ in range(len(points_m))]
    for f, tri in enumerate(triangles.tolist()):
        for v in tri:
            at[v].append(f)
    used = np.array([bool(a) for a in at])
    index, share = np.zeros((len(corners), 3), np.int64), np.zeros((len(corners), 3))
    for i, (point, feature) in enumerate(zip(ours_m[corners], ours, strict=True)):
        far = np.where(used, np.square(theirs - feature).sum(axis=1), np.inf)
        around = triangles[at[int(far.argmin())]]
        shares = _barycentric(points_m[around], point)
        hit = np.einsum("fk,fkc->fc", shares, points_m[around])
        best = int(np.square(hit - point).sum(axis=1).argmin())
        index[i], share[i] = around[best], shares[best]
    return index, share


def _unit(move: Array) -> Array:
    """[..., 3] motion with its largest at 2 cm: comparable with places, whoever made the shape."""
    return np.asarray(0.02 * move / max(float(np.linalg.norm(move, axis=-1).max()), 1e-12))


def _barycentric(corners: Array, point: Array) -> Array:
    """[f, 3] shares of the point of each triangle [f, 3, 3] that is nearest to `point`."""
    a, b, c = corners[:, 0], corners[:, 1], corners[:, 2]
    options = [_inside(a, b, c, point)]
    for k in range(3):
        p, q = corners[:, k], corners[:, (k + 1) % 3]
        edge = q - p
        t = ((point - p) * edge).sum(axis=1) / np.maximum(np.square(edge).sum(axis=1), 1e-18)
        t = np.clip(t, 0.0, 1.0)
        shares = np.zeros((len(corners), 3))
        shares[:, k], shares[:, (k + 1) % 3] = 1.0 - t, t
        options.append(shares)
    all_shares = np.stack(options)  # [4, f, 3]
    hits = np.einsum("ofk,fkc->ofc", all_shares, corners)
    off = np.square(hits - point).sum(axis=2)
    off[0] = np.where((options[0] >= -1e-9).all(axis=1), off[0], np.inf)
    return np.asarray(all_shares[off.argmin(axis=0), np.arange(len(corners))])


def _inside(a: Array, b: Array, c: Array, point: Array) -> Array:
    """[f, 3] barycentric shares of the foot of `point` on each triangle's plane."""
    u, v, w = b - a, c - a, point - a
    uu, uv, vv = (u * u).sum(1), (u * v).sum(1), (v * v).sum(1)
    wu, wv = (w * u).sum(1), (w * v).sum(1)
    det = np.where(np.abs(d := uu * vv - uv * uv) < 1e-18, np.inf, d)
    s, t = (vv * wu - uv * wv) / det, (uu * wv - uv * wu) / det
    return np.stack([1.0 - s - t, s, t], axis=1)

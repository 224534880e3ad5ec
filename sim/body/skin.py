"""Condensed elasticity of the skin: links, tendons, jaw and lids -> every vertex by one matrix product.

K = ks L + kb L A^-1 L + kg, a cotangent membrane, bending, and a foundation on a blend of jaw and
head. Vertices glued to links are eliminated; what is left are influence columns per handle and the
condensed stiffness that the servos feel (SIMULATION.md). Linear by itself: stiffening, contact,
friction and creep act on the handles (tissue.py, lips.py).
"""

from dataclasses import dataclass, replace
from functools import cache
from typing import Self

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face import landmarks as lm
from animaface.sim.body import anatomy

Array = NDArray[np.float64]
Index = NDArray[np.int64]

_MEMBRANE, _BENDING, _FOUNDATION = 60.0, 20.0, 7.0  # N/m; by eye: wide smooth fields without dents
_STIFF_FOUNDATION = 400.0
_GLUE = 900.0  # N/m per vertex that hangs on a bar, where a contact pushes against it


@cache
def skin_triangles() -> Index:
    """[T, 3] triangles with the eye and mouth holes cut out."""
    tri = lm.triangles()
    mouth = np.array([78, 308, *lm.INNER_UPPER, *lm.INNER_LOWER])
    ring = anatomy.LID_RING_RIGHT
    keep = np.ones(len(tri), bool)
    for hole in (mouth, np.array(ring), np.array(anatomy.twins(ring))):
        keep &= ~np.isin(tri, hole).all(axis=1)
    return np.asarray(tri[keep], dtype=np.int64)


@cache
def _operator() -> tuple[Array, Array]:
    """([468, 468] membrane + bending, [468] area share of each vertex, mean 1)."""
    x, tri = lm.neutral_m()[: lm.N_VERTICES], skin_triangles()
    lap = np.zeros((lm.N_VERTICES, lm.N_VERTICES))
    area = np.zeros(lm.N_VERTICES)
    for k in range(3):
        i, j, o = tri[:, k], tri[:, (k + 1) % 3], tri[:, (k + 2) % 3]
        a, b = x[i] - x[o], x[j] - x[o]
        cross = np.linalg.norm(np.cross(a, b), axis=1)
        cot = np.clip((a * b).sum(axis=1) / np.maximum(cross, 1e-9), 0.05, 4.0) * 0.5
        for p, q, s in ((i, j, -1.0), (j, i, -1.0), (i, i, 1.0), (j, j, 1.0)):
            np.add.at(lap, (p, q), s * cot)
        np.add.at(area, i, cross / 6.0)
    area = np.maximum(area / area[area > 0].mean(), 0.2)
    return _MEMBRANE * lap + _BENDING * lap @ (lap / area[:, None]), area


@dataclass(frozen=True)
class Skin:
    """Linear maps of one face's skin, all in the head frame.

    handles: names in the order of the columns; on_jaw: which of them ride on the jaw.
    by_handle [468, H], by_jaw [468, 4] (times the jaw's 3x4 motion), by_rim [468, 32] lid rims,
    by_tendon [468, T], by_lip [468, 18] inner-lip vertices (upper row, then lower row).
    handle_stiffness [H, H], handle_jaw [H, 4], tendon_stiffness [T, T], N/m.
    """

    handles: tuple[str, ...]
    tendons: tuple[str, ...]
    by_handle: Array
    by_jaw: Array
    by_rim: Array
    by_tendon: Array
    by_lip: Array
    handle_stiffness: Array
    handle_jaw: Array
    tendon_stiffness: Array
    tendon_by_handle: Array
    tendon_by_jaw: Array

    def softened(self, stiffness: float) -> Self:
        """The same skin with this share of its stiffness: it goes where it went, but pulls less."""
        loads = ("handle_stiffness", "handle_jaw", "tendon_stiffness")
        return replace(self, **{name: stiffness * getattr(self, name) for name in loads})


RIM_VERTICES = (
    *anatomy.UPPER_RIM_RIGHT, *anatomy.LOWER_RIM_RIGHT,
    *anatomy.twins(anatomy.UPPER_RIM_RIGHT), *anatomy.twins(anatomy.LOWER_RIM_RIGHT),
)  # fmt: skip
LIP_VERTICES = (*lm.INNER_UPPER, *lm.INNER_LOWER)


def from_jaw_joint_m(vertices: Index | tuple[int, ...]) -> Array:
    """[n, 4] neutral places relative to the jaw's joint, with a 1 for its translation."""
    x = lm.neutral_m()[list(vertices)] - anatomy.JAW_HINGE_M
    return np.concatenate([x, np.ones((len(x), 1))], axis=1)


@cache
def build_skin(handles: tuple[str, ...], tendons: tuple[str, ...]) -> Skin:
    """Condense the skin on the given rigid handles and tendon ends (names as in anatomy)."""
    n = lm.N_VERTICES
    elastic, area = _operator()
    head = [*anatomy.both(anatomy.HEAD_GLUED_RIGHT), *anatomy.both(anatomy.CANTHI_RIGHT)]
    jaw = list(anatomy.both(anatomy.JAW_GLUED_RIGHT))
    ground = _FOUNDATION * area
    ground[list(anatomy.both(anatomy.STIFF_NOSE_RIGHT))] = _STIFF_FOUNDATION
    K = elastic + np.diag(ground)
    share = _jaw_share(elastic, head, jaw)

    groups = [list(anatomy.handle_vertices(h)) for h in handles]
    rim = list(RIM_VERTICES)
    fixed = np.array([*head, *jaw, *rim, *(v for g in groups for v in g)])
    free = np.setdiff1d(np.arange(n), fixed)
    where = {int(v): k for k, v in enumerate(fixed)}
    H, J = len(handles), 4
    columns = np.zeros((len(fixed), H + J + len(rim)))
    home = from_jaw_joint_m(tuple(range(n)))
    columns[[where[v] for v in jaw], H : H + J] = home[jaw]
    for k, (name, g) in enumerate(zip(handles, groups, strict=True)):
        rows = [where[v] for v in g]
        columns[rows, k] = 1.0
        rides = 1.0 if rides_on_jaw(name) else anatomy.CORNER_ON_JAW if name.startswith("corner") else 0.0
        columns[rows, H : H + J] = rides * home[g]
    columns[[where[v] for v in rim], H + J :] = np.eye(len(rim))
    push = np.zeros((len(free), columns.shape[1]))
    push[:, H : H + J] = ground[free, None] * share[free, None] * home[free]
    W = np.zeros((n, columns.shape[1]))
    W[fixed] = columns
    W[free] = np.linalg.solve(K[np.ix_(free, free)], push - K[np.ix_(free, fixed)] @ columns)
    force = K @ W
    force[:, H : H + J] -= ground[:, None] * share[:, None] * home
    select = np.zeros((H, n))
    for k, g in enumerate(groups):
        select[k, g] = 1.0
    on_handle = select @ force
    by_tendon, tendon_k = _tendons(K, fixed, tendons)
    ends = np.stack(
        [W[list(anatomy.handle_vertices(t))].mean(axis=0) for t in tendons] or [np.zeros(W.shape[1])]
    )
    ends = ends[: len(tendons)]
    by_lip = _lip_influence(K, fixed, head, jaw, rim)
    maps = (W[:, :H], W[:, H : H + J], W[:, H + J :], by_tendon, by_lip, on_handle[:, :H], on_handle[:, H : H + J],
            tendon_k, ends[:, :H], ends[:, H : H + J])  # fmt: skip
    # How many threads BLAS had shows in the last bits of a solution; the face must not depend on it.
    return Skin(handles, tendons, *(np.round(m, 9) + 0.0 for m in maps))


def rides_on_jaw(handle: str) -> bool:
    """The lower lip's bars are mounted on the jaw."""
    return handle.startswith("lip_lower")


def _jaw_share(elastic: Array, head: list[int], jaw: list[int]) -> Array:
    """[468] how much of the jaw's motion the ground under the skin takes part in, 0..1."""
    fixed = np.array([*head, *jaw, *anatomy.both(anatomy.STIFF_NOSE_RIGHT)])
    value = np.zeros(len(fixed))
    value[len(head) : len(head) + len(jaw)] = 1.0
    free = np.setdiff1d(np.arange(len(elastic)), fixed)
    out = np.zeros(len(elastic))
    out[fixed] = value
    out[free] = np.linalg.solve(elastic[np.ix_(free, free)], -elastic[np.ix_(free, fixed)] @ value)
    return np.clip(out, 0.0, 1.0)


def _tendons(K: Array, fixed: Index, tendons: tuple[str, ...]) -> tuple[Array, Array]:
    """Influence [468, T] of moving each tendon's end with the links held, and its stiffness [T, T]."""
    n, T = len(K), len(tendons)
    groups = [list(anatomy.handle_vertices(t)) for t in tendons]
    ends = np.array([v for g in groups for v in g], dtype=np.int64)
    free = np.setdiff1d(np.arange(n), np.concatenate([fixed, ends]))
    W = np.zeros((n, T))
    for k, g in enumerate(groups):
        W[g, k] = 1.0
    if T:
        W[free] = np.linalg.solve(K[np.ix_(free, free)], -K[np.ix_(free, ends)] @ W[ends])
    return W, W.T @ K @ W


def _lip_influence(K: Array, fixed: Index, head: list[int], jaw: list[int], rim: list[int]) -> Array:
    """[468, 18] skin field when one inner-lip vertex is pushed and its neighbours are held; bars give."""
    n = len(K)
    hard = np.array([*head, *jaw, *rim])
    soft = np.setdiff1d(fixed, hard)
    Ks = K.copy()
    Ks[soft, soft] += _GLUE
    lips = np.array(LIP_VERTICES)
    free = np.setdiff1d(np.arange(n), np.concatenate([hard, lips]))
    W = np.zeros((n, len(lips)))
    W[lips] = np.eye(len(lips))
    W[free] = np.linalg.solve(Ks[np.ix_(free, free)], -Ks[np.ix_(free, lips)])
    return W

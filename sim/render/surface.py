"""Smooth surfaces from coarse ones: Loop subdivision as one matrix, vertex normals, lofts.

C. Loop, Smooth Subdivision Surfaces Based on Triangles, 1987 (weights of Warren and Weimer).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Index = NDArray[np.int64]


def subdivide(n: int, triangles: Index, levels: int) -> tuple["SparseMap", Index]:
    """(map from n vertices to m, triangles [t, 3]) of Loop subdivision; borders stay curves."""
    total = SparseMap.of(np.eye(n))
    for _ in range(levels):
        step, triangles = _once(total.n_rows, triangles)
        total = step.after(total)
    return total, triangles


def _once(n: int, triangles: Index) -> tuple["SparseMap", Index]:
    edges: dict[tuple[int, int], int] = {}
    opposite: list[list[int]] = []
    of_face = np.empty_like(triangles)
    for f, tri in enumerate(triangles.tolist()):
        for k in range(3):
            a, b, c = tri[k], tri[(k + 1) % 3], tri[(k + 2) % 3]
            key = (min(a, b), max(a, b))
            if key not in edges:
                edges[key] = len(opposite)
                opposite.append([])
            opposite[edges[key]].append(c)
            of_face[f, k] = edges[key]
    entries: list[tuple[int, int, float]] = []
    around: list[set[int]] = [set() for _ in range(n)]
    border: list[list[int]] = [[] for _ in range(n)]
    for (a, b), e in edges.items():
        around[a].add(b)
        around[b].add(a)
        inside = len(opposite[e]) == 2
        near = 0.375 if inside else 0.5
        entries += [(n + e, a, near), (n + e, b, near)]
        if inside:
            entries += [(n + e, c, 0.125) for c in opposite[e]]
        else:
            border[a].append(b)
            border[b].append(a)
    for v in range(n):
        entries += _vertex_rule(v, around[v], border[v])
    m = n + of_face
    new = [
        np.stack([triangles[:, 0], m[:, 0], m[:, 2]], 1), np.stack([triangles[:, 1], m[:, 1], m[:, 0]], 1),
        np.stack([triangles[:, 2], m[:, 2], m[:, 1]], 1), m,
    ]  # fmt: skip
    rows, columns, weights = (np.array(x) for x in zip(*entries, strict=True))
    return SparseMap(rows, columns, weights, n + len(edges)), np.concatenate(new)


def _vertex_rule(v: int, around: set[int], border: list[int]) -> list[tuple[int, int, float]]:
    if len(border) == 2:
        return [(v, v, 0.75), (v, border[0], 0.125), (v, border[1], 0.125)]
    if border or not around:
        return [(v, v, 1.0)]
    k = len(around)
    beta = 0.1875 if k == 3 else 0.375 / k
    return [(v, v, 1.0 - k * beta), *((v, w, beta) for w in sorted(around))]


class Normals:
    """Vertex normals of a fixed topology, fast enough for every frame."""

    def __init__(self, n: int, triangles: Index) -> None:
        self._corners = triangles.T.copy()
        corners = triangles.T.ravel()
        order = np.argsort(corners, kind="stable")
        self._face = np.tile(np.arange(len(triangles)), 3)[order]
        self._used, self._start = np.unique(corners[order], return_index=True)
        self._n = n

    def of(self, vertices: Array) -> Array:
        """[n, 3] unit normals, area weighted."""
        x, y, z = vertices.T.copy()
        a, b, c = self._corners
        (ax, ay, az), (bx, by, bz) = ([w[k] - w[a] for w in (x, y, z)] for k in (b, c))
        out = np.zeros((3, self._n))
        for row, across in zip(out, (ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx), strict=True):
            row[self._used] = np.add.reduceat(across[self._face], self._start)
        out /= np.maximum(np.sqrt((out * out).sum(axis=0)), 1e-12)
        return out.T


class SparseMap:
    """A matrix that is mostly zeros, applied without threads (BLAS would wake all cores for it)."""

    def __init__(self, rows: Index, columns: Index, weights: Array, n_rows: int) -> None:
        order = np.argsort(rows, kind="stable")
        self._rows, self._columns, self._weights = rows[order], columns[order], weights[order]
        self._used, self._start = np.unique(self._rows, return_index=True)
        self.n_rows = n_rows

    @classmethod
    def of(cls, matrix: Array) -> "SparseMap":
        """The map of a dense matrix."""
        rows, columns = np.nonzero(np.abs(matrix) > 1e-9)
        return cls(rows, columns, matrix[rows, columns], len(matrix))

    def __call__(self, x: Array) -> Array:
        """[m, k] = matrix @ [n, k]."""
        out = np.zeros((self.n_rows, x.shape[1]))
        out[self._used] = np.add.reduceat(x[self._columns] * self._weights[:, None], self._start, axis=0)
        return out

    def after(self, first: "SparseMap") -> "SparseMap":
        """The product: this map applied to what `first` gives."""
        begin = np.zeros(first.n_rows, dtype=np.int64)
        length = np.zeros(first.n_rows, dtype=np.int64)
        begin[first._used] = first._start
        length[first._used] = np.diff(np.append(first._start, len(first._rows)))
        many = length[self._columns]
        at = np.repeat(begin[self._columns] - np.cumsum(many) + many, many) + np.arange(int(many.sum()))
        rows, columns = np.repeat(self._rows, many), first._columns[at]
        weights = np.repeat(self._weights, many) * first._weights[at]
        width = int(columns.max()) + 1
        keys, place = np.unique(rows * width + columns, return_inverse=True)
        return SparseMap(
            keys // width, keys % width, np.bincount(place, weights).astype(np.float64), self.n_rows
        )


@dataclass(frozen=True)
class Sheet:
    """A painted surface at rest: vertices [n, 3] m, triangles [t, 3], uv [n, 2]."""

    vertices: Array
    triangles: Index
    uv: Array


def grid_triangles(rows: int, columns: int, *, closed: bool = False) -> Index:
    """Triangles of a rows x columns grid of vertices (row-major), facing outwards when the columns run
    anticlockwise seen from outside and the rows go up; closed joins the last column to the first."""
    out = []
    for r in range(rows - 1):
        for c in range(columns if closed else columns - 1):
            a, b = r * columns + c, r * columns + (c + 1) % columns
            d, e = a + columns, b + columns
            out += [(a, b, e), (a, e, d)]
    return np.array(out, dtype=np.int64)


def grid_uv(rows: int, columns: int) -> Array:
    """[rows * columns, 2] uv over a grid."""
    u, v = np.meshgrid(np.linspace(0, 1, columns), np.linspace(0, 1, rows))
    return np.stack([u.ravel(), v.ravel()], axis=1)


def ball(radius_m: tuple[float, float, float], rows: int = 24, columns: int = 32) -> Sheet:
    """An ellipsoid whose pole (v = 0) points along +z; v = 1 is the back."""
    polar = np.linspace(0.0, np.pi, rows)[:, None]
    turn = np.linspace(0.0, 2 * np.pi, columns)[None, :]
    x = np.stack(
        [np.sin(polar) * np.cos(turn), np.sin(polar) * np.sin(turn), np.cos(polar) + 0 * turn], axis=-1
    )
    return Sheet(
        (x * radius_m).reshape(-1, 3),
        grid_triangles(rows, columns)[:, ::-1].copy(),
        0.004 + 0.992 * grid_uv(rows, columns),
    )

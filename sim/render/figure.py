"""The person that is drawn: face, back of the head, mouth, eyes, teeth, tongue, ears, hair, neck, bust.

Every part is a surface whose vertices follow from a pose; nothing here feeds the physics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face import landmarks as lm
from animaface.sim.body import anatomy
from animaface.sim.body.lids import eye_rotation
from animaface.sim.body.pose import Pose, Shape, jaw_motion
from animaface.sim.body.skin import skin_triangles
from animaface.sim.render import paint
from animaface.sim.render.surface import Sheet, SparseMap, ball, grid_triangles, grid_uv, subdivide

Array = NDArray[np.float64]
Index = NDArray[np.int64]

OVAL = (10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377,
        152, 148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109)  # fmt: skip
_MOUTH_RING = (78, *lm.INNER_UPPER, 308, *lm.INNER_LOWER[::-1])
_SKULL_CENTRE = np.array([0.0, 0.026, -0.040])
_SKULL_RADII = np.array([0.0785, 0.099, 0.092])
_BACK = np.array([0.0, -0.10, -1.0])


@dataclass(frozen=True)
class Part:
    """One drawn surface: `place(pose, skin vertices)` gives its vertices in the head frame (or in the
    world for parts that do not turn with the head)."""

    name: str
    triangles: Index
    uv: Array
    texture: paint.Image
    place: Callable[[Pose, Array], Array]
    in_head: bool = True
    shine: float = 0.15


def head_rotation(head_rad: Array) -> Array:
    """[3, 3] of (yaw, pitch, roll): turn about y, nod about x, tilt about -z, in this order."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(head_rad), np.sin(head_rad)
    turn = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    nod = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    tilt = np.array([[cr, sr, 0], [-sr, cr, 0], [0, 0, 1]])
    return np.asarray(turn @ nod @ tilt, dtype=np.float64)


def to_world(x: Array, head_rad: Array) -> Array:
    """Points of the head frame in the world (the head frame at rest)."""
    return np.asarray(
        (x - anatomy.NECK_PIVOT_M) @ head_rotation(head_rad).T + anatomy.NECK_PIVOT_M, dtype=np.float64
    )


def _skull_point(start: Array, share: float) -> Array:
    """From a point of the face's border to the back of the head, over the skull."""
    rel = start - _SKULL_CENTRE
    r0 = np.linalg.norm(rel)
    a, b = rel / r0, _BACK / np.linalg.norm(_BACK)
    angle = np.arccos(np.clip(a @ b, -1.0, 1.0))
    d = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
    radius = 1.0 / np.linalg.norm(d / _SKULL_RADII)
    blend = min(1.0, share * 3.2)
    blend = blend * blend * (3 - 2 * blend)
    return np.asarray(_SKULL_CENTRE + d * (r0 + (radius - r0) * blend), dtype=np.float64)


_LOFT = (0.07, 0.15, 0.25, 0.38, 0.52, 0.68, 0.84, 0.95)


def _face_part() -> Part:
    """Skin and the skull behind it, one subdivided surface."""
    x = lm.neutral_m()[: lm.N_VERTICES]
    n, k = lm.N_VERTICES, len(OVAL)
    follow = np.zeros((n + k * len(_LOFT), n))
    follow[:n] = np.eye(n)
    home = np.zeros((n + k * len(_LOFT), 3))
    uv = np.concatenate([lm.uv(), np.tile(lm.uv()[list(OVAL)], (len(_LOFT), 1))])
    tri = [skin_triangles()]
    ring = np.array(OVAL)
    for r, share in enumerate(_LOFT):
        rows = n + r * k + np.arange(k)
        yields = max(0.0, 1.0 - 3.2 * share) ** 1.5
        points = np.stack([_skull_point(x[v], share) for v in OVAL])
        follow[rows, list(OVAL)] = yields
        home[rows] = points - yields * x[list(OVAL)]
        nxt = np.roll(np.arange(k), -1)
        tri.append(
            np.concatenate([np.stack([ring, rows, ring[nxt]], 1), np.stack([ring[nxt], rows, rows[nxt]], 1)])
        )
        ring = rows
    triangles = np.concatenate(tri)
    matrix, fine = subdivide(len(home), _outwards(triangles, follow @ x + home), 2)
    by_skin, offset = matrix.after(SparseMap.of(follow)), matrix(home)
    return Part(
        "face", fine, matrix(uv), paint.face_texture(), lambda p, skin: by_skin(skin) + offset, shine=0.22
    )


def _outwards(triangles: Index, x: Array) -> Index:
    """The same triangles, each turned so that it faces away from the middle of the head."""
    a, b, c = (x[triangles[:, k]] for k in range(3))
    away = (a + b + c) / 3.0 - np.array([0.0, 0.0, -0.04])
    inwards = (np.cross(b - a, c - a) * away).sum(axis=1) < 0.0
    out = triangles.copy()
    out[inwards] = out[inwards][:, ::-1]
    return out


def _from_axis(triangles: Index, x: Array) -> Index:
    """The same triangles facing away from the upright axis of the neck."""
    a, b, c = (x[triangles[:, k]] for k in range(3))
    away = ((a + b + c) / 3.0 - [0.0, 0.0, -0.05]) * [1.0, 0.0, 1.0]
    out = triangles.copy()
    inwards = (np.cross(b - a, c - a) * away).sum(axis=1) < 0.0
    out[inwards] = out[inwards][:, ::-1]
    return out


def _cavity_part() -> Part:
    """The inside of the mouth: from the lips' inner edge back into the dark."""
    x = lm.neutral_m()[: lm.N_VERTICES]
    ring = np.array(_MOUTH_RING)
    k = len(ring)
    lift = np.zeros((k, 3))
    lift[1:10, 1] = 1.0
    lift[11:, 1] = -1.0
    steps = [np.zeros((k, 3)), lift * 0.0022 + [0, 0, -0.0040], lift * 0.006 + [0, 0, -0.010],
             lift * 0.013 + [0, 0, -0.045], [0, 0, -0.050]]  # fmt: skip
    yields = (1.0, 0.95, 0.85, 0.6, 0.0)
    follow = np.zeros((5 * k, lm.N_VERTICES))
    home = np.zeros((5 * k, 3))
    for r, (step, much) in enumerate(zip(steps, yields, strict=True)):
        rows = r * k + np.arange(k)
        follow[rows, ring] = much
        home[rows] = step + (1.0 - much) * x[ring]
    home[4 * k :] = x[ring].mean(axis=0) + np.array([0.0, 0.0, -0.050])
    tri = grid_triangles(5, k, closed=True)[:, ::-1].copy()
    matrix, fine = subdivide(5 * k, tri, 2)
    by_skin, offset = matrix.after(SparseMap.of(follow)), matrix(home)
    uv = matrix(
        np.concatenate(
            [np.full((k, 2), v) for v in ((0.5, 0.05), (0.5, 0.35), (0.5, 0.7), (0.5, 0.97), (0.5, 0.98))]
        )
    )
    shade = (
        np.linspace(1.0, 0.05, 64)[:, None, None] ** 1.6 * np.array([150.0, 62.0, 60.0]) * np.ones((64, 8, 1))
    )
    return Part("cavity", fine, uv, shade.astype(np.uint8), lambda p, skin: by_skin(skin) + offset, shine=0.1)


def _eye_part(side: str) -> Part:
    sheet = ball((lm.EYEBALL_RADIUS_M,) * 3, 40, 40)
    bulge = np.exp(-((np.arccos(np.clip(sheet.vertices[:, 2] / lm.EYEBALL_RADIUS_M, -1, 1)) / 0.42) ** 2))
    x = sheet.vertices * (1.0 + 0.045 * bulge)[:, None]
    row, centre = (0 if side == "right" else 1), lm.eye_centre_m(side)
    return Part(
        f"eye_{side}", sheet.triangles, sheet.uv, paint.eye_texture(),
        lambda p, skin: centre + x @ eye_rotation(*p.eyes[row]).T, shine=0.9,
    )  # fmt: skip


def _teeth(name: str, gum_y: float, edge_y: float, front_z: float, on_jaw: bool) -> Part:
    rows, columns = 6, 49
    turn = np.linspace(-1.15, 1.15, columns)
    arch = np.stack(
        [0.0200 * np.sin(turn) / np.sin(1.15), np.zeros(columns), front_z - 0.030 * (1 - np.cos(turn))], 1
    )
    y = np.linspace(gum_y, edge_y, rows)
    x = np.tile(arch, (rows, 1, 1))
    x[..., 1] = y[:, None]
    x[..., 2] -= 0.0012 * np.linspace(0, 1, rows)[:, None] ** 2 * (1 if not on_jaw else -1)
    sheet = Sheet(
        x.reshape(-1, 3),
        grid_triangles(rows, columns)[:, :: -1 if gum_y > edge_y else 1].copy(),
        grid_uv(rows, columns),
    )
    place = (lambda p, skin: _with_jaw(sheet.vertices, p)) if on_jaw else (lambda p, skin: sheet.vertices)
    return Part(name, sheet.triangles, sheet.uv, paint.teeth_texture(), place, shine=0.6)


def _with_jaw(x: Array, pose: Pose) -> Array:
    motion = jaw_motion(*pose.jaw)
    return np.asarray(x + (x - anatomy.JAW_HINGE_M) @ motion[:, :3].T + motion[:, 3], dtype=np.float64)


def _tongue_part() -> Part:
    sheet = ball((0.0165, 0.0062, 0.026), 20, 24)
    tip = np.clip(sheet.vertices[:, 2] / 0.026, 0, 1) ** 2
    home = sheet.vertices + np.array([0.0, -0.0520, 0.0155])

    def place(p: Pose, skin: Array) -> Array:
        out, up = p.tongue
        x = home.copy()
        x[:, 2] += out * (0.3 + 0.7 * tip)
        x[:, 1] += (up + 0.004) * tip + 0.25 * abs(out) * (1 - tip) * 0.2
        return _with_jaw(x, p)

    return Part("tongue", sheet.triangles, sheet.uv, paint.flat((188.0, 92.0, 94.0)), place, shine=0.4)


def _ear_part(side: str) -> Part:
    """A bent oval shell with a hollow."""
    s = 1.0 if side == "left" else -1.0
    sheet = ball((0.0125, 0.029, 0.0175), 22, 30)
    x = sheet.vertices.copy()
    flat = np.abs(x[:, 0]) / 0.0125
    hollow = np.exp(-(((x[:, 1] - 0.002) / 0.016) ** 2) - ((x[:, 2] + 0.001) / 0.008) ** 2)
    x[:, 0] *= 0.62
    x[:, 0] -= np.where(x[:, 0] > 0, 0.0085, 0.0) * hollow * np.minimum(flat + 0.4, 1.0)
    x[:, 2] *= 1.0 + 0.35 * np.tanh(x[:, 1] / 0.02)
    turn = 0.42
    out = np.stack(
        [
            x[:, 0] * np.cos(turn) - x[:, 2] * np.sin(turn),
            x[:, 1],
            x[:, 0] * np.sin(turn) + x[:, 2] * np.cos(turn),
        ],
        1,
    )
    out[:, 2] -= 0.12 * out[:, 1]
    out = out * [s, 1, 1] + [s * 0.0805, 0.008, -0.041]
    tri = sheet.triangles if s > 0 else sheet.triangles[:, ::-1].copy()
    uv = np.tile(lm.uv()[454 if s > 0 else 234], (len(out), 1))
    return Part(f"ear_{side}", tri, uv, paint.face_texture(), lambda p, skin: out)


def _hair_part() -> Part:
    """A shell over the skull from the hairline back, thicker behind it."""
    x0 = lm.neutral_m()
    upper = OVAL[-10:] + OVAL[:11]  # ear to ear over the forehead
    knots = np.linspace(0.0, 1.0, len(upper))
    columns, rows = 97, 40
    at = np.linspace(0.0, 1.0, columns)
    line = np.stack([np.interp(at, knots, x0[list(upper), k]) for k in range(3)], axis=1)
    start = 0.035 + 0.085 * np.abs(2 * at - 1.0) ** 3
    side = np.clip((np.abs(2 * at - 1.0) - 0.72) / 0.28, 0, 1)
    rng = np.random.default_rng(9)
    wave = np.interp(np.linspace(0, 1, columns), np.linspace(0, 1, 33), rng.standard_normal(33))
    grid = np.empty((rows, columns, 3))
    for r in range(rows):
        v = r / (rows - 1)
        for c in range(columns):
            p = _skull_point(line[c], start[c] + (1.0 - start[c]) * 0.985 * v)
            out = p - _SKULL_CENTRE
            thick = 0.0125 * min(1.0, (v / 0.10) ** 0.55) * (1 - 0.62 * side[c]) + 0.0006 * wave[c] * min(
                1.0, v * 6
            )
            grid[r, c] = p + out / np.linalg.norm(out) * (thick - 0.0012 * (v < 0.005))
    flat = grid.reshape(-1, 3)
    tri = _outwards(grid_triangles(rows, columns), flat)
    return Part(
        "hair",
        tri,
        grid_uv(rows, columns) * [6.0, 1.0],
        paint.hair_texture(),
        lambda p, skin: flat,
        shine=0.35,
    )


def _neck_part() -> Part:
    """From under the skull to the collar; its top turns with the head."""
    rows, columns = 12, 40
    turn = np.linspace(0, 2 * np.pi, columns)
    v = np.linspace(0.0, 1.0, rows)[:, None]  # 0 at the collar
    flare = (1 - v) ** 3
    x = (0.056 + 0.030 * flare) * np.cos(-turn)[None, :]
    z = -0.056 + 0.006 * v + (0.054 + 0.020 * flare) * np.sin(-turn)[None, :]
    y = -0.160 + 0.105 * v - 0.030 * v * np.clip(np.sin(-turn), 0, 1)[None, :]
    rest = np.stack([x, y, z], axis=-1).reshape(-1, 3)
    share = np.repeat(v[:, 0] ** 1.3, columns)
    uv = np.tile(lm.uv()[152], (len(rest), 1))

    def place(p: Pose, skin: Array) -> Array:
        return np.asarray(rest + share[:, None] * (to_world(rest, p.head) - rest), dtype=np.float64)

    tri = _from_axis(grid_triangles(rows, columns), rest)
    return Part("neck", tri, uv, paint.face_texture(), place, in_head=False)


def _bust_part() -> Part:
    """Shoulders in a plain shirt."""
    rows, columns = 18, 56
    turn = np.linspace(0, 2 * np.pi, columns)
    v = np.linspace(0.0, 1.0, rows)[:, None]  # 0 at the bottom, 1 at the collar
    wide = 0.062 + 0.145 * (1 - v) ** 0.55
    deep = 0.066 + 0.040 * (1 - v) ** 0.8
    y = -0.143 - 0.20 * (1 - v) ** 1.5 - 0.055 * (1 - v) ** 0.5 * np.abs(np.cos(turn))[None, :] ** 2
    y = y - 0.014 * np.clip(np.sin(-turn), 0, 1)[None, :] * v
    x = wide * np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** 0.85
    z = -0.055 + deep * np.sin(-turn)[None, :] + 0 * v
    rest = np.stack([np.broadcast_to(x, (rows, columns)), y, z], axis=-1).reshape(-1, 3)
    tri = _from_axis(grid_triangles(rows, columns), rest)
    return Part(
        "bust", tri, grid_uv(rows, columns), paint.flat((58.0, 72.0, 92.0)),
        lambda p, skin: rest, in_head=False, shine=0.05,
    )  # fmt: skip


@cache
def all_parts() -> tuple[Part, ...]:
    """Everything that is drawn; the same for every face."""
    return (
        _face_part(), _cavity_part(), _eye_part("right"), _eye_part("left"),
        _teeth("teeth_upper", -0.0325, -0.0470, 0.0462, False), _teeth("teeth_lower", -0.0590, -0.0488, 0.0445, True),
        _tongue_part(), _ear_part("right"), _ear_part("left"), _hair_part(), _neck_part(), _bust_part(),
    )  # fmt: skip


class Figure:
    """All drawn parts of one face."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        self.parts = all_parts()

    def vertices(self, snapshot: Array) -> list[Array]:
        """World vertices of every part."""
        pose = Pose.unpack(snapshot, self._shape.skin)
        skin = self._shape.vertices_m(pose)
        out = []
        for part in self.parts:
            x = part.place(pose, skin)
            out.append(to_world(x, pose.head) if part.in_head else x)
        return out

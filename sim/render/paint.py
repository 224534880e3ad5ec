"""Textures, painted from the mesh's own uv: brows, lips, blush, lashes; irises; teeth; hair; cloth."""

from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face import landmarks as lm
from animaface.sim.body import anatomy

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

FACE_SIZE = 1024
_SKIN = np.array([226.0, 178.0, 152.0])
_LIP = np.array([186.0, 92.0, 88.0])
_HAIR = np.array([66.0, 44.0, 32.0])
_SPECK = np.array([116.0, 74.0, 58.0])
_SPECKS_PX = 27.0

_OUTER_LIPS = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146)
_BROW_TOP_RIGHT = (70, 63, 105, 66, 107)
_BROW_LOW_RIGHT = (55, 65, 52, 53, 46)


def _uv_px(vertices: tuple[int, ...]) -> Array:
    """[n, 2] (column, row) of vertices in the face texture."""
    return np.asarray(lm.uv()[list(vertices)] * FACE_SIZE, dtype=np.float64)


def _window(points: Array, margin: float) -> tuple[slice, slice, Array]:
    low = np.clip(points.min(axis=0) - margin, 0, FACE_SIZE - 1).astype(int)
    high = np.clip(points.max(axis=0) + margin, 0, FACE_SIZE - 1).astype(int) + 1
    x, y = np.meshgrid(np.arange(low[0], high[0]) + 0.5, np.arange(low[1], high[1]) + 0.5)
    return slice(low[1], high[1]), slice(low[0], high[0]), np.stack([x, y], axis=-1)


def _distance_to_path(grid: Array, path: Array) -> Array:
    """Distance in pixels to a polyline."""
    best = np.full(grid.shape[:2], np.inf)
    for a, b in pairwise(path):
        t = np.clip(((grid - a) @ (b - a)) / max(float((b - a) @ (b - a)), 1e-9), 0.0, 1.0)
        best = np.minimum(best, np.linalg.norm(grid - (a + t[..., None] * (b - a)), axis=-1))
    return best


def _inside(grid: Array, ring: Array) -> NDArray[np.bool_]:
    """Even-odd rule."""
    hit = np.zeros(grid.shape[:2], bool)
    x, y = grid[..., 0], grid[..., 1]
    for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        crosses = (a[1] > y) != (b[1] > y)
        hit ^= crosses & (x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1] + 1e-12) + a[0])
    return hit


def _blend(canvas: Array, rows: slice, cols: slice, cover: Array, colour: Array) -> None:
    patch = canvas[rows, cols]
    canvas[rows, cols] = patch + cover[..., None] * (colour - patch)


def _smooth_step(x: Array) -> Array:
    t = np.clip(x, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), dtype=np.float64)


def _noise(rng: np.random.Generator, size: int, cell: int) -> Array:
    """[size, size] smooth noise with features of `cell` pixels, about -1..1."""
    coarse = rng.standard_normal((size // cell + 2, size // cell + 2))
    at = np.arange(size) / cell
    k, f = at.astype(int), (at % 1.0)
    f = f * f * (3 - 2 * f)
    rows = coarse[k] * (1 - f)[:, None] + coarse[k + 1] * f[:, None]
    return np.asarray(rows[:, k] * (1 - f) + rows[:, k + 1] * f, dtype=np.float64)


def _paint_lips(canvas: Array) -> None:
    ring = _uv_px(_OUTER_LIPS)
    rows, cols, grid = _window(ring, 16)
    signed = _distance_to_path(grid, np.concatenate([ring, ring[:1]])) * np.where(
        _inside(grid, ring), 1.0, -1.0
    )
    _blend(canvas, rows, cols, 0.88 * _smooth_step(signed / 12.0 + 0.4), _LIP)
    seam = _distance_to_path(grid, _uv_px((78, *lm.INNER_UPPER, 308)))
    _blend(canvas, rows, cols, 0.55 * np.exp(-((seam / 6.0) ** 2)), 0.55 * _LIP)


def _paint_brow(canvas: Array, side: str, rng: np.random.Generator) -> None:
    mirror = (lambda v: v) if side == "right" else anatomy.twins
    top, low = _uv_px(mirror(_BROW_TOP_RIGHT)), _uv_px(mirror(_BROW_LOW_RIGHT))[::-1]
    middle = 0.45 * top + 0.55 * low
    middle[0] = 0.5 * top[0] + 0.5 * low[0]
    rows, cols, grid = _window(middle, 40)
    distance = _distance_to_path(grid, middle)
    along = np.abs(grid[..., 0] - middle[0, 0]) / np.abs(middle[-1, 0] - middle[0, 0])
    width = 6.0 + 10.0 * _smooth_step(along * 1.3)
    hairs = 0.86 + 0.22 * _noise(rng, FACE_SIZE, 3)[rows, cols]
    _blend(canvas, rows, cols, np.clip(1.15 * _smooth_step(1.35 - distance / width) * hairs, 0, 0.95), _HAIR)


def _paint_lids(canvas: Array, side: str) -> None:
    mirror = (lambda v: v) if side == "right" else anatomy.twins
    upper = _uv_px((anatomy.CANTHI_RIGHT[0], *anatomy.UPPER_RIM_RIGHT, anatomy.CANTHI_RIGHT[1]) if side == "right"
                   else mirror((anatomy.CANTHI_RIGHT[0], *anatomy.UPPER_RIM_RIGHT, anatomy.CANTHI_RIGHT[1])))  # fmt: skip
    lower = _uv_px(mirror((anatomy.CANTHI_RIGHT[0], *anatomy.LOWER_RIM_RIGHT, anatomy.CANTHI_RIGHT[1])))
    rows, cols, grid = _window(np.concatenate([upper, lower]), 40)
    up, down = _distance_to_path(grid, upper), _distance_to_path(grid, lower)
    shade = 0.30 * np.exp(-((np.minimum(up, down) / 24.0) ** 2))
    _blend(canvas, rows, cols, shade, np.array([150.0, 98.0, 84.0]))
    _blend(canvas, rows, cols, 0.95 * np.exp(-((up / 5.5) ** 2)), np.array([30.0, 20.0, 17.0]))
    _blend(canvas, rows, cols, 0.55 * np.exp(-((down / 3.5) ** 2)), np.array([90.0, 52.0, 46.0]))


@cache
def face_texture() -> Image:
    """[1024, 1024, 3]; row = v of the mesh's uv from the top."""
    rng = np.random.default_rng(11)
    canvas = np.ones((FACE_SIZE, FACE_SIZE, 3)) * _SKIN
    mottle = (
        2.2 * _noise(rng, FACE_SIZE, 64) + 1.6 * _noise(rng, FACE_SIZE, 9) + 1.2 * _noise(rng, FACE_SIZE, 3)
    )
    canvas += mottle[..., None] * [1.0, 0.9, 0.85]
    x, y = np.meshgrid(np.arange(FACE_SIZE) + 0.5, np.arange(FACE_SIZE) + 0.5)
    for centre, size, much in (
        (50, 95, 0.34),
        (280, 95, 0.34),
        (4, 45, 0.18),
        (152, 70, 0.12),
        (10, 120, 0.06),
    ):
        c = _uv_px((centre,))[0]
        spot = much * np.exp(-((x - c[0]) ** 2 + (y - c[1]) ** 2) / size**2)
        canvas += spot[..., None] * (np.array([221.0, 128.0, 112.0]) - canvas)
    for nostril in (97, 326):
        c = _uv_px((nostril,))[0]
        canvas += (0.35 * np.exp(-((x - c[0]) ** 2 + (y - c[1]) ** 2) / 9.0**2))[..., None] * (
            np.array([96.0, 50.0, 42.0]) - canvas
        )
    _paint_lips(canvas)
    for side in ("right", "left"):
        _paint_brow(canvas, side, rng)
        _paint_lids(canvas, side)
    return np.asarray(np.clip(canvas, 0, 255), dtype=np.uint8)


@cache
def speckled_face_texture() -> Image:
    """[1024, 1024, 3] the same face dabbed with small brown specks about every 4 mm, as a builder may before a camera
    follows its skin."""
    rng = np.random.default_rng(29)
    out = face_texture().astype(np.float64)
    steps = np.arange(_SPECKS_PX / 2, FACE_SIZE, _SPECKS_PX)
    centres = np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
    for centre in centres + rng.uniform(-0.38, 0.38, centres.shape) * _SPECKS_PX:
        rows, cols, grid = _window(centre[None], 14)
        away = np.linalg.norm(grid - centre, axis=-1) / rng.uniform(4.0, 7.0)
        _blend(out, rows, cols, rng.uniform(0.35, 0.6) * _smooth_step(1.5 - away), _SPECK)
    return np.asarray(np.clip(out, 0, 255), dtype=np.uint8)


@cache
def eye_texture() -> Image:
    """[256, 256, 3] over (turn, polar angle): pupil, iris, sclera with a few veins."""
    rng = np.random.default_rng(5)
    n = 256
    polar = (np.arange(n) + 0.5)[:, None] / n * 180.0
    turn = np.arange(n)[None, :] * 2 * np.pi / n
    out = np.ones((n, n, 3)) * [238.0, 234.0, 229.0]
    fibres = 0.5 + 0.5 * np.cos(37 * turn + 3 * np.sin(5 * turn)) * np.cos(23 * turn)
    iris_edge, pupil_edge = 28.5, 12.5
    inner = _smooth_step((polar - pupil_edge) / (iris_edge - pupil_edge))
    iris = (
        np.array([92.0, 126.0, 140.0]) * (1 - inner[..., None])
        + np.array([52.0, 88.0, 108.0]) * inner[..., None]
    ) * (0.75 + 0.45 * fibres[..., None])
    cover = _smooth_step((iris_edge + 0.8 - polar) / 1.6)[..., None]
    out = out * (1 - cover) + iris * cover
    ring = np.exp(-(((polar - iris_edge + 1.0) / 1.8) ** 2))[..., None] + 0 * turn[..., None]
    out = out * (1 - 0.7 * ring) + 0.7 * ring * np.array([28.0, 42.0, 52.0])
    cover = _smooth_step((pupil_edge + 0.8 - polar) / 1.6)[..., None]
    out = out * (1 - cover) + cover * 8.0
    out -= (polar[..., None] > 45.0) * np.array([2.0, 12.0, 12.0]) * (0.6 + 0.4 * rng.random((n, n, 1)))
    return np.asarray(np.clip(out, 0, 255), dtype=np.uint8)


@cache
def teeth_texture() -> Image:
    """[64, 512, 3] fourteen teeth over u, gum at v = 0."""
    u = (np.arange(512) + 0.5)[None, :] / 512
    v = (np.arange(64) + 0.5)[:, None] / 64
    edge = np.abs((u * 12) % 1.0 - 0.5) * 2.0
    gap = _smooth_step((edge - 0.86) / 0.14)
    white = np.array([236.0, 228.0, 212.0]) * (1 - 0.45 * gap[..., None]) + 0 * v[..., None]
    gum = _smooth_step((0.34 + 0.10 * edge - v) / 0.08)[..., None]
    return np.asarray(
        np.clip(white * (1 - gum) + gum * np.array([176.0, 86.0, 86.0]), 0, 255), dtype=np.uint8
    )


@cache
def hair_texture() -> Image:
    """[512, 512, 3] strands along v."""
    rng = np.random.default_rng(3)
    strands = np.repeat(rng.standard_normal((1, 512)), 512, axis=0) + 0.5 * _noise(rng, 512, 24)
    strands += 0.6 * np.repeat(rng.standard_normal((1, 128)), 4, axis=1)
    return np.asarray(np.clip(_HAIR * (1.0 + 0.16 * strands[..., None]), 0, 255), dtype=np.uint8)


def flat(colour: tuple[float, float, float]) -> Image:
    """[8, 8, 3] one colour."""
    return np.asarray(np.ones((8, 8, 3)) * colour, dtype=np.uint8)


SKIN_COLOUR = (float(_SKIN[0]), float(_SKIN[1]), float(_SKIN[2]))

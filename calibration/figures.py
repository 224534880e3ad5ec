"""Pictures of a calibration: the face by landmarks, error by region, asked and done. matplotlib, no display."""

import base64
import io
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import matplotlib
import numpy as np
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from animaface.robot.face.landmarks import (
    INNER_LOWER,
    INNER_UPPER,
    IRIS_LEFT,
    IRIS_RIGHT,
    N_VERTICES,
    REGION_NAMES,
    neutral_m,
    regions,
    triangles,
)

matplotlib.use("Agg")
Array = NDArray[np.float64]
Colour = tuple[float, float, float]

INK, PAPER, SKIN, ASKED, DONE, BEST = "#22262b", "#fbfaf7", "#f1dfd0", "#3b6ea5", "#c2542d", "#8aa399"
_FONT: Final[dict[str, Any]] = {"family": "DejaVu Sans", "size": 8}


@cache
def _drawn_triangles() -> NDArray[np.int64]:
    """[K, 3] triangles of the skin, eye and mouth holes left open."""
    eyes = {33, 7, 163, 144, 145, 153, 154, 155, 133, 173, 157, 158, 159, 160, 161, 246,
            263, 249, 390, 373, 374, 380, 381, 382, 362, 398, 384, 385, 386, 387, 388, 466}  # fmt: skip
    mouth = {*INNER_UPPER, *INNER_LOWER, 78, 308}
    keep = [t for t in triangles() if not (set(map(int, t)) <= eyes or set(map(int, t)) <= mouth)]
    return np.array(keep)


@cache
def _lines() -> tuple[tuple[int, ...], ...]:
    """Contours that make a face of landmarks: brows, lids, lips, nose, oval."""
    right = [
        (70, 63, 105, 66, 107), (46, 53, 52, 65, 55),
        (33, 246, 161, 160, 159, 158, 157, 173, 133), (33, 7, 163, 144, 145, 153, 154, 155, 133),
        (61, 185, 40, 39, 37, 0), (61, 146, 91, 181, 84, 17), (78, 191, 80, 81, 82, 13), (78, 95, 88, 178, 87, 14),
        (2, 97, 98, 64, 48, 115, 220, 45), (10, 109, 67, 103, 54, 21, 162, 127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152),
    ]  # fmt: skip
    from animaface.robot.face.landmarks import mirror_index

    twin = mirror_index()
    return tuple(right) + tuple(tuple(int(twin[i]) for i in line) for line in right)


def draw_face(
    ax: Any,
    landmarks_m: Array,
    *,
    colour: str = INK,
    width: float = 0.9,
    tint: Mapping[str, Colour] | None = None,
) -> None:
    """One face, seen from the front (the subject's left on the right), mm; regions tinted as told."""
    p = 1e3 * landmarks_m[:, :2]
    order = np.argsort(landmarks_m[:N_VERTICES, 2][_drawn_triangles()].mean(axis=1))
    skin = _shade(landmarks_m)
    if tint:
        skin = _tinted(skin, tint)
    skin, corners = skin[order], list(p[_drawn_triangles()[order]])
    ax.add_collection(PolyCollection(corners, facecolors=skin, edgecolors=skin, linewidths=0.3))
    ax.add_collection(
        LineCollection(
            [p[list(line)] for line in _lines()], colors=colour, linewidths=width, capstyle="round"
        )
    )
    for iris in (IRIS_LEFT, IRIS_RIGHT):
        ring = p[[iris[1], iris[2], iris[3], iris[4]]]
        radius = float(np.linalg.norm(ring - p[iris[0]], axis=1).mean())
        ax.add_patch(
            matplotlib.patches.Circle(
                p[iris[0]], 0.9 * radius, fill=False, color=colour, lw=0.7 * width, alpha=0.8
            )
        )
    _frame(ax)


def _frame(ax: Any) -> None:
    p = 1e3 * neutral_m()[:N_VERTICES, :2]
    ax.set_xlim(p[:, 0].min() - 6, p[:, 0].max() + 6)
    ax.set_ylim(p[:, 1].min() - 24, p[:, 1].max() + 14)
    ax.set_aspect("equal")
    ax.axis("off")


def _shade(landmarks_m: Array) -> Array:
    """[K, 3] colours of the triangles, lit from above and the left."""
    a, b, c = (landmarks_m[_drawn_triangles()[:, k]] for k in range(3))
    normal = np.cross(b - a, c - a)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
    normal *= np.where(normal[:, [2]] < 0, -1.0, 1.0)
    light = np.clip(normal @ np.array([-0.25, 0.45, 0.86]), 0.0, 1.0)
    base = np.array(matplotlib.colors.to_rgb(SKIN))
    return np.asarray(np.clip(base[None] * (0.62 + 0.42 * light[:, None]), 0.0, 1.0))


def _tinted(skin: Array, tint: Mapping[str, Colour]) -> Array:
    """[K, 3] the skin's shade in the colour of the region that most corners of a triangle belong to."""
    owner = np.full(N_VERTICES, -1)
    for k, name in enumerate(tint):
        owner[[i for i in regions()[name] if i < N_VERTICES]] = k
    corners = owner[_drawn_triangles()]
    out = skin.copy()
    light = skin.mean(axis=1, keepdims=True) / skin.mean()
    for k, colour in enumerate(tint.values()):
        share = (corners == k).mean(axis=1)[:, None] * 0.85
        out = (1.0 - share) * out + share * np.clip(np.array(colour) * light, 0.0, 1.0)
    return np.asarray(out)


def region_picture(neutral: Array, relative: Mapping[str, float]) -> str:
    """The face with each region coloured by its relative error -> data URI."""
    figure = Figure(figsize=(4.2, 4.6), facecolor=PAPER)
    ax = figure.add_subplot()
    scale = matplotlib.colors.LinearSegmentedColormap.from_list("error", ["#4d8f6b", "#e5c35c", "#c2542d"])
    norm = matplotlib.colors.Normalize(0.0, 0.3)
    draw_face(ax, neutral, tint={n: scale(norm(relative[n]))[:3] for n in REGION_NAMES if n in relative})
    bar = figure.colorbar(matplotlib.cm.ScalarMappable(norm, scale), ax=ax, shrink=0.55, pad=0.01)
    bar.set_label("error / motion", **_FONT)
    bar.ax.tick_params(labelsize=7)
    return _png(figure)


def error_bars(models: Mapping[str, Any]) -> str:
    """Relative error by region for every model -> data URI."""
    figure = Figure(figsize=(7.0, 3.1), facecolor=PAPER)
    ax = figure.add_subplot()
    colours = {"self-model": DONE, "linear": ASKED, "nearest neighbour": BEST, "constant face": "#c9c4ba"}
    names = [r for r in REGION_NAMES if r in models["self-model"]["relative"]]
    for k, (model, found) in enumerate(models.items()):
        x = np.arange(len(names)) + 0.2 * (k - 1.5)
        ax.bar(x, [found["relative"][r] for r in names], 0.19, color=colours.get(model, INK), label=model)
    ax.set_xticks(range(len(names)), [n.replace("_", " ") for n in names], **_FONT)
    ax.set_ylabel("error / motion", **_FONT)
    ax.tick_params(axis="y", labelsize=7)
    _plain(ax)
    ax.legend(fontsize=7, frameon=False, ncols=4, loc="upper center", bbox_to_anchor=(0.5, 1.14))
    return _png(figure)


def pair_picture(target_m: Array, done_m: Array) -> str:
    """What was asked beside what was done, the asked lines over the done face -> data URI."""
    figure = Figure(figsize=(3.3, 1.95), facecolor="white")
    for k, (face, colour) in enumerate(((target_m, ASKED), (done_m, DONE))):
        ax = figure.add_axes((0.5 * k, 0.0, 0.5, 1.0))
        draw_face(ax, face, width=0.8)
        if k:
            p = 1e3 * target_m[:, :2]
            ax.add_collection(
                LineCollection([p[list(line)] for line in _lines()], colors=ASKED, linewidths=0.6, alpha=0.75)
            )
        ax.text(
            0.5,
            0.985,
            ("asked", "done")[k],
            transform=ax.transAxes,
            ha="center",
            va="top",
            color=colour,
            **_FONT,
        )
    return _png(figure, dpi=88, colours=64)


def bars_of_actuators(values: Mapping[str, float], unit: str, colours: Sequence[str]) -> str:
    """One horizontal bar per actuator -> data URI."""
    figure = Figure(figsize=(3.6, 0.165 * len(values) + 0.6), facecolor=PAPER)
    ax = figure.add_subplot()
    names = list(values)
    ax.barh(range(len(names)), [values[n] for n in names], color=list(colours), height=0.7)
    ax.set_yticks(range(len(names)), names, fontsize=6.5)
    ax.invert_yaxis()
    ax.set_xlabel(unit, **_FONT)
    ax.tick_params(axis="x", labelsize=7)
    _plain(ax)
    return _png(figure)


def before_after(rows: Sequence[Mapping[str, Any]]) -> str:
    """Per expression what is left of the asked movement: by the hand map, calibrated, and out of reach -> data URI."""
    rows = sorted(rows, key=lambda r: float(r["done_error_mm"] / r["asked_mm"]))
    columns = np.array_split(np.arange(len(rows)), 2 if len(rows) > 12 else 1)
    figure = Figure(figsize=(9.4, 0.17 * max(map(len, columns)) + 0.75), facecolor=PAPER)
    for k, column in enumerate(columns):
        ax = figure.add_subplot(1, len(columns), k + 1)
        shown = [rows[i] for i in column]
        y = np.arange(len(shown))
        before, done, best = (
            [min(1.6, r[f"{what}_error_mm"] / r["asked_mm"]) for r in shown]
            for what in ("before", "done", "reachable")
        )
        ax.hlines(y, done, before, color="#c9c4ba", lw=1.6)
        ax.plot(before, y, "o", ms=4.2, color=ASKED, label="by the hand map, before")
        ax.plot(done, y, "o", ms=4.2, color=DONE, label="calibrated")
        ax.plot(best, y, "|", ms=7, mew=1.6, color=INK, label="out of this face's reach")
        ax.set_yticks(y, [r["name"] for r in shown], fontsize=6.5)
        ax.set_xlim(0.0, 1.65)
        ax.set_ylim(len(shown) - 0.4, -0.6)
        ax.set_xlabel("error left / movement asked", **_FONT)
        ax.tick_params(axis="x", labelsize=7)
        _plain(ax)
        if not k:
            figure.legend(
                *ax.get_legend_handles_labels(), fontsize=7.5, frameon=False, ncols=3, loc="upper center"
            )
    figure.subplots_adjust(wspace=0.42)
    return _png(figure)


def pose_curves(rows: Sequence[Mapping[str, Any]], beside: Sequence[Mapping[str, Any]] = ()) -> str:
    """Worst region's relative error against poses, one line per way of moving -> data URI. `beside`: other ways on another face,
    dashed."""
    figure = Figure(figsize=(5.6, 3.2), facecolor=PAPER)
    ax = figure.add_subplot()
    colours = {"white noise": "#9a958a", "smooth": ASKED, "active": DONE}
    for drawn, style, width in ((beside, "o--", 0.9), (rows, "o-", 1.8)):
        for way in dict.fromkeys(str(r["way"]) for r in drawn):
            line = sorted((int(r["poses"]), float(r["worst"])) for r in drawn if r["way"] == way)
            poses = sorted({n for n, _ in line})
            mean = [float(np.mean([w for m, w in line if m == n])) for n in poses]
            label = way if drawn is rows else f"{way}, simulated hybrid face"
            ax.plot(poses, mean, style, ms=4, lw=width, color=colours.get(way, BEST), label=label)
    rows = [*rows, *beside]
    ax.set_xscale("log")
    ax.set_yscale("log")
    poses = sorted({int(r["poses"]) for r in rows})
    poses = [
        n for n, before in zip(poses, [0, *poses], strict=False) if n > 1.1 * before
    ]  # 500 and 502: one label
    ax.set_xticks(poses, [str(n) for n in poses], **_FONT)
    ax.minorticks_off()
    low, high = (f(float(r["worst"]) for r in rows) for f in (min, max))
    ticks = [
        t for t in (0.05, 0.07, 0.1, 0.14, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5) if 0.8 * low <= t <= 1.25 * high
    ]
    ax.set_yticks(ticks, [f"{t:g}" for t in ticks], **_FONT)
    ax.set_xlabel("poses", **_FONT)
    ax.set_ylabel("worst region, error / motion", **_FONT)
    _plain(ax)
    ax.legend(fontsize=7.5, frameon=False)
    return _png(figure)


def _plain(ax: Any) -> None:
    ax.set_facecolor(PAPER)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    ax.grid(axis="both", alpha=0.25, linewidth=0.5)
    ax.set_axisbelow(True)


def _png(figure: Figure, dpi: int = 110, colours: int = 96) -> str:
    """A picture with a small palette: a page of sixty faces stays small."""
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=dpi, bbox_inches="tight", pad_inches=0.04)
    small = io.BytesIO()
    picture = Image.open(out).convert("RGB").quantize(colours, dither=Image.Dither.NONE)
    picture.save(small, format="png", optimize=True)
    return "data:image/png;base64," + base64.b64encode(small.getvalue()).decode()

"""report.html of a calibration: one page, no other file, readable by the builder of the face."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration import figures
from animaface.calibration.check import expressions
from animaface.selfmodel.retarget import Retarget

Array = NDArray[np.float64]

_OUT_OF_REACH = 0.7
_RECALIBRATED = "<section id=recalibrated>"

_WAYS: Final = Path(__file__).parent / "ways_of_moving.json"
"""On the simulated hybrid face; made by bench/active.py."""
_STYLE = """
:root{--ink:#22262b;--paper:#fbfaf7;--line:#e2ddd3;--asked:#3b6ea5;--done:#c2542d;--best:#8aa399}
*{box-sizing:border-box}body{margin:0;background:var(--paper);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:1080px;margin:0 auto;padding:2.2rem 1.2rem 4rem}h1{font-weight:600;font-size:1.9rem;margin:0}
h2{font-weight:600;font-size:1.25rem;margin:2.6rem 0 .6rem;border-bottom:1px solid var(--line);padding-bottom:.3rem}
.sub{color:#6b6a66;margin:.2rem 0 1.4rem}.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(165px,1fr));gap:.8rem}
.tile{background:#fff;border:1px solid var(--line);border-radius:10px;padding:.8rem 1rem}.tile b{font-size:1.5rem;font-weight:600;display:block}
.tile span{color:#6b6a66;font-size:.82rem}.row{display:flex;gap:1.4rem;flex-wrap:wrap;align-items:flex-start}.row img{max-width:100%}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(245px,1fr));gap:.8rem}
.card{background:#fff;border:1px solid var(--line);border-radius:10px;padding:.6rem;font-size:.82rem}.card img{width:100%;display:block}
.card h3{margin:.1rem 0 .3rem;font-size:.92rem;font-weight:600;display:flex;justify-content:space-between}
.flag{font-weight:500;font-size:.72rem;color:#fff;background:var(--done);border-radius:6px;padding:.05rem .4rem}
.bar{height:7px;background:#eee9df;border-radius:4px;margin:2px 0 4px;position:relative;overflow:hidden}
.bar i{position:absolute;left:0;top:0;bottom:0;border-radius:4px}
table{border-collapse:collapse;font-size:.86rem}td,th{padding:.2rem .7rem;border-bottom:1px solid var(--line);text-align:right}
td:first-child,th:first-child{text-align:left}.note{color:#6b6a66;font-size:.88rem;max-width:70ch}
"""


def write_report(
    path: Path, meta: Mapping[str, Any], retarget: Retarget, done_m: Array, reachable_m: Array
) -> None:
    """Write the page. `meta` is calibration.json; done_m and reachable_m [E, 478, 3] of check.expressions()."""
    names, values = expressions([row["name"] for row in meta["shapes"]])
    asked_m = retarget.landmarks_m(values)[: len(done_m)]
    names = names[: len(done_m)]
    parts = [_head(meta), f"{_RECALIBRATED}</section>"]
    if meta["models"]:
        parts += [_tiles(meta), _regions(meta, retarget.neutral_m)]
    else:
        parts.append(
            "<p class=note>The check was skipped: how good this calibration is, nobody has measured.</p>"
        )
    if meta["shapes"]:
        asked, done = dict(zip(names, asked_m, strict=True)), dict(zip(names, done_m, strict=True))
        parts += [_before_after(meta), _shapes(meta["shapes"], asked, done)]
    parts += [_curve(meta.get("curve", [])), _actuators(meta), _camera(meta)]
    page = (
        f"<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>Calibration of {escape(meta['face_id'])}</title><style>{_STYLE}</style><main>{''.join(parts)}</main></html>"
    )
    path.write_text(page, encoding="utf-8")


def with_recalibration(page: str, recalibration: Mapping[str, Any]) -> str:
    """The page of a calibration that was recalibrated since: what had changed stands on top, the rest as it was."""
    before, mark, after = page.partition(_RECALIBRATED)
    _, _, rest = after.partition("</section>")
    return f"{before}{mark}{_recalibrated(recalibration)}</section>{rest}" if mark else page


def _head(meta: Mapping[str, Any]) -> str:
    photos = meta.get("options", {}).get("photos_per_pose", 1)
    of_each = f", {photos} photos of each" if photos > 1 else ""
    return (
        f"<h1>Calibration of {escape(meta['face_id'])}</h1><p class=sub>{escape(meta['date'])} UTC, seen by "
        f"{escape(meta['detector'])} (jitter {meta['jitter_mm']:.2f} mm), {meta['quality']['poses']} poses{of_each}, "
        f"config {escape(meta['config_hash'])}</p>"
    )


def _tiles(meta: Mapping[str, Any]) -> str:
    q, s = meta["quality"], meta["speech"]
    worst = meta["models"]["self-model"]
    tiles = [
        (
            _number(worst["worst"]),
            f"self-model, error / motion in the worst region ({worst['worst_region'].replace('_', ' ')})",
        ),
        (_number(q["linear model, worst region"]), "the same for a linear model"),
        (_percent(s.get("closed_share")), f"of {s.get('closures', 0)} m b p closed within 1.5 mm"),
        (_percent(s.get("vowel_gap_ratio")), "of the asked lip gap done at open vowels (median)"),
        (_number(s.get("gap_correlation")), "correlation of lip gap, asked and done"),
        (
            f"{sum(o['seen'] for o in meta['observability'].values())} / {len(meta['observability'])}",
            "actuators seen by the camera",
        ),
    ]
    return (
        "<div class=tiles>"
        + "".join(f"<div class=tile><b>{a}</b><span>{escape(b)}</span></div>" for a, b in tiles)
        + "</div>"
    )


def _regions(meta: Mapping[str, Any], neutral_m: Array) -> str:
    models = meta["models"]
    names = list(models["self-model"]["relative"])
    rows = "".join(
        f"<tr><td>{n.replace('_', ' ')}" + "".join(
            f"<td>{m['relative'][n]:.3f} <small>({m['error_mm'][n]:.2f} mm)</small>" for m in models.values()) for n in names
    )  # fmt: skip
    return (
        "<h2>How well the face is known</h2><p class=note>Error divided by motion on a fixed test path that babbling "
        "never saw, over the landmarks that move more than half a millimetre there; 0 is perfect, 1 is a model that "
        "always shows the mean face.</p><div class=row>"
        f"<img alt='error on the face' src='{figures.region_picture(neutral_m, models['self-model']['relative'])}' width=380>"
        f"<img alt='error by region' src='{figures.error_bars(models)}' width=620></div>"
        f"<table><tr><th>region{''.join(f'<th>{escape(m)}' for m in models)}</tr>{rows}</table>"
    )


def _shapes(rows: Sequence[Mapping[str, Any]], asked: Mapping[str, Array], done: Mapping[str, Array]) -> str:
    cards = []
    for row in rows:
        name = row["name"]
        if not row["asked_mm"]:
            cards.append(f"<div class=card><h3>{escape(name)}</h3>moves no landmark by itself</div>")
            continue
        flag = "<span class=flag>out of reach</span>" if row["reachable"] < _OUT_OF_REACH else ""
        if "done" not in row:
            told = f"asked {row['asked_mm']:.1f} mm, within reach {_percent(row['reachable'])}; the camera could not see it"
            cards.append(f"<div class=card><h3>{escape(name)}{flag}</h3>{told}</div>")
            continue
        picture = (
            f"<img alt='' src='{figures.pair_picture(asked[name], done[name])}'>" if name in done else ""
        )
        cards.append(
            f"<div class=card><h3>{escape(name)}{flag}</h3>{picture}"
            f"asked {row['asked_mm']:.1f} mm{_bar(1.0, 'asked')}within reach {_percent(row['reachable'])}{_bar(row['reachable'], 'best')}"
            f"done {_percent(row['done'])}{_bar(row['done'], 'done')}"
            f"left {row['done_error_mm']:.1f} mm, of that out of reach {row['reachable_error_mm']:.1f} mm</div>"
        )
    return (
        "<h2>Shapes: asked, within reach, done</h2><p class=note>Each ARKit shape at full strength and each emotion, held "
        "for half a second. Asked is the rig's shape in the size of this face and is never shrunk. Within reach is the best "
        "the self-model knows of; done is what was seen. Bars are shares of the asked movement along its own direction.</p>"
        f"<div class=cards>{''.join(cards)}</div>"
    )


def _before_after(meta: Mapping[str, Any]) -> str:
    """The hand map against the calibration, and this calibration against the one it replaces."""
    rows = [r for r in meta["shapes"] if {"before_error_mm", "done_error_mm"} <= r.keys()]
    if not rows:
        return ""
    left = {
        what: float(np.mean([r[f"{what}_error_mm"] / r["asked_mm"] for r in rows]))
        for what in ("before", "done", "reachable")
    }
    told = (
        "<h2>Before and after</h2><p class=note>Without a calibration a face runs on its hand map. The same expressions, "
        f"tried both ways: on the mean {_percent(left['before'])} of the asked movement was missed by the hand map and "
        f"{_percent(left['done'])} is missed now; {_percent(left['reachable'])} is out of this face's reach.</p>"
        f"<img alt='error by hand map and calibrated' src='{figures.before_after(rows)}' style='max-width:100%'>"
    )
    replaced = meta.get("replaces") or {}
    if not replaced:
        return told
    numbers = "".join(
        f"<tr><td>{escape(name)}<td>{_number(replaced['quality'].get(name))}<td>{_number(value)}"
        for name, value in meta["quality"].items()
    )
    return f"{told}<table><tr><th>against the calibration it replaces<th>{escape(replaced['date'])}<th>now</tr>{numbers}</table>"


def _recalibrated(r: Mapping[str, Any]) -> str:
    """What a recalibration found, and both models on a path that neither has seen."""
    rows = "".join(
        f"<tr><td>{escape(region.replace('_', ' '))}<td>{r['before']['error_mm'][region]:.2f}<td>{r['after']['error_mm'][region]:.2f}"
        for region in r["before"]["error_mm"]
        if region in r["after"]["error_mm"]
    )
    return (
        f"<h2>Recalibrated from {r['poses']} poses</h2><p class=note>The face had changed since {escape(r['from'])}: error of "
        f"the old and of the new self-model, mm, on a path that neither has seen; on the mean {r['before']['mean_mm']:.2f} and "
        f"{r['after']['mean_mm']:.2f}. What stands below was measured at the first calibration.</p>"
        f"<table><tr><th>region<th>before<th>after</tr>{rows}</table>"
    )


def ways_of_moving() -> list[dict[str, Any]]:
    """Rows {"way", "poses", "worst"} of white noise, smooth and active babbling: a face of one's own is moved one way only."""
    rows: list[dict[str, Any]] = json.loads(_WAYS.read_text(encoding="utf-8"))["rows"]
    return rows


def _curve(rows: Sequence[Mapping[str, Any]]) -> str:
    if not rows:
        return ""
    ways = escape(" and ".join(dict.fromkeys(str(r["way"]) for r in rows)))
    return (
        f"<h2>What photos teach</h2><p class=note>Error of self-models that saw only the first poses. Solid: this face, which moved "
        f"one way ({ways}), models trained briefly. Dashed: other ways of moving, on the simulated hybrid face (bench/active.py), models "
        f"trained fully. All on a fixed path that none has seen.</p>"
        f"<img alt='error against poses' src='{figures.pose_curves(rows, ways_of_moving())}' style='max-width:100%'>"
    )


def _actuators(meta: Mapping[str, Any]) -> str:
    seen = meta["observability"]
    colours = [figures.DONE if o["seen"] else "#c9c4ba" for o in seen.values()]
    lags = figures.bars_of_actuators(meta["lags_ms"], "lag, ms", colours)
    moved = figures.bars_of_actuators(
        {n: o["moved_mm"] for n, o in seen.items()}, "largest movement of a step, mm", colours
    )
    hidden = [n for n, o in seen.items() if not o["seen"]]
    told = (
        f"Not seen, driven by the hand map: {', '.join(map(escape, hidden))}."
        if hidden
        else "Every actuator was seen."
    )
    return (
        "<h2>Actuators</h2><p class=note>Lag: dead time and time constant from a step of each actuator alone; play sends "
        f"each command ahead by it. {told}</p><div class=row><img alt=lags src='{lags}'><img alt=observability src='{moved}'></div>"
    )


def _camera(meta: Mapping[str, Any]) -> str:
    """How the camera path did, when there was one."""
    c = meta.get("camera") or {}
    if not meta.get("plane"):
        return ""
    rows = [
        ("pictures looked at", c["pictures"]), ("used", c["used"]), ("without a face", c["no face"]),
        ("blurred, thrown away", c["blurred"]), ("outliers, thrown away", c["outliers"]),
        ("delay, taken out", f"{1e3 * c.get('delay_s', 0.0):.0f} ms, by {c.get('by', 'nothing')}"),
        ("between the eyes, as entered", f"{c['eyes_mm']} mm"), ("a pixel", f"{c.get('mm a pixel', 0.0):.2f} mm"),
        ("jitter at rest", f"{meta['jitter_mm']:.2f} mm"),
    ]  # fmt: skip
    table = "".join(f"<tr><td>{escape(str(a))}<td>{escape(str(b))}" for a, b in rows)
    return (
        "<h2>Camera</h2><p class=note>Only the image plane counts: depth is not measured, and the head was held still "
        f"while the face was looked at.</p><table>{table}</table>"
    )


def _bar(share: float, colour: str) -> str:
    width = 100.0 * min(max(share, 0.0), 1.0)
    return f"<div class=bar><i style='width:{width:.0f}%;background:var(--{colour})'></i></div>"


def _number(x: Any) -> str:
    return f"{x:.3f}" if isinstance(x, float) else "&ndash;" if x is None else escape(str(x))


def _percent(x: float | None) -> str:
    return "&ndash;" if x is None else f"{100 * x:.0f} %"

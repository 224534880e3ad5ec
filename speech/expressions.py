"""What each emotion adds to a face at intensity 1: the shipped prototypes (facial_actions.py), or a person's own ones,
refitted from their captures (train/expressions.py) and kept under a name."""

import itertools
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES, N_SHAPES
from animaface.robot.face.errors import InputError, unknown_name
from animaface.robot.face.facial_actions import EXPRESSIVE, PROTOTYPES, shapes_of
from animaface.speech.kept import keep, kept_folder, kept_names

Array = NDArray[np.float64]
_PARTS: Final = (N_SHAPES, N_SHAPES, 3, 2, 3)
_ENDS: Final = tuple(int(e) for e in np.cumsum(_PARTS))
WIDTH: Final = _ENDS[-1]
"""Of a row: shapes, what speaking adds to them, head, gaze (rad), factors on articulation, tempo and blinks, less 1."""
_MOST_HEAD_DEG: Final = 15.0
_LEAST_ARTICULATION, _MOST_ARTICULATION = 0.5, 1.5


def parts(rows: Array) -> list[Array]:
    """[..., WIDTH] -> shapes[..., 52], spoken[..., 52], head_rad[..., 3], gaze_rad[..., 2], factors less 1 [..., 3]."""
    return [rows[..., a:b] for a, b in itertools.pairwise((0, *_ENDS))]


@cache
def expression(name: str, *, spoken: bool = False) -> Array:
    """[52] shapes of one shipped emotion at intensity 1, not clipped; `spoken`: what speaking adds to them."""
    prototype = PROTOTYPES[name]
    shapes = shapes_of(prototype.spoken if spoken else prototype.actions)
    shapes.setflags(write=False)
    return shapes


@cache
def shipped_basis() -> Array:
    """[7, WIDTH], a row for each of EXPRESSIVE."""
    rows = []
    for name in EXPRESSIVE:
        p = PROTOTYPES[name]
        factors = [p.articulation - 1.0, p.tempo - 1.0, p.blink_rate - 1.0]
        shapes = (expression(name), expression(name, spoken=True))
        rows.append(np.concatenate([*shapes, np.radians(p.head_deg), np.radians(p.gaze_deg), factors]))
    basis = np.array(rows)
    basis.setflags(write=False)
    return basis


@dataclass(frozen=True)
class OwnExpression:
    """One emotion as somebody shows it: shapes[52] and head_rad[3] (yaw, pitch, roll) at intensity 1; articulation: factor
    on how far the mouth moves while they speak. seconds: how much of it was captured."""

    shapes: Array
    head_rad: Array
    articulation: float
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """As it is kept."""
        shapes = {n: round(float(v), 4) for n, v in zip(ARKIT_NAMES, self.shapes, strict=True) if v}
        head_deg = [round(float(a), 2) for a in np.degrees(self.head_rad)]
        return {"shapes": shapes, "head_deg": head_deg, "articulation": round(self.articulation, 3),
                "seconds": round(self.seconds, 1)}  # fmt: skip


def kept_expressions(folder: Path | None = None) -> list[str]:
    """Whose emotions are kept, sorted."""
    return kept_names(folder or kept_folder("expressions"))


def keep_expressions(own: dict[str, OwnExpression], name: str, folder: Path | None = None) -> Path:
    """Keep somebody's emotions under a name, for `happy@name`; returns the file. Raises InputError for no name."""
    content = {emotion: e.as_dict() for emotion, e in own.items()}
    return keep(content, "expressions", name, folder or kept_folder("expressions"))


def basis_of(name: str, folder: Path | None = None) -> Array:
    """[7, WIDTH]: the shipped basis for "", else with the emotions that this person has shown put in place of the shipped ones
    (tempo, blinks and gaze stay). Raises InputError with the valid names, and for a file that is none."""
    if not name:
        return shipped_basis()
    folder = folder or kept_folder("expressions")
    known = kept_expressions(folder)
    if name not in known:
        step = f"animaface train expressions --data CAPTURES -o {name}"
        raise InputError(unknown_name("expressions", name, known or ("none kept yet",)), next_step=step)
    path = folder / f"{name}.json"
    return _read(path, path.stat().st_mtime_ns)


@cache
def _read(path: Path, changed_ns: int) -> Array:
    """`changed_ns`: a file that was written anew is read anew."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        basis = shipped_basis().copy()
        for emotion, row in told.items():
            if emotion not in EXPRESSIVE:
                raise InputError(f"{path}: {unknown_name('emotion', emotion, EXPRESSIVE)}")
            basis[EXPRESSIVE.index(emotion)] = _own_row(path, row, basis[EXPRESSIVE.index(emotion)])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:
        wanted = 'a JSON object {"happiness": {"shapes": {...}, "head_deg": [yaw, pitch, roll], "articulation": 1}, ...}'
        raise InputError(f"{path}: wanted {wanted}; {e!r}") from e
    basis.setflags(write=False)
    return basis


def _own_row(path: Path, told: dict[str, Any], shipped: Array) -> Array:
    row = shipped.copy()
    shapes, spoken, head, _, factors = parts(row)
    shapes[:], spoken[:] = 0.0, 0.0
    for shape, value in told["shapes"].items():
        if shape not in ARKIT_INDEX:
            raise InputError(f"{path}: {unknown_name('shape', shape, ARKIT_NAMES)}")
        shapes[ARKIT_INDEX[shape]] = _within(path, shape, value, -1.0, 1.0)
    if len(told["head_deg"]) != 3:
        raise ValueError("head_deg: wanted yaw, pitch, roll")
    head[:] = np.radians(
        [_within(path, "head_deg", a, -_MOST_HEAD_DEG, _MOST_HEAD_DEG) for a in told["head_deg"]]
    )
    factors[0] = (
        _within(path, "articulation", told["articulation"], _LEAST_ARTICULATION, _MOST_ARTICULATION) - 1.0
    )
    return row


def _within(path: Path, what: str, value: float, low: float, high: float) -> float:
    if not low <= float(value) <= high:  # NaN falls out here too
        raise InputError(f"{path}: {what}: wanted {low:g} to {high:g}, found {value!r}")
    return float(value)

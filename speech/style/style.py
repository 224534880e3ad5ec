"""A style: four factors on the motion of speech. Named ones are shipped, a person's own are small JSON files."""

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import ARKIT_INDEX, shape_indices
from animaface.robot.face.errors import InputError, unknown_name
from animaface.speech.kept import keep, kept_folder, kept_names

Array = NDArray[np.float64]
LEAST, MOST = 0.5, 1.6
AUTO: Final = "auto"
"""The style that is heard in the voice."""
_JAW, _CLOSE = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthClose"]


_LARGE = shape_indices("mouthUpperUp", "mouthLowerDown")
_ROUND = shape_indices("mouthFunnel", "mouthPucker")
_WIDE = shape_indices("mouthStretch", "mouthSmile", "mouthDimple")


@dataclass(frozen=True)
class Style:
    """Factors, 1 is as the network recalls it. size: how far jaw and lips open. round: how far they round.
    wide: how far the corners go out. quick: pace and size of head and brows."""

    size: float = 1.0
    round: float = 1.0
    wide: float = 1.0
    quick: float = 1.0

    def __post_init__(self) -> None:
        for f in fields(self):
            value = getattr(self, f.name)
            if not LEAST <= value <= MOST:  # NaN falls out here too
                raise InputError(f"style: wanted {f.name} from {LEAST} to {MOST}, found {value!r}")

    def __str__(self) -> str:
        return " ".join(f"{k} {v:.2f}" for k, v in asdict(self).items())


NAMED: Final[dict[str, Style]] = {
    "plain": Style(),
    "mumbling": Style(0.6, 0.75, 0.75, 0.8),
    "clear": Style(1.3, 1.25, 1.2, 1.0),
    "lively": Style(1.15, 1.1, 1.3, 1.4),
    "calm": Style(0.9, 1.0, 0.9, 0.65),
}


def save_style(style: Style, name: str, folder: Path | None = None) -> Path:
    """Keep a style under a name; returns its file. Raises InputError for a name that is taken or no name."""
    return keep(asdict(style), "style", name, folder or kept_folder("styles"), (AUTO, *NAMED))


def find_style(spec: str, folder: Path | None = None) -> Style:
    """'clear', a name of one's own, a JSON file, or a mix such as 'clear:0.7,calm:0.3' (a missing share is 1).

    Raises InputError with the valid names, and for a file or share that is none.
    """
    parts = []
    for part in spec.split(","):
        name, colon, share = (p.strip() for p in part.partition(":"))
        try:
            weight = float(share) if colon else 1.0
        except ValueError as e:
            raise InputError(
                f"style {spec!r}: wanted a share after {name!r}, found {share!r}",
                next_step="--style clear:0.7",
            ) from e
        parts.append((_one(name, folder or kept_folder("styles")), weight))
    return mixed(parts)


def mixed(parts: Sequence[tuple[Style, float]]) -> Style:
    """Weighted geometric mean; shares of less than 1 in all leave the rest plain."""
    total = sum(w for _, w in parts)
    if not all(0.0 <= w <= 1.0 for _, w in parts) or total <= 0.0:
        raise InputError(
            "style: wanted shares from 0 to 1, not all 0", next_step="--style clear:0.7,calm:0.3"
        )
    scale = 1.0 / max(1.0, total)
    names = [f.name for f in fields(Style)]
    logs = {n: sum(scale * w * math.log(getattr(s, n)) for s, w in parts) for n in names}
    return Style(**{n: min(MOST, max(LEAST, math.exp(v))) for n, v in logs.items()})


def _one(name: str, folder: Path) -> Style:
    if name in NAMED:
        return NAMED[name]
    path = Path(name) if name.endswith(".json") else folder / f"{name}.json"
    if not path.is_file():
        valid = (AUTO, *NAMED, *kept_names(folder))
        raise InputError(unknown_name("style", name, valid), next_step="--style clear")
    try:
        return Style(**{k: float(v) for k, v in json.loads(path.read_text(encoding="utf-8")).items()})
    except (ValueError, TypeError, AttributeError) as e:
        wanted = ", ".join(f.name for f in fields(Style))
        raise InputError(f"{path}: wanted a JSON object with {wanted}; {e}") from e


def styled(values: Array, factors: Array) -> Array:
    """values[K, 55] of speech in a style, factors[K, 4] in the order of Style; what is sealed stays sealed."""
    out = values.copy()
    if (factors == 1.0).all():
        return out
    size = factors[:, 0]
    gap = np.maximum(values[:, _JAW] - values[:, _CLOSE], 0.0)
    # from the seal on: a gap of less than .03 is none
    open_gap = np.maximum(gap - 0.03, 0.0)
    out[:, _JAW] += open_gap * (size - 1.0)
    out[:, _LARGE] *= (1.0 + (size - 1.0) * np.clip(open_gap / 0.05, 0.0, 1.0))[:, None]
    out[:, _ROUND] *= factors[:, 1:2]
    out[:, _WIDE] *= factors[:, 2:3]
    return np.clip(out, np.minimum(values, 0.0), np.maximum(values, 1.0))

"""Portraits of people to show a reader of expressions beside our face: cut out of pictures that packages bring along.

The npm package of the reader (MIT) has snapshots of people at a party, matplotlib a portrait of Grace Hopper (US Navy, public
domain). What they show was judged by eye: broad smiles, and one earnest face. Other feelings were found in no package.
"""

from importlib.util import find_spec
from pathlib import Path
from typing import Final

from PIL import Image

_DEMO: Final = Path("@vladmandic/face-api/demo")
_SMILING: Final = {"sample1": [(1567, 353)], "sample3": [(1572, 475), (1205, 441)], "sample4": [(1342, 294)],
                   "sample6": [(808, 455)]}  # fmt: skip
"""Middle of the face, px."""
_EARNEST: Final = (265, 230)
_WIDE, _TALL = 380, 400


def cut_out(folder: Path, modules: Path) -> dict[str, str]:
    """Write the portraits into `folder` -> {file name: what it shows, in the reader's words}."""
    from matplotlib import get_data_path

    shows: dict[str, str] = {}
    for sample, middles in _SMILING.items():
        path = modules / _DEMO / f"{sample}.jpg"
        for k, middle in enumerate(middles if path.is_file() else []):
            shows[_save(path, middle, 1.0, folder / f"{sample}_{k}.png")] = "happy"
    hopper = Path(get_data_path()) / "sample_data" / "grace_hopper.jpg" if find_spec("matplotlib") else None
    if hopper is not None and hopper.is_file():
        shows[_save(hopper, _EARNEST, 0.74, folder / "hopper.png")] = "neutral"
    return shows


def _save(path: Path, middle: tuple[int, int], size: float, to: Path) -> str:
    x, y, w, h = *middle, size * _WIDE / 2, size * _TALL / 2
    box = (round(x - w), round(y - h), round(x + w), round(y + h))
    Image.open(path).convert("RGB").crop(box).resize((_WIDE, _TALL)).save(to)
    return to.name

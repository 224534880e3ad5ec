"""Make the shipped calibration of the simulated hybrid face again: python bench/ship_calibration.py [FOLDER]

The real session, seed 0. Writes hw_configs/calibrations/hybrid (of the babbling, which is large, only what a recalibration drives again)
and prints the numbers of quality. Interrupted, it goes on. About five minutes on two free cores. `--again inverse` does
one step anew, and what was built on it, where the work of the last session is still there.
"""

import argparse
import json
import logging
import time
from pathlib import Path

import numpy as np
from rich.console import Console

from animaface.app.simulated import simulated_session
from animaface.calibration import album, drift, folder
from animaface.calibration.learn import load_learned
from animaface.calibration.prompter import ScriptedPrompter
from animaface.calibration.recalibration import POSES
from animaface.calibration.work import Work
from animaface.robot.config import FaceConfig, load_face

HERE = Path(__file__).resolve().parent


class _Telling(ScriptedPrompter):
    """Says when a step begins."""

    def __init__(self) -> None:
        super().__init__()
        self._label, self._since = "", time.monotonic()
        self._console = Console()

    def progress(self, done: int, total: int, label: str, remaining_s: float | None = None) -> None:
        """One line a step."""
        if label != self._label:
            self._label = label
            self._console.print(f"{time.monotonic() - self._since:7.1f} s  {label}")


def keep_what_is_driven_again(where: Path, config: FaceConfig) -> None:
    """Of all the photos, those that a recalibration will compare with."""
    meta = folder.load(where, config)
    learned = load_learned(where, 1e-3 * np.array(meta["neutral_mm"]), config)
    photos = drift.pieces_again(learned, album.load_album(where), POSES)
    Work(where).keep(album.NAME, **album.packed(photos))


def main() -> None:
    """Calibrate and ship."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "folder", nargs="?", type=Path, default=HERE.parent / "hw_configs/calibrations/hybrid"
    )
    parser.add_argument("--face", default="hybrid")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=HERE.parent / "out/ship_calibration")
    parser.add_argument("--again", nargs="*", default=(), help="steps to do anew, such as inverse")
    args = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    started = time.monotonic()
    meta = simulated_session(load_face(args.face), args.work, seed=args.seed, prompter=_Telling()).run(
        args.folder,
        skip=("bring-up",),  # a simulated servo is known to turn the right way
        again=tuple(args.again),
    )
    keep_what_is_driven_again(args.folder, load_face(args.face))
    seconds = time.monotonic() - started
    Console().print(json.dumps(meta["quality"], indent=1))
    size_mb = sum(f.stat().st_size for f in args.folder.iterdir()) / 1e6
    Console().print(f"{seconds:.0f} s, {size_mb:.1f} MB in {args.folder}", markup=False)


if __name__ == "__main__":
    main()

"""`python -m animaface.speech.train`: the command line of the training."""

import argparse
import logging
from dataclasses import fields
from pathlib import Path

from rich.logging import RichHandler

from animaface.speech.train import main
from animaface.speech.train.recipe import Recipe

if __name__ == "__main__":
    ap = argparse.ArgumentParser(
        prog="python -m animaface.speech.train",
        description="Train the speech network. Example: python -m animaface.speech.train --data ../shared/data",
    )
    ap.add_argument("--data", type=Path, required=True, help="folder that holds grid_s1/")
    ap.add_argument("--out", type=Path, help="ONNX file to write (default: the package's weights)")
    for f in fields(Recipe):
        kind = type(f.default)
        ap.add_argument(
            f"--{f.name.replace('_', '-')}", type=kind, default=f.default, help=f"default {f.default}"
        )
    a = vars(ap.parse_args())
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)])
    main(a.pop("data"), a.pop("out"), **a)

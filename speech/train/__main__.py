"""`python -m animaface.speech.train`: the command line of the training."""

import argparse
import logging
from dataclasses import fields
from pathlib import Path

from rich.logging import RichHandler

from animaface.speech.train import main
from animaface.speech.train.recipe import CONFIG, Recipe

if __name__ == "__main__":
    ap = argparse.ArgumentParser(
        prog="python -m animaface.speech.train",
        description="Train the speech network. Example: python -m animaface.speech.train --data ../shared/data",
    )
    ap.add_argument("--data", type=Path, required=True, help="folder that holds grid_s1/")
    ap.add_argument("--out", type=Path, help="ONNX file to write (default: the package's weights)")
    ap.add_argument("--config", type=Path, default=CONFIG, help="YAML of settings (default: %(default)s)")
    ap.add_argument("--cache", type=Path, help="folder to keep the prepared examples in")
    ap.add_argument(
        "--captures", type=Path, help="folder of your own: NAME.wav with NAME.json (BEAT) or NAME.csv"
    )
    for f in fields(Recipe):
        ap.add_argument(f"--{f.name.replace('_', '-')}", type=type(f.default), help="instead of the config's")
    a = {k: v for k, v in vars(ap.parse_args()).items() if v is not None}
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)])
    main(a.pop("data"), a.pop("out", None), **a)

"""`animaface train`: make the speech or the emotion weights again, from data of one's own or the project's."""

import importlib.util
import logging
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from animaface.app import options as opt
from animaface.app.console import emit_json, err, out
from animaface.robot.face.errors import ConfigError, MissingDependencyError, unknown_name

NAME = "train"
EXAMPLE = (
    "animaface train speech --data ../shared/data --captures my-recordings --set steps=4000 -o mine.onnx"
)
NETWORKS = {"speech": "animaface.speech.train", "emotion": "animaface.speech.train.emotion"}
"""What can be trained -> the module whose `main(data, out, **settings)` does it."""
BENCHES = {"speech": "bench/speech.py --weights {weights}", "emotion": "bench/emotion_heard.py"}


def run(
    network: Annotated[str, typer.Argument(help=f"One of: {', '.join(NETWORKS)}.")],
    data: Annotated[Path, typer.Option(help="Folder that holds grid_s1/ (speech) or emodb/ (emotion).")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="ONNX to write; default: the package's.")
    ] = None,
    captures: Annotated[
        Path | None,
        typer.Option(help="speech: recordings of your own, NAME.wav with NAME.json (BEAT) or NAME.csv."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="speech: YAML of settings; default: speech.yaml.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="speech: folder to keep the prepared examples in.")
    ] = None,
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="One setting, name=value; may be given again.")
    ] = None,
    json: opt.Json = False,
) -> None:
    """Train a network; needs torch. Under torchrun: `torchrun -m animaface.speech.train --data ...`."""
    if network not in NETWORKS:
        raise ConfigError(unknown_name("network", network, NETWORKS))
    if importlib.util.find_spec("torch") is None:
        raise MissingDependencyError("training needs torch", next_step="pip install 'animaface[train]'")
    options: dict[str, Any] = {"captures": captures, "config": config, "cache": cache}
    given = {k: v for k, v in options.items() if v is not None}
    if network != "speech" and given:
        raise ConfigError(f"--{next(iter(given))} belongs to `train speech`")
    module = importlib.import_module(NETWORKS[network])
    handler = logging.StreamHandler(err.file)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    written = module.main(data, output, **given, **dict(_setting(text) for text in settings or []))
    if json:
        emit_json({"network": network, "weights": str(written)})
    else:
        out.print(f"{written}: trained", markup=False, soft_wrap=True)
        bench = BENCHES[network].format(weights=written)
        out.print(f"next: python {bench}", markup=False, soft_wrap=True)


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set wants name=value, found {text!r}", next_step="--set steps=2000")
    return name.strip().replace("-", "_"), yaml.safe_load(value)

"""`animaface train`: make the speech or the emotion weights again, from data of one's own or the project's, or fit a
person's own expressions."""

import importlib.util
import logging
from dataclasses import dataclass
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


@dataclass(frozen=True)
class _Training:
    """module: its `main(data, out, **settings)` does it. then: what to run next."""

    module: str
    then: str
    needs_torch: bool = True


TRAININGS = {
    "speech": _Training("animaface.speech.train", "python bench/speech.py --weights {made}"),
    "emotion": _Training("animaface.speech.train.emotion", "python bench/emotion_heard.py"),
    "expressions": _Training(
        "animaface.speech.train.expressions", "animaface perform voice.wav -o take.csv --emotion happy@{name}",
        needs_torch=False,
    ),
}  # fmt: skip


def run(
    what: Annotated[str, typer.Argument(help=f"One of: {', '.join(TRAININGS)}.")],
    data: Annotated[
        Path,
        typer.Option(
            help="Folder that holds grid_s1/ (speech), emodb/ (emotion), or recordings (expressions)."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="ONNX to write, default: the package's; expressions: the person's name."
        ),
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
    """Train a network (needs torch; under torchrun: `torchrun -m animaface.speech.train --data ...`), or fit how a person
    shows emotions: recordings named by what they show (anna_happy.wav with anna_happy.csv)."""
    if what not in TRAININGS:
        raise ConfigError(unknown_name("training", what, TRAININGS))
    training = TRAININGS[what]
    if training.needs_torch and importlib.util.find_spec("torch") is None:
        raise MissingDependencyError("training needs torch", next_step="pip install 'animaface[train]'")
    options: dict[str, Any] = {"captures": captures, "config": config, "cache": cache}
    given = {k: v for k, v in options.items() if v is not None}
    if what != "speech" and given:
        raise ConfigError(f"--{next(iter(given))} belongs to `train speech`")
    module = importlib.import_module(training.module)
    handler = logging.StreamHandler(err.file)
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[handler])
    made = module.main(data, output, **given, **dict(_setting(text) for text in settings or []))
    if json:
        emit_json({"what": what, "made": str(made)})
    else:
        out.print(f"{made}: trained", markup=False, soft_wrap=True)
        out.print(f"next: {training.then.format(made=made, name=made.stem)}", markup=False, soft_wrap=True)


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set wants name=value, found {text!r}", next_step="--set steps=2000")
    return name.strip().replace("-", "_"), yaml.safe_load(value)

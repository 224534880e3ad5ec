"""One run of training from data to weights: what is learned from what, in which order."""

import logging
import time
from dataclasses import asdict, dataclass, fields, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.errors import ConfigError, unknown_name
from animaface.speech.features import LOOK_AHEAD_S, N_FEATURES, SAMPLE_RATE_HZ
from animaface.speech.network import FORMAT
from animaface.speech.phones import PHONES
from animaface.speech.train.captures import captured_examples, load_captures
from animaface.speech.train.corpus import SHARES, CorpusConfig, Groups, cached
from animaface.speech.train.dataset import CHANNELS, hearing_ahead, rest_pose
from animaface.speech.train.export import export, scale_outputs
from animaface.speech.train.film import film_delays
from animaface.speech.train.fit import FitConfig, device_group, fit
from animaface.speech.train.gains import Heard, clips_of, gains
from animaface.speech.train.grid import GridSpeaker, held_out, training, validation
from animaface.speech.train.model import ModelConfig, SpeechNet
from animaface.speech.train.recordings import VideoReader

log = logging.getLogger(__name__)
CONFIG = Path(__file__).parent / "speech.yaml"
"""What a training does when it is told nothing else."""
FINISH = {"real": 0.5, "varied": 0.18, "transferred": 0.12, "taught": 0.15}
"""Shares of the rows in the last steps, nearer to what was filmed; the others stay."""


@dataclass(frozen=True)
class Recipe(CorpusConfig):
    """Everything that can be set, as it stands in speech.yaml: the examples (CorpusConfig), and what is below.

    Another look_ahead_s than the program's is for ablations: its weights are refused at run time.
    """

    steps: int = 6400
    finish_steps: int = 1600
    batch: int = 48
    length: int = 100
    learning_rate: float = 0.003
    coarticulation_share: float = 0.3
    correlation_weight: float = 0.5
    opening_weight: float = 0.4
    velocity_weight: float = 2.0
    masked_share: float = 1.0
    average: float = 0.998
    look_ahead_s: float = LOOK_AHEAD_S
    conv: int = 128
    hidden: int = 192
    dropout: float = 0.0
    variance_wanted: float = 0.95
    captures_share: float = 0.3
    threads: int = 1

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "Recipe":
        """From named settings; ConfigError for a name that does not exist."""
        names = [f.name for f in fields(cls)]
        for key in settings:
            if key not in names:
                raise ConfigError(unknown_name("setting of the speech training", key, names))
        return cls(**settings)

    @classmethod
    def from_file(cls, path: Path, **changes: Any) -> "Recipe":
        """From a YAML file of settings; ConfigError where it is not one."""
        try:
            told = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        except (OSError, yaml.YAMLError) as e:
            raise ConfigError(f"{path}: not a readable config of the training: {e}") from e
        if not isinstance(told, dict):
            raise ConfigError(f"{path}: wanted settings `name: value`, found {type(told).__name__}")
        return cls.from_settings({**told, **changes})

    def part(self, kind: type[Any]) -> Any:
        """The settings that `kind`, a dataclass, has too."""
        mine = asdict(self)
        return kind(**{f.name: mine[f.name] for f in fields(kind) if f.name in mine})


def fitted(
    groups: Groups, recipe: Recipe, *, rank: int = 0, world: int = 1
) -> tuple[SpeechNet, NDArray[np.float32], NDArray[np.float32]]:
    """The network learned from the groups, then finished nearer to what was filmed; and what `fit` tells."""
    shares = SHARES | ({"captured": recipe.captures_share} if "captured" in groups else {})
    shared = [(share, groups.get(k, [])) for k, share in shares.items()]
    nearer = [(FINISH.get(k, share), groups.get(k, [])) for k, share in shares.items()]
    model = ModelConfig(len(CHANNELS), recipe.conv, recipe.hidden, recipe.dropout)
    last: FitConfig = replace(
        recipe.part(FitConfig),
        steps=recipe.finish_steps, learning_rate=0.3 * recipe.learning_rate, seed=recipe.seed + 1,
    )  # fmt: skip
    first = replace(recipe.part(FitConfig), opening_weight=0.0)
    net, _, _ = fit(shared, model, first, rank=rank, world=world)
    return fit(nearer, model, last, rank=rank, world=world, begin=net)


def move_films(grid: GridSpeaker, recipe: Recipe) -> None:
    """Films of the training and tuning clips that are out of time come in time from here on."""
    names = training(grid.clips)
    if recipe.film_steps:
        asked = names + validation(grid.clips)
        grid.late_s = film_delays(grid, names, asked, steps=recipe.film_steps, seed=recipe.seed)


def train(
    data: Path,
    out: Path,
    recipe: Recipe,
    *,
    cache: Path | None = None,
    captures: Path | None = None,
    video: VideoReader | None = None,
) -> None:
    """Read, disturb, teach, fit, set the gains, export. Under torchrun only the first process writes.

    `captures`: a folder of a user's own recordings (see captures.py) that teach beside GRID.
    """
    started = time.perf_counter()
    torch.set_num_threads(recipe.threads)
    grid = GridSpeaker(data / "grid_s1", for_training=True)
    names, tuning = training(grid.clips), validation(grid.clips)
    apart = len(held_out(grid.clips))
    log.info("GRID: %d clips to train, %d to tune, %d held out", len(names), len(tuning), apart)
    move_films(grid, recipe)
    groups = cached(grid, names, recipe.part(CorpusConfig), cache)
    if captures is not None:
        own = load_captures(captures, video)
        groups["captured"] = captured_examples(own, recipe.grid_variants, recipe.seed)
    groups = {k: [hearing_ahead(e, recipe.look_ahead_s) for e in v] for k, v in groups.items()}
    prepared_s = time.perf_counter() - started
    with device_group() as (rank, world):
        net, mean, sd = fitted(groups, recipe, rank=rank, world=world)
    if rank:
        return
    heard = [Heard.of(net, mean, sd, e) for e in clips_of(grid, names + tuning, recipe.look_ahead_s)]
    gain, offset = gains(heard, mean, recipe.variance_wanted)
    scale_outputs(net, mean * gain + offset, sd * gain)
    facts = {
        "date": date.today().isoformat(), "recipe": asdict(recipe), "gain": dict(zip(CHANNELS, gain.tolist(), strict=True)),
        "train_clips": names, "validation_clips": tuning, "held_out_rule": "sorted(names)[::9]",
        "films_late_s": grid.late_s,
        "examples": {k: len(v) for k, v in groups.items()}, "processes": world,
        "minutes": {"examples": round(prepared_s / 60, 1), "all": round((time.perf_counter() - started) / 60, 1)},
        "data": "GRID corpus speaker s1 (CC BY 4.0, Cooke, Barker, Cunningham, Shao 2006); curves are pseudo-labels",
    }  # fmt: skip
    rest = rest_pose(groups["real"])
    export(net, out, {
        "format": FORMAT, "phones": list(PHONES), "features": N_FEATURES, "sample_rate_hz": SAMPLE_RATE_HZ,
        "frame_rate_hz": FRAME_RATE_HZ, "look_ahead_s": recipe.look_ahead_s, "channels": list(CHANNELS),
        "rest": dict(zip(CHANNELS, rest.tolist(), strict=True)), "training": facts,
    })  # fmt: skip

"""One run of training from data to weights: what is learned from what, in which order."""

import logging
from dataclasses import asdict, dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.errors import ConfigError, MissingDependencyError, unknown_name
from animaface.speech.features import LOOK_AHEAD_S, N_FEATURES, SAMPLE_RATE_HZ
from animaface.speech.network import FORMAT
from animaface.speech.phones import PHONES
from animaface.speech.train.augment import disturbed
from animaface.speech.train.dataset import (
    CHANNELS,
    LEARNED,
    Example,
    example,
    grid_examples,
    rest_pose,
    speechless,
    stretched,
)
from animaface.speech.train.espeak import espeak_corpus
from animaface.speech.train.export import export, scale_outputs
from animaface.speech.train.fit import FitConfig, fit
from animaface.speech.train.grid import Clip, GridSpeaker, held_out, validation
from animaface.speech.train.model import ModelConfig, SpeechNet
from animaface.speech.train.teacher import fit_teacher, phone_inputs, taught
from animaface.speech.train.voices import Spoken, flite_corpus, sentences

log = logging.getLogger(__name__)


LARGEST_GAIN = 6.0


@dataclass(frozen=True)
class Recipe:
    """Everything that can be set; the defaults made the shipped weights."""

    steps: int = 1500
    batch: int = 64
    conv: int = 128
    hidden: int = 192
    dropout: float = 0.1
    grid_variants: int = 3
    flite_sentences: int = 150
    espeak_sentences: int = 250
    teacher_steps: int = 1500
    speechless_clips: int = 120
    variance_wanted: float = 0.95
    seed: int = 1
    threads: int = 1

    @classmethod
    def from_settings(cls, settings: dict[str, Any]) -> "Recipe":
        """From named settings; ConfigError for a name that does not exist."""
        names = [f.name for f in fields(cls)]
        for key in settings:
            if key not in names:
                raise ConfigError(unknown_name("setting of the speech training", key, names))
        return cls(**settings)


def train(data: Path, out: Path, recipe: Recipe) -> None:
    """Read, disturb, teach, fit, set the gains, export."""
    torch.set_num_threads(recipe.threads)
    torch.set_flush_denormal(True)
    grid = GridSpeaker(data / "grid_s1")
    kept_apart, tuning = held_out(grid.clips), validation(grid.clips)
    names = [c for c in sorted(grid.clips) if c not in set(kept_apart) | set(tuning)]
    log.info("GRID: %d clips to train, %d to tune, %d held out", len(names), len(tuning), len(kept_apart))
    examples = grid_examples(grid, names, recipe.grid_variants, recipe.seed)
    voiced = synthetic_examples(grid, names, recipe)
    clean = examples[:: recipe.grid_variants + 1]
    rest = rest_pose(clean)
    corpus = examples + 2 * clean + 2 * voiced + speechless(recipe.speechless_clips, rest, recipe.seed)
    log.info("%d examples, %d of them synthesised voices", len(corpus), len(voiced))
    net, mean, sd = fit(
        corpus,
        ModelConfig(len(CHANNELS), recipe.conv, recipe.hidden, recipe.dropout),
        FitConfig(steps=recipe.steps, batch=recipe.batch, seed=recipe.seed),
    )
    gain = gains(net, mean, sd, grid, tuning, recipe.variance_wanted)
    scale_outputs(net, mean, sd * gain)
    facts = {
        "date": date.today().isoformat(), "recipe": asdict(recipe), "gain": dict(zip(CHANNELS, gain.tolist(), strict=True)),
        "train_clips": names, "validation_clips": tuning, "held_out_rule": "sorted(names)[::9]",
        "synthetic_sentences": {"flite": recipe.flite_sentences * 4, "espeak-ng": recipe.espeak_sentences},
        "data": "GRID corpus speaker s1 (CC BY 4.0, Cooke, Barker, Cunningham, Shao 2006); curves are pseudo-labels",
    }  # fmt: skip
    export(net, out, {
        "format": FORMAT, "phones": list(PHONES), "features": N_FEATURES, "sample_rate_hz": SAMPLE_RATE_HZ,
        "frame_rate_hz": FRAME_RATE_HZ, "look_ahead_s": LOOK_AHEAD_S, "channels": list(CHANNELS),
        "rest": dict(zip(CHANNELS, rest.tolist(), strict=True)), "training": facts,
    })  # fmt: skip


def spoken_corpus(recipe: Recipe) -> list[Spoken]:
    """Sentences by packaged voices; a voice that is not installed is left out with a warning."""
    corpus: list[Spoken] = []
    try:
        if recipe.flite_sentences:
            corpus += flite_corpus(recipe.flite_sentences, recipe.seed)
        if recipe.espeak_sentences:
            corpus += espeak_corpus(sentences(recipe.espeak_sentences, 77 + recipe.seed), recipe.seed)
    except MissingDependencyError as e:
        log.warning("training with fewer voices: %s", e)
    return corpus


def synthetic_examples(grid: GridSpeaker, names: list[str], recipe: Recipe) -> list[Example]:
    """Voices without video, each twice and disturbed, with curves of the phone teacher."""
    corpus = spoken_corpus(recipe)
    if not corpus:
        return []
    clips = [grid.clip(n, list(LEARNED)) for n in names]
    curves = [c.curves for c in clips]
    stacked = np.concatenate(curves)
    mean, sd = stacked.mean(axis=0), np.maximum(stacked.std(axis=0), 1e-3)
    teacher = fit_teacher(
        [phone_inputs(c.phones, len(c.curves)) for c in clips],
        curves,
        mean,
        sd,
        steps=recipe.teacher_steps,
        seed=recipe.seed,
    )
    rng, out = np.random.default_rng(recipe.seed), []
    for spoken in corpus:
        frames = int(len(spoken.samples) / SAMPLE_RATE_HZ * FRAME_RATE_HZ) + 1
        known = np.ones(frames, np.float32)
        clip = Clip(
            spoken.voice,
            spoken.samples,
            taught(teacher, spoken.phones, frames, mean, sd),
            known,
            spoken.phones,
        )
        for version in (clip, stretched(clip, float(np.exp(rng.normal(0, 0.12))))):
            weight = np.tile(_teachable(), (len(version.curves), 1))
            out.append(example(disturbed(version.samples, rng), version.curves, weight, version.phones))
    return out


def _teachable() -> NDArray[np.float32]:
    """[len(LEARNED)] how far the teacher is believed: not at all for what phones do not tell."""
    unknown = ("brow", "head", "mouthSmile", "mouthPress")
    return np.array([0.0 if n.startswith(unknown) else 0.6 for n in LEARNED], np.float32)


def gains(
    net: SpeechNet,
    mean: NDArray[np.float32],
    sd: NDArray[np.float32],
    grid: GridSpeaker,
    names: list[str],
    wanted: float,
) -> NDArray[np.float32]:
    """[C] factor per curve that brings the variance within clips to `wanted` of the real one.

    Averaging over what the sound does not tell costs variance; a fixed gain per shape gives it back. Heads
    stay as they are: little of their motion is in the sound, and a gain would only blow up the rest.
    """
    real, ours = [], []
    for name in names:
        clip = grid.clip(name, list(LEARNED))
        e = example(clip.samples, clip.curves, clip.weight, clip.phones)
        with torch.no_grad():
            curves = net(torch.from_numpy(e.features)[None], *net.initial(1))[0][0].numpy()
        real.append(e.curves.var(axis=0))
        ours.append(curves)
    target = wanted * np.mean(real, axis=0)
    gain = np.ones(len(CHANNELS), np.float32)
    for factor in np.linspace(1.0, LARGEST_GAIN, 101):  # shapes stop at 0, so the variance is not the square
        reached = np.mean([np.maximum(c * sd * factor + mean, 0.0).var(axis=0) for c in ours], axis=0)
        gain[reached < target] = factor
    gain[[c.startswith(("head", "brow")) for c in CHANNELS]] = 1.0
    return gain

"""Everything the network learns from, in groups: real clips, their motion on other voices, taught voices, noise."""

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.robot.face.errors import MissingDependencyError
from animaface.speech.features import SAMPLE_RATE_HZ
from animaface.speech.train.augment import disturbed
from animaface.speech.train.dataset import (
    LEARNED,
    Example,
    believed,
    breaking_off,
    example,
    other_throat,
    rest_pose,
    shifted,
    speechless,
    varied,
)
from animaface.speech.train.espeak import espeak_corpus, foreign_corpus
from animaface.speech.train.festival import festival, festival_corpus, installed
from animaface.speech.train.grid import Clip, GridSpeaker
from animaface.speech.train.teacher import fit_teacher, phone_inputs, taught
from animaface.speech.train.transfer import transferred
from animaface.speech.train.voices import FLITE_VOICES, Spoken, flite, flite_corpus, sentences

log = logging.getLogger(__name__)
_VERSION = 5
"""Raise when examples are made in another way, so that old caches are not taken."""
_LETTERS = {"a": "ay"}


@dataclass(frozen=True)
class CorpusConfig:
    """How many examples of which kind; without_voice leaves packaged voices out ('slt', 'espeak', 'czech').

    film_steps: of the teacher that tells which films are out of time with their sound; 0 leaves them as they are.
    """

    grid_variants: int = 4
    flite_grid: int = 60
    espeak_grid: int = 700
    festival_grid: int = 60
    flite_sentences: int = 80
    espeak_sentences: int = 250
    foreign_sentences: int = 24
    festival_sentences: int = 50
    teacher_steps: int = 1200
    film_steps: int = 400
    speechless_clips: int = 120
    broken_off_clips: int = 80
    without_voice: str = ""
    seed: int = 1


Groups = dict[str, list[Example]]
SHARES = {"real": 0.33, "varied": 0.29, "transferred": 0.16, "taught": 0.17, "speechless": 0.05}
"""Share of the training rows of each group."""


def make(grid: GridSpeaker, names: list[str], config: CorpusConfig) -> Groups:
    """Examples by group, from the GRID clips `names` only."""
    rng = np.random.default_rng(config.seed)
    clips = believed([grid.clip(n, list(LEARNED)) for n in names])
    real = [example(c.samples, c.curves, c.weight, c.phones) for c in clips]
    for clip in clips:
        moved = shifted(clip, rng)
        real.append(example(moved.samples, moved.curves, moved.weight, moved.phones))
    groups = {"real": real, "varied": [varied(c, rng) for c in clips for _ in range(config.grid_variants)]}
    log.info("GRID: %d clips, %d examples", len(clips), len(real) + len(groups["varied"]))
    groups["transferred"] = _same_words(grid, clips, config, rng)
    groups["taught"] = _taught(clips, config, rng)
    rest = rest_pose(real[: len(clips)])
    groups["speechless"] = speechless(config.speechless_clips, rest, config.seed)
    groups["speechless"] += breaking_off(clips, config.broken_off_clips, rest, config.seed)
    log.info("examples: %s", ", ".join(f"{k} {len(v)}" for k, v in groups.items()))
    return groups


def cached(grid: GridSpeaker, names: list[str], config: CorpusConfig, folder: Path | None) -> Groups:
    """As `make`; kept in `folder` under a name that tells its config, when a folder is given."""
    if folder is None:
        return make(grid, names, config)
    told = json.dumps([_VERSION, asdict(config), names], sort_keys=True)
    path = folder / f"corpus-{hashlib.sha256(told.encode()).hexdigest()[:16]}.npz"
    if path.is_file():
        log.info("examples from %s", path)
        return read_groups(path)
    groups = make(grid, names, config)
    folder.mkdir(parents=True, exist_ok=True)
    write_groups(path, groups)
    return groups


def write_groups(path: Path, groups: Groups) -> None:
    """One npz of every example; features and curves in half precision."""
    arrays: dict[str, NDArray[np.generic]] = {}
    for group, examples in ((k, v) for k, v in groups.items() if v):
        arrays[f"{group}/frames"] = np.array([len(e.now) for e in examples])
        for f in Example.__dataclass_fields__:
            joined = np.concatenate([getattr(e, f) for e in examples])
            arrays[f"{group}/{f}"] = joined.astype(np.float16 if joined.dtype.kind == "f" else np.int8)
    part = path.with_suffix(".part.npz")
    np.savez(part, **arrays)  # type: ignore[arg-type]
    part.replace(path)


def read_groups(path: Path) -> Groups:
    """What write_groups wrote; groups without examples are left out."""
    groups: Groups = {}
    with np.load(path, allow_pickle=False) as z:
        for group in dict.fromkeys(key.split("/")[0] for key in z.files):
            cuts = np.cumsum(z[f"{group}/frames"])[:-1]
            columns = []
            for f in Example.__dataclass_fields__:
                joined = z[f"{group}/{f}"]
                whole = joined.astype(np.int64 if joined.dtype == np.int8 else np.float32)
                columns.append(np.split(whole, cuts))
            groups[group] = [Example(*row) for row in zip(*columns, strict=True)]
    return groups


def _voices_left(config: CorpusConfig) -> tuple[str, ...]:
    return tuple(v for v in FLITE_VOICES if v != config.without_voice)


def _tried(make_voices: Callable[[], list[Spoken]]) -> list[Spoken]:
    """Nothing, with a warning, where the voices are not installed."""
    try:
        return make_voices()
    except MissingDependencyError as e:
        log.warning("training with fewer voices: %s", e)
        return []


def _same_words(
    grid: GridSpeaker, clips: list[Clip], config: CorpusConfig, rng: np.random.Generator
) -> list[Example]:
    """GRID sentences by synthesised voices, with the motion of the clip that says the same."""
    pairs: list[tuple[Clip, Spoken]] = []

    def drawn(count: int) -> list[Clip]:
        return [clips[i] for i in rng.permutation(len(clips))[:count]]

    def by_flite(voice: str, some: list[Clip]) -> list[Spoken]:
        return [flite(words_of(grid, c.name), voice) for c in some]

    for voice in _voices_left(config):
        some = drawn(config.flite_grid)
        pairs += zip(some, _tried(lambda v=voice, s=some: by_flite(v, s)), strict=False)  # type: ignore[misc]
    for own in installed(config.without_voice):
        if own.language == "en" and config.festival_grid:
            some = drawn(config.festival_grid)
            said = festival([words_of(grid, c.name) for c in some], own)
            pairs += [(c, s) for c, s in zip(some, said, strict=True) if s is not None]
    if config.without_voice != "espeak":
        some = drawn(config.espeak_grid)
        pairs += zip(
            some,
            _tried(lambda: espeak_corpus([words_of(grid, c.name) for c in some], config.seed)),
            strict=False,
        )
    out = []
    for clip, spoken in pairs:
        moved = transferred(clip, spoken)
        if moved is not None:
            moved = shifted(moved, rng)
            sound = other_throat(moved.samples, rng) if rng.random() < 0.3 else moved.samples
            out.append(example(disturbed(sound, rng), moved.curves, 0.7 * moved.weight, moved.phones))
    log.info("motion moved to other voices: %d of %d sentences", len(out), len(pairs))
    return out


def words_of(grid: GridSpeaker, name: str) -> str:
    """What the clip says, for a synthesiser: 'bin blue at f three soon'."""
    words = [str(w).split("(")[0].rstrip(".") for w, _ in grid.phones[name] if not str(w).startswith("<")]
    return " ".join(_LETTERS.get(w, w) for w in words)


def _taught(clips: list[Clip], config: CorpusConfig, rng: np.random.Generator) -> list[Example]:
    """Everyday words and other languages by synthesised voices, with curves of the phone teacher."""
    corpus: list[Spoken] = []
    if config.flite_sentences:
        corpus += _tried(lambda: flite_corpus(config.flite_sentences, config.seed, _voices_left(config)))
    if config.without_voice != "espeak":
        texts = sentences(config.espeak_sentences, 77 + config.seed)
        corpus += _tried(lambda: espeak_corpus(texts, config.seed))
        if config.foreign_sentences:
            corpus += _tried(lambda: foreign_corpus(config.foreign_sentences, config.seed))
    if config.festival_sentences:
        corpus += festival_corpus(config.festival_sentences, config.seed, config.without_voice)
    if not corpus:
        return []
    curves = [c.curves for c in clips]
    stacked = np.concatenate(curves)
    mean, sd = stacked.mean(axis=0), np.maximum(stacked.std(axis=0), 1e-3)
    inputs = [phone_inputs(c.phones, len(c.curves)) for c in clips]
    teacher = fit_teacher(inputs, curves, mean, sd, steps=config.teacher_steps, seed=config.seed)
    out = []
    for spoken in corpus:
        frames = int(len(spoken.samples) / SAMPLE_RATE_HZ * FRAME_RATE_HZ) + 1
        weight = np.tile(_teachable(), (frames, 1))
        motion = taught(teacher, spoken.phones, frames, mean, sd)
        out.append(varied(Clip(spoken.voice, spoken.samples, motion, weight, spoken.phones), rng))
    return out


def _teachable() -> NDArray[np.float32]:
    """[len(LEARNED)] how far the teacher is believed: not at all for what phones do not tell."""
    unknown = ("brow", "head", "mouthSmile", "mouthPress")
    return np.array([0.0 if n.startswith(unknown) else 0.6 for n in LEARNED], np.float32)

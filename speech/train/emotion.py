"""Training of the ear for feelings: `python -m animaface.speech.train.emotion --data ../shared/data`.

Acted emotions of Emo-DB, each clip also through other throats, microphones and rooms, and neutral speech of other
recordings and synthesisers, so that an unknown voice is not taken for an upset one. Needs torch (extra `train`).
"""

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import soundfile
import torch
from numpy.typing import NDArray
from rich.logging import RichHandler
from torch import Tensor, nn

from animaface.robot.face.errors import InputError
from animaface.speech.features import SAMPLE_RATE_HZ
from animaface.speech.hearing.listener import PRIOR_WINDOWS, attended
from animaface.speech.hearing.measures import FEWEST_FRAMES, N_MEASURES, WINDOW_FRAMES, measure
from animaface.speech.hearing.network import CLASSES, FORMAT, INPUTS, default_weights
from animaface.speech.hearing.voice import VoiceStream
from animaface.speech.network import METADATA_KEY
from animaface.speech.train.augment import disturbed, faster, revoiced
from animaface.speech.train.voices import FLITE_VOICES, flite, sentences

log = logging.getLogger(__name__)
Array = NDArray[np.float64]
LETTERS: Final = "NFTWAEL"
"""Emo-DB's letters in the order of CLASSES."""
NEUTRAL_SHARE: Final = 0.45
"""Weight of all borrowed neutral speech against the neutral clips of Emo-DB times their number."""


@dataclass(frozen=True)
class Settings:
    """copies: altered versions of each clip. members: networks whose likelihoods are averaged.

    temperature, unsure, sure: set on clips of speakers left out. A class shows from a likelihood of `unsure` on
    and fully from `sure` on.
    """

    copies: int = 6
    members: int = 5
    epochs: int = 14
    hidden: int = 160
    seed: int = 0
    temperature: float = 1.1
    unsure: float = 0.55
    sure: float = 0.95


@dataclass(frozen=True)
class Corpus:
    """measures[n, M] with their label, speaker, the clip they come from, and whether they are unaltered."""

    measures: Array
    label: NDArray[np.int64]
    speaker: NDArray[np.str_]
    clip: NDArray[np.str_]
    clean: NDArray[np.bool_]

    def where(self, mask: NDArray[np.bool_]) -> "Corpus":
        """The rows of a mask."""
        return Corpus(
            self.measures[mask], self.label[mask], self.speaker[mask], self.clip[mask], self.clean[mask]
        )


def emodb_clips(data: Path) -> list[Path]:
    """The clips, sorted; raises InputError without them."""
    clips = sorted((data / "emodb").glob("*.flac"))
    if not clips:
        raise InputError(f"no Emo-DB clips in {data / 'emodb'}", next_step="--data FOLDER_WITH_emodb")
    return clips


def _measures(samples: NDArray[np.float32], rng: np.random.Generator | None) -> Array:
    """Of the whole clip, or of a random part of it (0.9 s to all), as far as a listener keeps it for speech."""
    everything = VoiceStream().push(samples)
    frames = attended(everything)[-WINDOW_FRAMES:]
    if len(frames) < FEWEST_FRAMES:
        frames = everything[-WINDOW_FRAMES:]
    if rng is not None:
        size = int(rng.integers(min(54, len(frames)), len(frames) + 1))
        start = int(rng.integers(0, len(frames) - size + 1))
        frames = frames[start : start + size]
    return measure(frames)


def _altered(samples: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    out = samples
    if rng.random() < 0.6:
        out = revoiced(out, float(np.exp(rng.normal(0.0, 0.12))), float(rng.uniform(0.88, 1.14)))
    if rng.random() < 0.7:
        out = faster(out, float(rng.uniform(0.87, 1.15)))
    return disturbed(out, rng)


def _rows(
    samples: NDArray[np.float32], label: int, speaker: str, clip: str, copies: int, rng: np.random.Generator
) -> list[tuple[Array, int, str, str, bool]]:
    rows = [(_measures(samples, None), label, speaker, clip, True)]
    rows.append((_measures(samples, rng), label, speaker, clip, False))
    for _ in range(copies):
        rows.append(
            (
                _measures(_altered(samples, rng), rng if rng.random() < 0.5 else None),
                label,
                speaker,
                clip,
                False,
            )
        )
    return rows


def joined(a: Corpus, b: Corpus) -> Corpus:
    """The rows of both."""
    return Corpus(*(np.concatenate([getattr(a, f.name), getattr(b, f.name)]) for f in fields(Corpus)))


def _corpus(rows: Sequence[tuple[Array, int, str, str, bool]]) -> Corpus:
    m, label, speaker, clip, clean = zip(*rows, strict=True)
    return Corpus(np.array(m), np.array(label), np.array(speaker), np.array(clip), np.array(clean))


def emodb_corpus(data: Path, s: Settings) -> Corpus:
    """All clips of Emo-DB with their altered copies."""
    rows = []
    for k, path in enumerate(emodb_clips(data)):
        samples, _ = soundfile.read(path, dtype="float32")
        rng = np.random.default_rng([s.seed, k])
        rows += _rows(samples, LETTERS.index(path.stem[5]), path.stem[:2], path.stem, s.copies, rng)
        if k % 100 == 99:
            log.info("%d clips measured", k + 1)
    return _corpus(rows)


def neutral_corpus(data: Path, s: Settings) -> Corpus:
    """Plain speech of other people and of synthesisers; of GRID no clip that is held out."""
    rng = np.random.default_rng([s.seed, 77])
    spoken: list[tuple[str, NDArray[np.float32]]] = []
    names = sorted((data / "grid_s1" / "audio").glob("*.flac"))
    kept = [p for i, p in enumerate(names) if i % 9]
    for path in [kept[i] for i in rng.permutation(len(kept))[:90]]:
        samples, _ = soundfile.read(path, dtype="float32")
        loud = np.flatnonzero(np.abs(samples) > 0.05 * np.abs(samples).max())
        spoken.append(("grid", samples[max(0, loud[0] - 800) : loud[-1] + 800]))
    for voice in FLITE_VOICES:
        spoken += [(voice, flite(text, voice).samples) for text in sentences(14, 5)]
    rows: list[tuple[Array, int, str, str, bool]] = []
    for k, (speaker, samples) in enumerate(spoken):
        start = int(rng.integers(0, max(1, len(samples) - 2 * SAMPLE_RATE_HZ)))
        part = samples[start : start + 2 * SAMPLE_RATE_HZ]
        if len(part) >= SAMPLE_RATE_HZ:
            rows += _rows(part, 0, speaker, f"{speaker}{k}", 3, rng)
    return _corpus(rows)


class FeelingNet(nn.Module):
    """measures, usual[B, M] and known[B, 1] -> logits[B, 7]; scales are inside."""

    mean: Tensor
    scale: Tensor

    def __init__(self, mean: Array, scale: Array, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32))
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32))
        self.drop = nn.Dropout(0.25)
        self.one = nn.Linear(2 * N_MEASURES + 1, hidden)
        self.mid = nn.Dropout(0.5)
        self.two = nn.Linear(hidden, len(CLASSES))

    def forward(self, measures: Tensor, usual: Tensor, known: Tensor) -> Tensor:
        """measures[B, M], how the speaker usually measures [B, M], how well they are known [B, 1] -> logits [B, classes]."""
        absolute = ((measures - self.mean) / self.scale).clamp(-5, 5)
        relative = ((measures - usual) / self.scale).clamp(-5, 5)
        x = self.drop(torch.cat([absolute, relative], dim=1))
        out: Tensor = self.two(self.mid(torch.relu(self.one(torch.cat([x, known], dim=1)))))
        return out


class Ensemble(nn.Module):
    """Mean likelihood of the members, sharpened by the temperature."""

    def __init__(self, members: Sequence[FeelingNet], temperature: float = 1.0) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.temperature = temperature

    def forward(self, measures: Tensor, usual: Tensor, known: Tensor) -> Tensor:
        """As a member's, to likelihoods [B, classes]."""
        logits = [torch.log_softmax(m(measures, usual, known), dim=1) for m in self.members]
        return torch.softmax(torch.stack(logits).mean(dim=0) / self.temperature, dim=1)


class _Baselines:
    """Draws what a listener might know of a speaker: nothing, or some windows, neutral ones rather than others."""

    def __init__(self, corpus: Corpus, population: Array, rng: np.random.Generator) -> None:
        self._c, self._population, self._rng = corpus, population, rng
        rows = {s: np.flatnonzero((corpus.speaker == s) & corpus.clean) for s in set(corpus.speaker.tolist())}
        self._all = rows
        self._neutral = {s: i[corpus.label[i] == 0] for s, i in rows.items()}

    def draw(self, row: int) -> tuple[Array, float]:
        """(baseline, how much is known of it) for the speaker of a row."""
        c, rng = self._c, self._rng
        if rng.random() <= 0.3:
            return self._population, 0.0
        pool, neutral = self._all[str(c.speaker[row])], self._neutral[str(c.speaker[row])]
        plain = rng.random(count := int(rng.integers(1, 25))) < (rng.random() if len(neutral) else 0.0)
        drawn = np.concatenate(
            [
                rng.choice(neutral if len(neutral) else pool, int(plain.sum())),
                rng.choice(pool, count - int(plain.sum())),
            ]
        )
        drawn = drawn[c.clip[drawn] != c.clip[row]]
        weight = np.where(c.label[drawn] == 0, 1.0, rng.uniform(0.25, 0.8, len(drawn)))
        total = PRIOR_WINDOWS * self._population + weight @ c.measures[drawn]
        known = float(weight.sum())
        return total / (PRIOR_WINDOWS + known), known / (PRIOR_WINDOWS + known)


def fit(corpus: Corpus, s: Settings) -> tuple[Ensemble, Array]:
    """Train on a corpus -> (network, population[M])."""
    torch.set_num_threads(1)
    per_speaker = [
        corpus.measures[(corpus.speaker == n) & corpus.clean].mean(axis=0)
        for n in sorted(set(corpus.speaker.tolist()))
    ]
    population = np.mean(per_speaker, axis=0)
    emo = np.char.isnumeric(corpus.speaker)
    scale = corpus.measures[emo].std(axis=0) + 1e-6
    count = np.array([(corpus.label[emo] == c).sum() for c in range(len(CLASSES))], dtype=float)
    weight = (count.sum() / len(CLASSES) / np.maximum(count, 1.0))[corpus.label] ** 0.7
    weight[~emo] *= NEUTRAL_SHARE * count[0] / max(1, int((~emo).sum()))
    members = [_member(corpus, population, scale, weight, s, k) for k in range(s.members)]
    return Ensemble(members, s.temperature).eval(), population


def _member(
    corpus: Corpus, population: Array, scale: Array, weight: Array, s: Settings, k: int
) -> FeelingNet:
    torch.manual_seed(1000 * s.seed + k)
    rng = np.random.default_rng([s.seed, k, 3])
    base = _Baselines(corpus, population, rng)
    net = FeelingNet(population, scale, s.hidden)
    batch, rows = 64, len(corpus.label)
    steps = s.epochs * rows // batch
    optimiser = torch.optim.AdamW(net.parameters(), 2e-3, weight_decay=0.03)
    pace = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for _ in range(steps):
        i = rng.integers(0, rows, batch)
        drawn = [base.draw(int(r)) for r in i]
        inputs = [corpus.measures[i], np.array([d[0] for d in drawn]), np.array([[d[1]] for d in drawn])]
        logits = net(*(torch.tensor(x, dtype=torch.float32) for x in inputs))
        each = nn.functional.cross_entropy(
            logits, torch.tensor(corpus.label[i]), reduction="none", label_smoothing=0.05
        )
        loss = (each * torch.tensor(weight[i], dtype=torch.float32)).mean()
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        pace.step()
    return net.eval()


def likelihoods(net: Ensemble, measures: Array, usual: Array, known: Array) -> Array:
    """[n, 7] of measures[n, M], usual[n, M], known[n]."""
    with torch.no_grad():
        rows = (measures, usual, known[:, None])
        return np.asarray(
            net(*(torch.tensor(x, dtype=torch.float32) for x in rows)).numpy(), dtype=np.float64
        )


def export(net: Ensemble, population: Array, path: Path, facts: dict[str, Any]) -> None:
    """Write the weights as ONNX with `facts` in their metadata."""
    example = (torch.zeros(1, N_MEASURES), torch.zeros(1, N_MEASURES), torch.zeros(1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        net,
        example,
        str(path),
        input_names=list(INPUTS),
        output_names=["likelihoods"],
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key = METADATA_KEY
    kept = {
        "format": FORMAT,
        "classes": list(CLASSES),
        "measures": N_MEASURES,
        "population": population.tolist(),
    }
    entry.value = json.dumps(kept | facts)
    onnx.save(model, str(path))
    log.info("%s: %.2f MB", path, path.stat().st_size / 1e6)


def main(data: Path, out: Path | None = None, *, leave_out: str = "", **settings: Any) -> Path:
    """Train from the folder `data` (holding emodb/ and grid_s1/) and write the weights; returns their path.

    leave_out: an Emo-DB speaker who is not trained on. `settings` change fields of Settings. Raises InputError
    when the data is missing.
    """
    s, path = Settings(**settings), out or default_weights()
    acted = emodb_corpus(data, s)
    net, population = fit(joined(acted.where(acted.speaker != leave_out), neutral_corpus(data, s)), s)
    export(net, population, path, facts(s, sorted(set(acted.speaker.tolist()) - {leave_out})))
    return path


def facts(s: Settings, speakers: Sequence[str]) -> dict[str, Any]:
    """What the metadata of the weights tells of their training."""
    return {"unsure": s.unsure, "sure": s.sure, "speakers": list(speakers), "settings": asdict(s),
            "data": ["Emo-DB (Burkhardt et al. 2005)", "GRID s1, not the held-out clips", "flite voices"]}  # fmt: skip


if __name__ == "__main__":
    ap = argparse.ArgumentParser(
        prog="python -m animaface.speech.train.emotion",
        description="Train the ear for feelings. Example: python -m animaface.speech.train.emotion --data ../shared/data",
    )
    ap.add_argument("--data", type=Path, required=True, help="folder that holds emodb/ and grid_s1/")
    ap.add_argument("--out", type=Path, help="ONNX file to write (default: the package's weights)")
    ap.add_argument("--leave-out", default="", help="Emo-DB speaker to leave out, such as 03")
    for f in fields(Settings):
        ap.add_argument(f"--{f.name}", type=type(f.default), help="instead of the default")
    given = {k: v for k, v in vars(ap.parse_args()).items() if v is not None}
    logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[RichHandler(show_path=False)])
    main(given.pop("data"), given.pop("out", None), **given)

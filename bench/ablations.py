"""What each part of the speech training is worth: the same short training, each time with one thing changed.

    python bench/ablations.py --cache FOLDER [--only NAME ...] [--steps 600] [--batch 24] [--data ../shared/data]

Every row is trained alike from the config of the shipped weights, but for fewer steps (a fifth of them the finish) of
fewer rows, and but for its one change; gains are set and the closure layer is put on as in the product. The base has
its films as they came and no opening in the loss: what these bring stands in rows of their own. So rows compare with
the base row, not with the shipped weights. "base, another seed" tells how much chance alone makes of it.

Scored on the tuning clips (the held-out hundred are never read), on the same clips by three other throats, and on
their sentences by flite's slt, which only the row without it has never heard (leave-voice-out). r and aperture r as
in strangers.py, beside what the next clip's prediction reaches; variance = of the network's curves before the gains,
as a share of the real one, median of the shapes. "in time": r and aperture r where the tuning clips' films that are
out of time with their sound are moved to it (rows that ran before this was counted lack it). Look-ahead is shifted by whole sub-frames of sound (8 ms).
Writes bench/results/ablations.json after every row; rows of the same length that are there already stay.
"""

import argparse
import json
import logging
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from strangers import SCORED, SHAPES, scored, throats, voices

from animaface.robot.face.arkit import CHANNEL_NAMES
from animaface.robot.face.take import Take
from animaface.speech.features import features_of
from animaface.speech.mouth import MouthRules
from animaface.speech.phones import N_PHONES
from animaface.speech.train.corpus import CorpusConfig, Groups, cached
from animaface.speech.train.dataset import CHANNELS, Example, hearing_ahead
from animaface.speech.train.gains import Heard, gains
from animaface.speech.train.grid import Clip, GridSpeaker, phone_track, training, validation
from animaface.speech.train.model import N_TOUCHES
from animaface.speech.train.recipe import CONFIG, Recipe, fitted, move_films
from animaface.speech.train.score import Sealed

HERE = Path(__file__).resolve().parent
FINISH_SHARE: Final = 0.2
_COLUMNS: Final = np.array([CHANNEL_NAMES.index(c) for c in CHANNELS])
Array = NDArray[np.float32]
Result = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """One change: settings of the recipe, and groups of examples that are left out."""

    changes: dict[str, Any] = field(default_factory=dict)
    without: tuple[str, ...] = ()


_FILMS: Final = {"film_steps": 400, "broken_off_clips": 80}
_BEFORE: Final = {"film_steps": 0, "broken_off_clips": 0, "opening_weight": 0.0}
ROWS: Final = {
    "base": Row(),
    "plain squared error": Row(
        {"coarticulation_share": 0.0, "correlation_weight": 0.0, "velocity_weight": 0.0}
    ),
    "no augmentation of GRID": Row({"masked_share": 0.0}, ("varied",)),
    "GRID only, no other voices": Row(without=("transferred", "taught")),
    "look-ahead 0 ms": Row({"look_ahead_s": 0.0}),
    "look-ahead 20 ms": Row({"look_ahead_s": 0.02}),
    "look-ahead 80 ms": Row({"look_ahead_s": 0.08}),
    "look-ahead 160 ms": Row({"look_ahead_s": 0.16}),
    "without the voice slt": Row({"without_voice": "slt"}),
    "base, another seed": Row({"seed": 2}),
    "no weight on moments of motion": Row({"coarticulation_share": 0.0}),
    "no correlation in the loss": Row({"correlation_weight": 0.0}),
    "films in time": Row(_FILMS),
    "films in time, opening in the loss": Row(_FILMS | {"opening_weight": 0.4}),
}


class Trained:
    """A trained network with its gains and the layers of the product: samples[n] -> values[T, 55]."""

    def __init__(self, groups: Groups, recipe: Recipe, clips: int) -> None:
        self.look_ahead_s = recipe.look_ahead_s
        self.net, self.mean, self.sd = fitted(groups, recipe)
        heard = [Heard.of(self.net, self.mean, self.sd, e) for e in groups["real"][:clips]]
        self.gain, self.offset = gains(heard, self.mean, recipe.variance_wanted)

    def raw(self, samples: NDArray[np.floating]) -> tuple[Array, Array]:
        """curves[T, C] before the gains, logits[T, 2 P + 2]."""
        features = features_of(samples)
        none, still = np.zeros((len(features), 0), np.float32), np.zeros(len(features), np.int64)
        heard = hearing_ahead(Example(features, none, none, still, still), self.look_ahead_s).features
        with torch.no_grad():
            curves, logits, *_ = self.net(torch.from_numpy(heard)[None], *self.net.initial(1))
        return curves[0].numpy() * self.sd + self.mean, logits[0].numpy()

    def shown(self, curves: Array, logits: Array) -> Array:
        """values[T, 55] of what `raw` gave."""
        now = torch.softmax(torch.from_numpy(logits[:, :N_PHONES]), dim=1).numpy()
        touch = 1.0 / (1.0 + np.exp(-logits[:, 2 * N_PHONES : 2 * N_PHONES + N_TOUCHES]))
        return MouthRules(_COLUMNS).apply(curves * self.gain + self.offset, now, touch)

    def __call__(self, samples: NDArray[np.floating]) -> Array:
        """values[T, 55] of 16 kHz samples."""
        return self.shown(*self.raw(samples))


def closures(clips: list[Clip], say: Trained) -> Result:
    """m b p shut for 40 ms, open vowels shut inside, phones named right, and the variance before the gains."""
    counts, right, frames = Sealed(), 0, 0
    columns = [CHANNELS.index(c) for c in SCORED]
    variances = []
    for clip in clips:
        curves, logits = say.raw(clip.samples)
        values = say.shown(curves, logits)
        counts.add(Take(np.arange(len(values)) / 60, values.astype(float)), clip.phones)
        told = logits[:, :N_PHONES].argmax(axis=1)
        right += int((told == phone_track(clip.phones, len(told))).sum())
        frames += len(told)
        variances.append((curves[:, columns].var(axis=0), clip.curves[:, : len(columns)].var(axis=0)))
    found = counts.result()
    ours, real = np.mean(variances, axis=0)
    return {
        "sealed": found["bilabial_sealed"], "open_vowel_sealed": found["open_vowel_sealed"],
        "phone_frames_right": round(right / frames, 4),
        "variance_before_gains": round(float(np.median(ours / real)), 3),
    }  # fmt: skip


def examples(grid: GridSpeaker, row: Row, recipe: Recipe, cache: Path | None, base: Groups) -> Groups:
    """The row's groups: the base's, but for what it leaves out or makes anew."""
    groups = dict(base)
    if recipe.film_steps:
        groups = cached(grid, training(grid.clips), recipe.part(CorpusConfig), cache)
    if recipe.without_voice:
        other = replace(recipe.part(CorpusConfig), grid_variants=0)
        groups |= {
            k: v
            for k, v in cached(grid, training(grid.clips), other, cache).items()
            if k in ("transferred", "taught")
        }
    return {
        k: [hearing_ahead(e, recipe.look_ahead_s) for e in v]
        for k, v in groups.items()
        if k not in row.without
    }


def measured(say: Trained, heard: dict[str, list[Clip]]) -> Result:
    """One row's numbers."""
    own = heard["as recorded"]
    by = {who: scored(clips, say) for who, clips in heard.items()}
    far = [by[who] for who in by if who not in ("as recorded", "in time", "flite slt")]
    return {
        **by["as recorded"], **closures(own, say),
        "other_throats_r": round(float(np.mean([s["r_mean"] for s in far])), 4),
        "other_throats_aperture": round(float(np.mean([s["r_aperture"] for s in far])), 4),
        "in_time_r": by["in time"]["r_mean"], "in_time_aperture": by["in time"]["r_aperture"],
        "slt_r": by["flite slt"]["r_mean"], "slt_aperture": by["flite slt"]["r_aperture"],
        "slt_another_clips_r": by["flite slt"]["another_clips_r_mean"],
        "slt_another_clips_aperture": by["flite slt"]["another_clips_r_aperture"],
    }  # fmt: skip


def show(results: Result) -> None:
    """The table."""
    table = Table(
        "trained with", "r (another clip's)", "aperture r (another clip's)", "m b p / open vowels sealed",
        "variance", "other throats r / aperture", "slt r / aperture", "in time",
        title=f"{results['steps']} steps of {results['batch']} rows each",
    )  # fmt: skip
    for name, s in results["rows"].items():
        table.add_row(
            name,
            *(f"{s[k]:.3f} ({s['another_clips_' + k]:.3f})" for k in ("r_mean", "r_aperture")),
            f"{s['sealed']:.3f} / {s['open_vowel_sealed']:.3f}",
            f"{s['variance_before_gains']:.2f}",
            f"{s['other_throats_r']:.3f} / {s['other_throats_aperture']:.3f}",
            f"{s['slt_r']:.3f} / {s['slt_aperture']:.3f}",
            f"{s['in_time_r']:.3f} / {s['in_time_aperture']:.3f}" if "in_time_r" in s else "",
        )
    Console(width=140).print(table)


def main() -> None:
    """Train, score, write after each."""
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    ap.add_argument("--cache", type=Path, help="folder that keeps the prepared examples")
    ap.add_argument("--steps", type=int, default=600)
    ap.add_argument("--batch", type=int, default=24)
    ap.add_argument("--only", nargs="*", choices=list(ROWS), default=list(ROWS))
    ap.add_argument("--out", type=Path, default=HERE / "results" / "ablations.json")
    a = ap.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    grid = GridSpeaker(a.data / "grid_s1", for_training=True)
    names, tuning = training(grid.clips), validation(grid.clips)
    finish = round(FINISH_SHARE * a.steps)
    shipped = Recipe.from_file(CONFIG)
    average = 1.0 - (1.0 - shipped.average) * shipped.steps / (
        a.steps - finish
    )  # over the same share of the steps
    short = {"steps": a.steps - finish, "finish_steps": finish, "batch": a.batch, "average": average}
    plain = replace(shipped, **short, **_BEFORE)
    base = cached(grid, names, plain.part(CorpusConfig), a.cache)
    heard = {
        **{who: clips if who == "as recorded" else clips[::2] for who, clips in throats(grid, tuning)},
        **dict([next(voices(grid, tuning, None))]),
    }
    move_films(grid, shipped)
    heard["in time"] = [grid.clip(n, SHAPES) for n in tuning]
    late_s, grid.late_s = grid.late_s, {}
    results: Result = json.loads(a.out.read_text(encoding="utf-8")) if a.out.is_file() else {}
    how = {"steps": a.steps, "finish_steps": finish, "batch": a.batch, "tuning_clips": len(tuning)}
    if {k: results.get(k) for k in how} != how:
        results = {**how, "rows": {}}
    for name in a.only:
        recipe, started = replace(plain, **ROWS[name].changes), time.perf_counter()
        grid.late_s = late_s if recipe.film_steps else {}
        groups = examples(grid, ROWS[name], recipe, a.cache, base)
        say = Trained(groups, recipe, len(names))
        minutes = round((time.perf_counter() - started) / 60, 1)
        told = {"changes": ROWS[name].changes, "without": list(ROWS[name].without), "minutes": minutes}
        results["rows"][name] = {**told, **measured(say, heard)}
        a.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
        show(results)


if __name__ == "__main__":
    main()

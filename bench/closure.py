"""Settings of the closure layer, tried on tuning clips and on voices: sealed when needed, open otherwise.

    python bench/closure.py [--weights FILE] [--data ../shared/data]

Counted with speech/train/score.py per group of voices: m b p shut for 40 ms, open vowels shut inside, and how
much of all other speech is shut. Aperture r (its mean over the clips) where there is a film: GRID's tuning clips.
The held-out clips and the LibriVox sentences are not looked at. Writes bench/results/closure.json.
"""

import argparse
import json
from dataclasses import asdict, dataclass, replace
from itertools import product
from pathlib import Path
from typing import Final

import languages
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from strangers import SHAPES, curves_of

from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS
from animaface.robot.face.take import Take
from animaface.speech.closure import ClosureLayer, ClosureSettings
from animaface.speech.features import features_of
from animaface.speech.network import NetworkOutput, SpeechNetwork
from animaface.speech.onestep import OneStep
from animaface.speech.phones import BILABIAL, phone_class
from animaface.speech.train.espeak import shared_espeak
from animaface.speech.train.festival import festival, installed, texts_of
from animaface.speech.train.grid import GridSpeaker, validation
from animaface.speech.train.score import Sealed, sealed
from animaface.speech.train.voices import FLITE_VOICES, Spoken, flite, sentences

HERE = Path(__file__).resolve().parent
_COLUMNS: Final = [ARKIT_INDEX[n] for n in SHAPES]
_SEED: Final = 9901
"""Texts that no training has drawn."""
SHIPPED: Final = ClosureSettings()
TRIED: Final = [
    *(replace(SHIPPED, certain=c, release_frames=r) for c, r in product((0.14, 0.2), (1.5, 2.5, 3.5))),
    *(replace(SHIPPED, attack_frames=attack) for attack in (1.25, 2.25)),
    *(replace(SHIPPED, least_frames=least) for least in (3.5, 4.5)),
    *(replace(SHIPPED, sealed_by_jaw=share) for share in (0.6, 1.0)),
    *(replace(SHIPPED, sealed_lift=lift) for lift in (0.0, 0.02)),
    replace(SHIPPED, sealed_gap=0.024),
    replace(SHIPPED, fading_certain=0.6),
]


@dataclass(frozen=True)
class Heard:
    """A recording as the network hears it; `real`[T, len(SHAPES)] where there is a film of it."""

    curves: NDArray[np.float32]
    output: NetworkOutput
    phones: list[tuple[str, float, float]]
    real: NDArray[np.float32] | None = None


def heard(network: SpeechNetwork, spoken: Spoken, real: NDArray[np.float32] | None = None) -> Heard:
    """The network's output without the layer."""
    output = OneStep(network).run(features_of(spoken.samples))
    curves = np.zeros((len(output.curves), N_CHANNELS), np.float32)
    curves[:, network.columns] = output.curves
    return Heard(curves, output, spoken.phones, real)


def groups(network: SpeechNetwork, data: Path) -> dict[str, list[Heard]]:
    """Tuning clips, and the voices that are installed, by kind."""
    grid = GridSpeaker(data / "grid_s1")
    clips = [grid.clip(n, SHAPES) for n in validation(grid.clips)]
    out = {"GRID": [heard(network, Spoken(c.name, c.samples, c.phones), c.curves) for c in clips]}
    out["flite"] = [heard(network, flite(t, v)) for v in FLITE_VOICES for t in sentences(6, _SEED)]
    out["festival"] = [
        heard(network, s)
        for v in installed()
        for s in festival(texts_of(v.language, 14, _SEED)[-4:], v)
        if s is not None
    ]
    out["espeak"] = [
        heard(network, shared_espeak().say(text, language + throat, words_a_minute=160))
        for language, texts in languages.SENTENCES.items()
        for throat in languages.THROATS
        for text in texts
    ]
    return out


def tried(settings: ClosureSettings, items: list[Heard]) -> dict[str, float]:
    """Shares of one group with these settings."""
    counts, r, shut, speech = Sealed(), [], 0, 0
    for item in items:
        values = ClosureLayer(settings).apply(item.curves, item.output.now, item.output.touch)
        t = np.arange(len(values)) / 60
        take = Take(t, values.astype(float))
        counts.add(take, item.phones)
        other = np.zeros(len(t), bool)
        for name, start, end in item.phones:
            other |= (t >= start) & (t < end) & (phone_class(name) != "SIL")
        for name, start, end in item.phones:
            if phone_class(name) in BILABIAL:
                other &= (t < start - 0.04) | (t > end + 0.04)
        shut += int((sealed(take, t) & other).sum())
        speech += int(other.sum())
        if item.real is not None:
            n = min(len(values), len(item.real))
            ours, real = curves_of(values[:n, _COLUMNS])["aperture"], curves_of(item.real[:n])["aperture"]
            r.append(float(np.corrcoef(ours, real)[0, 1]))
    told = counts.result()
    out = {
        "sealed": told["bilabial_sealed"],
        "open_vowel_sealed": told["open_vowel_sealed"],
        "other_speech_sealed": round(shut / max(speech, 1), 4),
    }
    return out | ({"aperture_r": round(float(np.mean(r)), 4)} if r else {})


def main() -> None:
    """Try, print, write."""
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--weights", type=Path)
    ap.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    ap.add_argument("--out", type=Path, default=HERE / "results" / "closure.json")
    a = ap.parse_args()
    network = SpeechNetwork(a.weights)
    voices = groups(network, a.data)
    table = Table(
        "doubt, certain",
        "least, attack, release",
        "lift, gap, by jaw, fading",
        *voices,
        title="m b p / open vowels / other speech shut",
    )
    results = []
    for s in [SHIPPED, *(t for t in TRIED if t != SHIPPED)]:
        found = {name: tried(s, items) for name, items in voices.items()}
        results.append({"settings": asdict(s), **found})
        cells = [" / ".join(f"{x:.3f}" for x in f.values()) for f in found.values()]
        table.add_row(
            f"{s.doubt}, {s.certain}",
            f"{s.least_frames:g}, {s.attack_frames:g}, {s.release_frames:g}",
            f"{s.sealed_lift:g}, {s.sealed_gap:g}, {s.sealed_by_jaw:g}, {s.fading_certain:g}",
            *cells,
        )
    Console(width=150).print(table)
    a.out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

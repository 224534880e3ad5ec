"""Feeling heard in the voice: python bench/emotion_heard.py [--data ../shared/data] [--fast]

Leave one speaker out on Emo-DB: for each of the eight speakers a network is trained without them, then the real
streaming listener hears their clips, which are 2 s long. `cold`: each clip by itself, the speaker unknown. `met`:
all clips of the speaker in a random order with pauses, so that the running baseline comes to know them. What counts
is the judgement that stands at the end of the clip's 2 s. Plain speech: share of the time that any emotion is shown
above .3 (Emo-DB's neutral clips by the networks without their speaker; GRID's held-out clips and LibriVox by the
shipped network). The thresholds used for a speaker are chosen on the other seven, each heard by a network that was
not trained on them: nobody's neutral clips choose their own threshold. --fast leaves the training out and does only the last. Writes bench/results/emotion_heard.json.
Some ten minutes on a free core.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from animaface.speech.hearing import CLASSES, FeelingListener
from animaface.speech.hearing.listener import Shown
from animaface.speech.hearing.network import FeelingNetwork
from animaface.speech.sound import SAMPLE_RATE_HZ, read_sound

OUT = Path(__file__).parent / "results" / "emotion_heard.json"
LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
SHOWN = 0.3
UNSURE, WIDTH = np.arange(0.31, 0.72, 0.04), 0.4
"""Thresholds tried, and how far above `unsure` a class is sure."""
AIM = 0.035
"""Share of neutral speech wanted on the speakers who choose."""
ORDERS = 2
PAUSE_S = 1.8
Samples = NDArray[np.float32]


def load(path: Path) -> Samples:
    """16 kHz mono."""
    return np.asarray(soundfile.read(path, dtype="float32")[0], np.float32)


def pause(seconds: float, rng: np.random.Generator) -> Samples:
    """Faint noise."""
    return np.asarray(rng.normal(0.0, 1e-4, int(seconds * SAMPLE_RATE_HZ)), np.float32)


def told(network: FeelingNetwork, clips: list[Samples], rng: np.random.Generator) -> list[int]:
    """What one listener says at the end of each of the clips, heard one after another."""
    listener, out = FeelingListener(network), []
    for samples in clips:
        feeling = listener.push(samples)
        out.append(int(feeling.classes[-1].argmax()))
        listener.push(pause(PAUSE_S, rng))
    return out


def shown_share(network: FeelingNetwork, clips: list[Samples], rng: np.random.Generator) -> float:
    """Share of the time of the clips, heard one after another, with an emotion shown above SHOWN."""
    listener, shown = FeelingListener(network), []
    for samples in clips:
        shown.append(listener.push(samples).intensity.max(axis=1) > SHOWN)
        listener.push(pause(0.5, rng))
    return float(np.concatenate(shown).mean())


def beliefs(
    network: FeelingNetwork, clips: list[Samples], rng: np.random.Generator
) -> list[NDArray[np.float64]]:
    """[K, 7] what one listener believes during each of the clips, heard one after another."""
    listener, out = FeelingListener(network), []
    for samples in clips:
        out.append(listener.push(samples).belief)
        listener.push(pause(0.5, rng))
    return out


def shown_with(believed: list[NDArray[np.float64]], unsure: float) -> float:
    """Share of the time above SHOWN with a threshold."""
    shown = Shown(unsure, unsure + WIDTH)
    return float(np.mean([shown.step(row).max() > SHOWN for part in believed for row in part]))


def least_unsure(others: list[list[NDArray[np.float64]]]) -> float:
    """The lowest threshold that keeps the neutral speech of these speakers neutral."""
    shares = [float(np.mean([shown_with(b, float(u)) for b in others])) for u in UNSURE]
    fit = [float(u) for u, share in zip(UNSURE, shares, strict=True) if share <= AIM]
    return fit[0] if fit else float(UNSURE[-1])


def recall(right: list[tuple[int, int]]) -> dict[str, float]:
    """Per class and unweighted, of (label, told)."""
    table = np.array(right)
    each = {c: float((table[table[:, 0] == i, 1] == i).mean()) for i, c in enumerate(CLASSES)}
    return {**each, "unweighted": float(np.mean(list(each.values())))}


def interval(rows: list[tuple[int, int]], clip_of: list[str], draws: int = 1000) -> list[float]:
    """95 % of the unweighted recall by drawing clips again."""
    rng, table, clips = np.random.default_rng(0), np.array(rows), np.array(clip_of)
    names, where = np.unique(clips, return_inverse=True)
    out = []
    for _ in range(draws):
        count = np.bincount(rng.integers(0, len(names), len(names)), minlength=len(names))[where]
        hit = [(count * (table[:, 0] == i) * (table[:, 1] == i)).sum() / max(1, (count * (table[:, 0] == i)).sum())
               for i in range(len(CLASSES))]  # fmt: skip
        out.append(np.mean(hit))
    return [float(q) for q in np.percentile(out, [2.5, 97.5])]


def leave_one_out(data: Path) -> dict[str, Any]:
    """Train eight times, hear those left out."""
    from animaface.speech.train import emotion as train

    s = train.Settings()
    acted, plain = train.emodb_corpus(data, s), train.neutral_corpus(data, s)
    clips = {p.stem: load(p) for p in train.emodb_clips(data)}
    cold: list[tuple[int, int]] = []
    met: list[tuple[int, int]] = []
    names: dict[str, list[str]] = {"cold": [], "met": []}
    plain_b: list[list[NDArray[np.float64]]] = []
    felt_b: list[list[NDArray[np.float64]]] = []
    for speaker in sorted(set(acted.speaker.tolist())):
        net, population = train.fit(train.joined(acted.where(acted.speaker != speaker), plain), s)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "emotion.onnx"
            train.export(net, population, path, train.facts(s, []))
            network = FeelingNetwork(path)
        own = [n for n in sorted(clips) if n.startswith(speaker)]
        rng = np.random.default_rng(0)
        for name in own:
            cold.append((train.LETTERS.index(name[5]), told(network, [clips[name]], rng)[0]))
        names["cold"] += own
        for _ in range(ORDERS):
            order = [str(n) for n in rng.permutation(own)]
            said = told(network, [clips[n] for n in order], rng)
            met += [(train.LETTERS.index(n[5]), c) for n, c in zip(order, said, strict=True)]
            names["met"] += order
        plain_b.append(beliefs(network, [clips[n] for n in own if n[5] == "N"], rng))
        felt_b.append(beliefs(network, [clips[n] for n in own if n[5] not in "NL"], rng))
        Console().print(f"{speaker}: cold so far {recall(cold)['unweighted']:.3f}")
    chosen = [least_unsure(plain_b[:k] + plain_b[k + 1 :]) for k in range(len(plain_b))]
    neutral = [shown_with(b, u) for b, u in zip(plain_b, chosen, strict=True)]
    felt = [shown_with(b, u) for b, u in zip(felt_b, chosen, strict=True)]
    return {
        "unsure_chosen_without_each": chosen, "unsure_of_all": least_unsure(plain_b),
        "neutral_shown_share_each": neutral,
        "cold": recall(cold), "cold_interval": interval(cold, names["cold"]), "met": recall(met),
        "met_interval": interval(met, names["met"]), "neutral_shown_share": float(np.mean(neutral)),
        "emotional_shown_share": float(np.mean(felt)), "speakers": len(chosen),
    }  # fmt: skip


def plain_speech(data: Path) -> dict[str, float]:
    """Of the shipped network: where nothing should be shown, and what it costs."""
    network, rng = FeelingNetwork(), np.random.default_rng(0)
    names = sorted((data / "grid_s1" / "audio").glob("*.flac"))[::9]
    out = {"grid_held_out_shown_share": shown_share(network, [load(p) for p in names[:60]], rng)}
    if LIBRIVOX.is_dir():
        readings = [read_sound(p).samples for p in sorted(LIBRIVOX.glob("*.wav"))]
        out["librivox_shown_share"] = shown_share(network, readings, rng)
    noise = np.asarray(rng.normal(0.0, 0.05, 30 * SAMPLE_RATE_HZ), np.float32)
    out["noise_shown_share"] = shown_share(network, [noise], rng)
    began_s = time.process_time()
    listener, sound = FeelingListener(network), np.concatenate([load(p) for p in names[:20]])
    for i in range(0, len(sound), 1600):
        listener.push(sound[i : i + 1600])
    out["cost_ms_per_s"] = (time.process_time() - began_s) * 1e3 * SAMPLE_RATE_HZ / len(sound)
    return out


def main() -> None:
    """Command line."""
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, default=Path("../shared/data"))
    ap.add_argument("--fast", action="store_true", help="only the shipped network on plain speech")
    given = ap.parse_args()
    results: dict[str, Any] = json.loads(OUT.read_text(encoding="utf-8")) if OUT.is_file() else {}
    if not given.fast:
        results |= leave_one_out(given.data)
    results |= plain_speech(given.data)
    table = Table("what", "measured", "wanted", title="Feeling heard")
    for key in ("cold", "met"):
        if key in results:
            low, high = results[f"{key}_interval"]
            each = " ".join(f"{n[:4]} {v:.2f}" for n, v in results[key].items() if n != "unweighted")
            table.add_row(
                f"unweighted recall, speaker {key}",
                f"{results[key]['unweighted']:.3f} ({low:.3f}-{high:.3f})",
                ".72",
            )
            table.add_row("", each, "")
    for key in (k for k in results if k.endswith("share")):
        table.add_row(key, f"{results[key]:.3f}", "" if key.startswith("emotional") else "<= .05")
    table.add_row("cost, ms a second of sound", f"{results['cost_ms_per_s']:.2f}", "")
    Console().print(table)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The speech network against real captures, and against a jaw that follows loudness.

    python bench/speech.py [--data ../shared/data] [--split held-out|validation] [--weights FILE]

Clips of the GRID speaker that were never trained or tuned on. Counted by ../shared/tools/eval_speech.py;
the absolute closure and the speed are counted here. Prints a table and writes bench/results/speech.json.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from animaface.robot.face.take import Take, from_channels, write_csv
from animaface.speech.features import SAMPLE_RATE_HZ
from animaface.speech.network import SpeechNetwork
from animaface.speech.stream import SpeechStream, predict
from animaface.speech.train.grid import GridSpeaker, held_out, validation
from animaface.speech.train.score import Sealed, lip_teeth_gap

HERE = Path(__file__).resolve().parent
Sound = NDArray[np.float32]


def loudness_jaw(samples: Sound) -> Take:
    """The rule to beat: the jaw follows the smoothed level of the voice."""
    times = np.arange(int(len(samples) / SAMPLE_RATE_HZ * 60) + 1) / 60
    energy = np.convolve(samples.astype(float) ** 2, np.hanning(1600) / np.hanning(1600).sum(), "same")
    at = np.minimum((times * SAMPLE_RATE_HZ).astype(int), len(samples) - 1)
    level = np.sqrt(np.maximum(energy[at], 0))
    return from_channels(times, {"jawOpen": np.clip(2.5 * level, 0, 1)})


def scored(folder: Path, subset: Path, tool: Path) -> dict[str, object]:
    """What eval_speech.py says of the CSV files in `folder`."""
    run = subprocess.run(
        [sys.executable, str(tool), str(folder), "--set", "grid_s1", "--held", str(subset)],
        check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    result: dict[str, object] = json.loads(run.stdout)
    return result


def write_subset(grid: GridSpeaker, names: list[str], folder: Path) -> None:
    """A grid_s1 folder of these clips only, as the scoring tool wants it."""
    out = folder / "grid_s1"
    out.mkdir(parents=True)
    rows = [grid.clips.index(n) for n in names]
    np.savez(
        out / "curves.npz", clip=np.array(names), names=np.array(grid.shape_names), scores=grid.scores[rows],
        frames=grid.frames[rows], fps=grid.fps,
    )  # fmt: skip
    (out / "phones.json").write_text(json.dumps({n: grid.phones[n] for n in names}), encoding="utf-8")


def speed(network: SpeechNetwork, samples: Sound) -> dict[str, float]:
    """Milliseconds of one core for one second of sound: whole file, and pushed in chunks."""
    out = {}
    for label, size in (("file", len(samples)), ("chunks_16ms", 256), ("chunks_100ms", 1600)):
        best = np.inf
        for _ in range(5):
            start = time.perf_counter()
            stream = SpeechStream(network=network)
            for i in range(0, len(samples), size):
                stream.push(samples[i : i + size])
            stream.flush()
            best = min(best, time.perf_counter() - start)
        out[label] = round(1000 * best / (len(samples) / SAMPLE_RATE_HZ), 2)
    return out


def main() -> None:
    """Score, print, write."""
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    ap.add_argument("--split", choices=("held-out", "validation"), default="held-out")
    ap.add_argument("--weights", type=Path)
    ap.add_argument("--out", type=Path)
    a = ap.parse_args()
    grid, network = GridSpeaker(a.data / "grid_s1"), SpeechNetwork(a.weights)
    names = held_out(grid.clips) if a.split == "held-out" else validation(grid.clips)
    tool = a.data.parent / "tools" / "eval_speech.py"
    results: dict[str, object] = {
        "split": a.split,
        "clips": len(names),
        "weights": network.metadata["training"]["date"],
    }
    with tempfile.TemporaryDirectory() as tmp:
        write_subset(grid, names, Path(tmp) / "subset")
        for who in ("ours", "loudness", "real"):
            counts, teeth, folder = Sealed(), [], Path(tmp) / who
            for name in names:
                clip = grid.clip(name, ["jawOpen", "mouthClose"])
                if who == "real":
                    times = np.arange(len(clip.curves)) / 60
                    take = from_channels(
                        times, dict(zip(("jawOpen", "mouthClose"), clip.curves.T.astype(float), strict=True))
                    )
                elif who == "ours":
                    take = predict(clip.samples, network=network).take()
                else:
                    take = loudness_jaw(clip.samples)
                write_csv(take, folder / f"{name}.csv")
                counts.add(take, clip.phones)
                teeth += lip_teeth_gap(take, clip.phones)
            score = {} if who == "real" else scored(folder, Path(tmp) / "subset", tool)
            results[who] = {
                **score,
                "absolute": counts.result(),
                "lip_teeth_gap_median": round(float(np.median(teeth)), 4),
            }
    sound = np.concatenate([grid.clip(n, ["jawOpen"]).samples for n in names[:10]])
    results["ms_per_second_of_sound"] = speed(network, sound)
    show(results)
    default = HERE / "results" / ("speech.json" if a.split == "held-out" else "speech_validation.json")
    out = a.out or default
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


def show(results: dict[str, object]) -> None:
    """The table of the issue."""
    table = Table(
        "measure",
        "ours",
        "loudness",
        "real",
        title=f"GRID speaker, {results['clips']} {results['split']} clips",
    )

    def row(label: str, get: object, real: str = "") -> None:
        cells = [str(get(results[w])) for w in ("ours", "loudness")]  # type: ignore[operator]
        table.add_row(label, *cells, real)

    row("mean r (another clip's)", lambda s: f"{s['r_mean']:.3f} ({s['shuffle_r_mean']:.3f})", "1")
    row(
        "aperture r (another clip's)", lambda s: f"{s['r_aperture']:.3f} ({s['shuffle_r_aperture']:.3f})", "1"
    )
    real = results["ours"]["closure"]  # type: ignore[index]
    row("closure m b p / other", lambda s: f"{s['closure']['pred_bilabial']} / {s['closure']['pred_other']}",
        f"{real['ref_bilabial']} / {real['ref_other']}")  # fmt: skip
    row("closure not after a pause", lambda s: s["closure"]["pred_medial"], str(real["ref_medial"]))
    for key in ("bilabial_sealed", "open_vowel_sealed", "open_vowel_sealed_wide"):
        row(key, lambda s, k=key: s["absolute"][k], str(results["real"]["absolute"][key]))  # type: ignore[index,misc]
    row(
        "f v smallest gap, median",
        lambda s: s["lip_teeth_gap_median"],
        str(results["real"]["lip_teeth_gap_median"]),
    )  # type: ignore[index]
    row("variance ratio, median", lambda s: s["var_ratio_median"], "1")
    row("jerk ratio, median", lambda s: s["jerk_ratio_median"], "1")
    row("offset ms mean, sd", lambda s: f"{s['offset_ms']['mean']}, {s['offset_ms']['sd']}", "0")
    row("energy above 12 Hz", lambda s: s["hf12_pred"])
    console = Console(width=110)
    console.print(table)
    ours = results["ours"]
    for key in ("r", "var_ratio", "jerk_ratio"):
        console.print(key, ours[key])  # type: ignore[index]
    console.print("ms of one core per second of sound:", results["ms_per_second_of_sound"])


if __name__ == "__main__":
    main()

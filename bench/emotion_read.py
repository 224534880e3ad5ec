"""Emotions read on the simulated face while it speaks, after its motors: python bench/emotion_read.py

Ten sentences with each emotion go through the speech network, the emotion layer, the face's inverse and the simulated
servos and skin. Pictures from the voiced part of each sentence are read by a general expression classifier
(npm @vladmandic/face-api, in node; this bench only): `cd bench/emotion_reader && npm install` first, or tell by
--node-modules where it is. The reading of a sentence is the mean over its pictures, each cut out both with and
without alignment. --intensities also reads at .25 and .5 (every fifth sentence). The same reader is shown portraits of
people (bench/portraits.py; --portraits alone reads nothing else). Writes bench/results/emotion_read.json and
docs/pictures/emotions.png (a strip to look at; contempt is only shown).
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from inverse import shaft_rad
from numpy.typing import NDArray
from PIL import Image
from portraits import cut_out
from rich.console import Console
from rich.table import Table

from animaface.app.motion import Motion, motion_of
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.arkit import FRAME_RATE_HZ
from animaface.sim.body.face import SimFace
from animaface.sim.plant import Drive
from animaface.sim.render.video import open_painter
from animaface.speech.perform import perform
from animaface.speech.sound import SAMPLE_RATE_HZ, Sound, read_sound

HERE = Path(__file__).resolve().parent
SAYS = {"neutral": "neutral", "happiness": "happy", "sadness": "sad", "anger": "angry", "fear": "fearful",
        "disgust": "disgusted", "surprise": "surprised"}  # fmt: skip
LONGEST_S = 2.6
LEAD_S = 0.3
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Shot:
    """One picture: of which emotion, intensity and sentence."""

    emotion: str
    intensity: float
    sentence: int
    name: str


def sentences(count: int) -> list[Sound]:
    """Of the demo's recording and LibriVox where it is installed, cut at pauses; `count` of them."""
    paths = [HERE.parent / "app" / "assets" / "demo.flac"]
    paths += sorted(Path("/usr/share/pocketsphinx/test/data/librivox").glob("*.wav"))
    out: list[Sound] = []
    for path in paths:
        samples = read_sound(path).samples
        size = int(LONGEST_S * SAMPLE_RATE_HZ)
        for start in range(0, len(samples) - size // 2, size):
            part = samples[start : start + size]
            out.append(Sound(part, len(part) / SAMPLE_RATE_HZ, SAMPLE_RATE_HZ, 1, f"{path.name} {start}"))
    order = np.linspace(0, len(out) - 1, count).round().astype(int)
    return [out[i] for i in order]


def snapshots(
    config: FaceConfig, motion: Motion, sound: Sound, emotion: str, seed: int, shots: int
) -> list[Array]:
    """Snapshots of the face at `shots` moments of the voiced part; the feeling stands before the sentence begins."""
    lead = np.zeros(int(LEAD_S * SAMPLE_RATE_HZ), np.float32)
    longer = Sound(
        np.concatenate([lead, sound.samples]), sound.duration_s + LEAD_S, SAMPLE_RATE_HZ, 1, sound.source
    )
    done = perform(longer, emotion=emotion, seed=seed)
    voiced = np.flatnonzero(done.prosody.voice[: len(done.take.time_s)] > 0)
    voiced = voiced[voiced > 0.9 * FRAME_RATE_HZ]
    open_eyes = voiced[done.take.channel("eyeBlinkLeft")[voiced] < 0.5]
    wanted = {
        int(i) for i in open_eyes[np.linspace(0, len(open_eyes) - 1, shots + 2)[1:-1].round().astype(int)]
    }
    time_s, u = motion.trajectory(done.take, 0.2)
    face, out = SimFace(config, seed=seed, timestep_s=0.004), []
    actuators = list(config.actuators.values())
    for k in range(len(u)):
        for a, x in zip(actuators, u[k], strict=True):
            face.set_drive(a.name, Drive(shaft_rad(a, float(x))))
        face.advance((k + 1) / FRAME_RATE_HZ)
        if round(time_s[k] * FRAME_RATE_HZ) in wanted:
            out.append(face.snapshot())
    return out


def read(folder: Path, modules: Path) -> dict[str, Any]:
    """What the classifier says of the pictures in a folder."""
    env = dict(os.environ) | {"NODE_PATH": str(modules)}
    done = subprocess.run(["node", str(HERE / "emotion_reader" / "read.cjs"), str(folder)], env=env, check=True,
                          capture_output=True, text=True)  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def scores(reading: dict[str, Any] | None) -> Array:
    """[7] in the order of SAYS, mean of both ways to cut the face out; no face seen counts as nothing."""
    if reading is None:
        return np.zeros(len(SAYS))
    return np.mean([[reading[cut][n] for n in SAYS.values()] for cut in ("aligned", "plain")], axis=0)


def judged(shots: list[Shot], readings: dict[str, Any]) -> dict[str, Any]:
    """Right share per emotion at full intensity, per-sentence; mean score of the emotion by intensity."""
    right: dict[str, float] = {}
    confused: dict[str, list[float]] = {}
    rising: dict[str, dict[str, float]] = {}
    names = list(SAYS)
    for emotion in names:
        rows = [s for s in shots if s.emotion == emotion]
        full = [s for s in rows if s.intensity == 1.0]
        each = [np.mean([scores(readings[s.name]) for s in full if s.sentence == n], axis=0)
                for n in sorted({s.sentence for s in full})]  # fmt: skip
        right[emotion] = float(np.mean([int(e.argmax()) == names.index(emotion) for e in each]))
        confused[emotion] = [round(float(x), 3) for x in np.mean(each, axis=0)]
        fewest = {s.sentence for s in rows if s.intensity != 1.0} or {s.sentence for s in full}
        rising[emotion] = {
            f"{i:g}": round(float(np.mean([scores(readings[s.name])[names.index(emotion)] for s in rows
                                           if s.intensity == i and s.sentence in fewest])), 3)
            for i in sorted({s.intensity for s in rows})
        }  # fmt: skip
    return {
        "right": right,
        "mean_right": float(np.mean(list(right.values()))),
        "mean_scores": confused,
        "by_intensity": rising,
    }


def on_people(modules: Path) -> dict[str, dict[str, float]]:
    """By what portraits show: how many there are, share read right, mean score."""
    with tempfile.TemporaryDirectory() as scratch:
        shows = cut_out(Path(scratch), modules)
        readings = read(Path(scratch), modules)
    out: dict[str, dict[str, float]] = {}
    for shown in dict.fromkeys(shows.values()):
        rows = np.array([scores(readings[name]) for name, what in shows.items() if what == shown])
        mine = list(SAYS.values()).index(shown)
        out[shown] = {"portraits": len(rows), "right": float((rows.argmax(axis=1) == mine).mean()),
                      "mean_score": round(float(rows[:, mine].mean()), 3)}  # fmt: skip
    return out


def strip(folder: Path, shots: list[Shot], path: Path) -> None:
    """Two pictures of each emotion at full intensity, in rows."""
    columns = []
    for emotion in dict.fromkeys(s.emotion for s in shots):
        full = [s for s in shots if s.emotion == emotion and s.intensity == 1.0]
        pair = [
            Image.open(folder / full[i].name).crop((70, 40, 410, 440)).resize((170, 200)) for i in (0, -1)
        ]
        column = Image.new("RGB", (170, 400))
        for k, picture in enumerate(pair):
            column.paste(picture, (0, 200 * k))
        columns.append(column)
    sheet = Image.new("RGB", (170 * len(columns), 400))
    for k, column in enumerate(columns):
        sheet.paste(column, (170 * k, 0))
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def main() -> None:
    """Command line."""
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--face", default="hybrid")
    ap.add_argument("--sentences", type=int, default=10)
    ap.add_argument("--shots", type=int, default=4)
    ap.add_argument("--intensities", action="store_true")
    ap.add_argument("--only", default="", help="one emotion, for trying; nothing is written")
    ap.add_argument("--calibration", type=Path)
    ap.add_argument("--node-modules", type=Path)
    ap.add_argument("--portraits", action="store_true", help="read the portraits of people only")
    ap.add_argument("--keep", type=Path, help="folder to keep the pictures in")
    given = ap.parse_args()
    modules = given.node_modules or HERE / "emotion_reader" / "node_modules"
    if shutil.which("node") is None or not modules.is_dir():
        Console().print("not read: needs node and the classifier: cd bench/emotion_reader && npm install")
        return
    out = HERE / "results" / "emotion_read.json"
    if given.portraits:
        told = json.loads(out.read_text(encoding="utf-8")) | {"people": on_people(modules)}
        out.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
        Console().print(told["people"])
        return
    config = load_face(given.face)
    motion = motion_of(config, sim=True, calibration=given.calibration)
    said = sentences(given.sentences)
    shots: list[Shot] = []
    with tempfile.TemporaryDirectory() as scratch, open_painter(config, (480, 480), samples=2) as painter:
        folder = given.keep or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        asked = [(e, 1.0, n) for e in (*SAYS, "contempt") for n in range(len(said) if e in SAYS else 2)]
        if given.intensities:
            asked += [
                (e, i, n) for e in SAYS if e != "neutral" for i in (0.25, 0.5) for n in range(0, len(said), 4)
            ]
        for emotion, intensity, n in asked:
            if given.only and emotion != given.only:
                continue
            for k, snapshot in enumerate(
                snapshots(config, motion, said[n], f"{emotion}:{intensity:g}", n, given.shots)
            ):
                name = f"{emotion}_{intensity:g}_{n:02d}_{k}.png"
                Image.fromarray(painter.draw(snapshot)).save(folder / name)
                shots.append(Shot(emotion, intensity, n, name))
        readings = read(folder, modules)
        if given.only:
            mine = [scores(readings[s.name]) for s in shots]
            Console().print({n: round(float(x), 3) for n, x in zip(SAYS, np.mean(mine, axis=0), strict=True)})
            return
        results = judged(shots, readings) | {
            "motion": motion.source,
            "sentences": len(said),
            "pictures": len(shots),
        }
        strip(folder, shots, HERE.parent / "docs" / "pictures" / "emotions.png")
    results["people"] = on_people(modules)
    table = Table(
        "emotion", "right", "by intensity", *SAYS.values(), title=f"Read on {config.id} ({motion.source})"
    )
    for emotion, row in results["mean_scores"].items():
        rising = " ".join(f"{v:.2f}" for v in results["by_intensity"][emotion].values())
        table.add_row(emotion, f"{results['right'][emotion]:.2f}", rising, *(f"{x:.2f}" for x in row))
    Console().print(table, f"mean right {results['mean_right']:.2f}, wanted .75 and each .5")
    Console().print("portraits of people, by the same reader:", results["people"])
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""The life of the face against human numbers (REFERENCE.md), on recorded voices.

    python bench/life.py [SOUND ...]

Without arguments: the demo's recording, five times with pauses, and silence. Prints a table and writes
bench/results/life.json.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from scipy.signal import find_peaks

from animaface.speech.emotion import EmotionLayer
from animaface.speech.life import Life, LifeFrames
from animaface.speech.prosody import ProsodyFrames, ProsodyTracker
from animaface.speech.sound import SAMPLE_RATE_HZ, read_sound

HERE = Path(__file__).parent
SEEDS = range(8)
RATE_HZ = 60.0


def voice(paths: list[Path]) -> np.ndarray:
    """Recordings one after another, .4 s of faint noise between them, at least a minute."""
    rng = np.random.default_rng(0)
    parts: list[np.ndarray] = []
    while sum(map(len, parts)) < 60 * SAMPLE_RATE_HZ:
        for path in paths:
            parts += [read_sound(path).samples, rng.normal(0, 1e-4, 6400).astype(np.float32)]
    return np.concatenate(parts)


def spells(on: np.ndarray) -> list[tuple[int, int]]:
    """[(first, end)) of each run of True in on[T]."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def blink_numbers(lives: list[LifeFrames], seconds: float) -> dict[str, float]:
    """How often, how long and how evenly they blink, over `seconds` of all `lives`."""
    closing, opening, depth = [], [], []
    for life in lives:
        for first, end in spells(life.blink > 0.01):
            top = first + int(life.blink[first:end].argmax())
            closing.append((top - first + 1) / RATE_HZ)
            opening.append((end - top) / RATE_HZ)
            depth.append(life.blink[top])
    return {
        "blinks_per_min": len(closing) / (seconds * len(lives)) * 60.0,
        "closing_ms": float(np.mean(closing)) * 1e3,
        "closing_quicker_share": 1.0 - float(np.mean(closing) / np.mean(opening)),
        "partial_share": float(np.mean(np.array(depth) < 0.9)),
    }


def head_numbers(lives: list[LifeFrames], prosody: ProsodyFrames) -> dict[str, float]:
    """How far and how slowly the head turns while they talk, and what share of nods and brows falls on a stress of the voice."""
    talks = prosody.talking > 0
    near = np.zeros(len(prosody), bool)
    for s in np.flatnonzero(prosody.stress):
        near[max(0, s - 9) : s + 10] = True
    sd, low, follow, nods, brows = [], [], [], [], []
    for life in lives:
        head = np.degrees(life.head_rad)
        sd.append(head[talks].std(axis=0))
        power = np.abs(np.fft.rfft((head - head.mean(axis=0)) * np.hanning(len(head))[:, None], axis=0)) ** 2
        low.append(
            (power[np.fft.rfftfreq(len(head), 1 / RATE_HZ) < 4.0].sum(axis=0) / power.sum(axis=0)).min()
        )
        follow.append(np.corrcoef(head[talks, 1], prosody.slow[talks])[0, 1])
        nods.append(near[find_peaks(head[:, 1], prominence=0.7)[0]].mean())
        brows.append(near[find_peaks(life.brow, prominence=0.05)[0]].mean())
    yaw, pitch, roll = np.mean(sd, axis=0)
    return {
        "head_yaw_sd_deg": float(yaw),
        "head_pitch_sd_deg": float(pitch),
        "head_roll_sd_deg": float(roll),
        "head_below_4_hz_share": float(np.min(low)),
        "nod_against_voice_r": float(np.mean(follow)),
        "nods_at_stress_share": float(np.mean(nods)),
        "brows_at_stress_share": float(np.mean(brows)),
        "chance_at_stress_share": float(near[talks].mean()),
    }


def gaze_numbers(lives: list[LifeFrames]) -> dict[str, float]:
    """How much they look at the face before them, and how long at a time."""
    on = np.concatenate([life.on_face for life in lives])
    return {
        "on_face_share": float(on.mean()),
        "face_spell_s": float(np.mean([(b - a) / RATE_HZ for a, b in spells(on > 0)])),
    }


def saccade_error() -> float:
    """Worst deviation of a saccade's duration from 2.2 ms/deg + 21 ms, on a clock of 1 ms."""
    silence = ProsodyFrames.silence(120_000, rate_hz=1000.0)
    gaze = Life(0, rate_hz=1000.0).advance(silence, EmotionLayer().advance(silence))
    world = gaze.gaze_rad + gaze.head_rad[:, :2]
    worst = 0.0
    for first, end in spells(np.abs(np.diff(world, axis=0)).max(axis=1) > 1e-9):
        jump_deg = float(np.degrees(np.linalg.norm(world[end] - world[first])))
        if jump_deg > 0.5:
            model_s = 0.0022 * jump_deg + 0.021
            worst = max(worst, abs((end - first) / 1000.0 / model_s - 1.0))
    return worst


def measure(samples: np.ndarray) -> dict[str, float]:
    """All numbers of the lives that hear samples[n] at 16 kHz, and what a second of them costs."""
    started = time.process_time()
    prosody = ProsodyTracker().push(samples)
    mood = EmotionLayer().advance(prosody)
    lives = [Life(seed).advance(prosody, mood) for seed in SEEDS]
    seconds = len(prosody) / RATE_HZ
    cost_ms = (time.process_time() - started) / seconds / len(lives) * 1e3
    silence = ProsodyFrames.silence(int(300 * RATE_HZ))
    listening = [Life(seed).advance(silence, EmotionLayer().advance(silence)) for seed in SEEDS]
    moving = np.mean([(np.abs(np.diff(life.head_rad, axis=0)).max(axis=1) > 0).mean() for life in listening])
    return {
        **blink_numbers(lives, seconds),
        "blinks_per_min_listening": blink_numbers(listening, 300.0)["blinks_per_min"],
        **head_numbers(lives, prosody),
        **gaze_numbers(lives + listening),
        "saccade_worst_deviation_share": saccade_error(),
        "head_moving_in_silence_share": float(moving),
        "cost_ms_per_s": cost_ms,
    }


HUMAN = {
    "blinks_per_min": "26 (10-32)",
    "blinks_per_min_listening": "17 (12-22)",
    "closing_ms": "66-80 (60-90)",
    "closing_quicker_share": ".40-.47",
    "partial_share": ".5",
    "head_yaw_sd_deg": "1.4 +-30 %",
    "head_pitch_sd_deg": "1.2 +-30 %",
    "head_roll_sd_deg": ".9 +-30 %",
    "head_below_4_hz_share": ">= .95",
    "nods_at_stress_share": "twice chance",
    "brows_at_stress_share": "twice chance",
    "on_face_share": ".6",
    "face_spell_s": "2.2",
    "saccade_worst_deviation_share": "<= .2",
}


def main() -> None:
    """Command line."""
    paths = [Path(p) for p in sys.argv[1:]] or [HERE.parent / "app" / "assets" / "demo.flac"]
    numbers = measure(voice(paths))
    table = Table("what", "measured", "human or wanted", title="Life of the face")
    for name, value in numbers.items():
        table.add_row(name, f"{value:.3g}", HUMAN.get(name, ""))
    Console().print(table)
    out = {
        "sounds": [p.name for p in paths],
        "seeds": len(SEEDS),
        **{k: round(v, 4) for k, v in numbers.items()},
    }
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "life.json").write_text(json.dumps(out, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Lips against the sound in virtual time: syllables by `play` and by `live`, through network, inverse, gate, drivers, bytes,
virtual servos and MuJoCo, counted on the truth; the demo's take; and interruptions. Everything but the machine's own speed, which bench/live.py has.

    python bench/lips_in_time.py [FACE] [--words 64]

The same on every machine. Prints a table and writes bench/results/lips_in_time.json.
"""

import argparse
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from live import DEMO, event_offsets_s, gap_of_take, sound_events, stilled_s, syllables
from rich.console import Console
from rich.table import Table

from animaface.app.lips import Phone, count_lips
from animaface.app.live.speaker import VirtualSpeaker
from animaface.app.lockstep import LockStepFace, LockStepTalk
from animaface.app.motion import motion_of
from animaface.app.playback import LEAD_S, Playing
from animaface.app.show import lips_of
from animaface.app.source import DEMO as SHOWN
from animaface.app.source import Source, load_source
from animaface.robot.config import load_face
from animaface.speech.perform import FILE_ANTICIPATION_S

HERE = Path(__file__).parent
_TICKS_A_FEED = 10
EMOTIONS = (
    "neutral",
    "happy:0.7",
    "anger:0.7",
    "anger:1.0",
    "disgust:0.7",
    "sadness:0.7",
    "surprise:0.7",
    "fear:0.7",
)
_FINE_S = 0.001


class _Silent:
    """Telemetry that nobody reads."""

    def sound(self, at_s: float, samples: np.ndarray) -> None:
        """Nobody."""

    def shapes(self, sound_s: np.ndarray, at_s: np.ndarray, values: np.ndarray) -> None:
        """Nobody."""


def played(face: LockStepFace, wav: Path) -> float:
    """By `play` -> when sample 0 was heard."""
    return play(face, load_source(str(wav)))


def play(face: LockStepFace, source: Source, calibration: Path | None = None) -> float:
    """A take with its sound, by this calibration or the shipped one -> when sample 0 was heard."""
    speaker = VirtualSpeaker(face.clock)
    due_s, u = motion_of(face.config, sim=True, calibration=calibration).trajectory(source.take, LEAD_S)
    run = Playing(due_s, u, source.samples, None, speaker, _Silent(), face.clock)
    speaker.start()
    run.begin()
    ticks = 0
    while run.done_s < due_s[-1]:
        if ticks % _TICKS_A_FEED == 0:
            run.feed(face)
        face.tick()
        ticks += 1
    return run.start_s


def lived(face: LockStepFace, wav: Path) -> float:
    """By `live` from a file -> when sample 0 was heard."""
    talk = LockStepTalk(face, anticipation_s=FILE_ANTICIPATION_S)
    talk.say(*soundfile.read(wav, dtype="float32"))
    talk.run_until(lambda: talk.line.all_heard(face.clock.now_s(), 0.5))
    return talk.speaker.clock.at_s(float(talk.line.first or 0))


def interrupted(name: str, count: int) -> dict[str, Any]:
    """An agent that is cut off again and again, as bench/live.py does it: ms until the lips lay still."""
    rng, cuts = np.random.default_rng(0), []
    samples, rate_hz = soundfile.read(DEMO, dtype="float32")
    with LockStepFace(load_face(name)) as face:
        talk = LockStepTalk(face)
        for _ in range(count):
            first = int(rng.uniform(0.0, 3.0) * rate_hz)
            talk.say(samples[first : first + 5 * rate_hz], rate_hz)
            talk.run(rng.uniform(1.2, 2.2))
            cuts.append(talk.interrupt())
            talk.run(1.2)
        at_s, gap, _ = face.seen()
    still = 1e3 * np.array([stilled_s(at_s - t, gap) for t in cuts])
    return {"count": count, "median_ms": float(np.median(still)), "worst_ms": float(still.max())}


def counted(
    face: str, way: Callable[[LockStepFace, Path], float], wav: Path, phones: list[Phone]
) -> dict[str, Any]:
    """Offsets of meeting and parting lips by the truth."""
    with LockStepFace(load_face(face)) as stand:
        start_s = way(stand, wav)
        at_s, gap, _ = stand.seen()
    time_s = np.arange(at_s[0] - start_s, at_s[-1] - start_s, _FINE_S)
    gap = np.interp(time_s, at_s - start_s, gap)
    gap -= float(np.median(gap[(time_s > -0.3) & (time_s < 0.3)]))
    return told(time_s, gap, phones) | {"closed_share": count_lips(time_s, gap, gap, phones).closed_share}


def demonstrated(face: str, emotion: str, calibration: Path | None = None, seed: int = 0) -> dict[str, Any]:
    """The lips of the demo's take, on the simulated face of this seed."""
    source = load_source(SHOWN, emotion=emotion)
    with LockStepFace(load_face(face), seed=seed) as stand:
        start_s = play(stand, source, calibration)
        at_s, gap, _ = stand.seen()
    numbers = lips_of(source, at_s - start_s, gap)
    return numbers.as_dict() if numbers else {}


def told(time_s: np.ndarray, gap: np.ndarray, phones: list[Phone]) -> dict[str, Any]:
    """The numbers of one curve of the gap."""
    late_s, untold = event_offsets_s(time_s, gap, *sound_events(phones))
    late = 1e3 * late_s
    return {"events": len(late), "untold_share": untold, "mean_ms": float(late.mean()), "sd_ms": float(late.std()),
            "latest_99_ms": float(np.quantile(late, 0.99)), "meeting_mean_ms": float(late[::2].mean()),
            "parting_mean_ms": float(late[1::2].mean())}  # fmt: skip


def main() -> None:
    """Both ways, and the network's own share."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("face", nargs="?", default="hybrid")
    ask.add_argument("--words", type=int, default=64)
    given = ask.parse_args()
    samples, phones = syllables(given.words, seed=4)
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder) / "syllables.wav"
        soundfile.write(wav, samples, 16_000)
        found = {
            name: counted(given.face, way, wav, phones) for name, way in (("play", played), ("live", lived))
        }
        found["the take alone"] = told(*gap_of_take(wav), phones)
    interruptions = interrupted(given.face, 30)
    demo = {emotion: demonstrated(given.face, emotion) for emotion in EMOTIONS}
    table = Table("", "mean", "sd", "99 % never later", "lips meet", "lips part", "closed at b m", "events",
                  title=f"lips against the sound on {given.face}, virtual time")  # fmt: skip
    for name, n in found.items():
        closed = f"{n['closed_share']:.1%}" if "closed_share" in n else ""
        table.add_row(name, *(f"{n[k]:+.1f} ms" for k in ("mean_ms", "sd_ms", "latest_99_ms", "meeting_mean_ms", "parting_mean_ms")),
                      closed, str(n["events"]))  # fmt: skip
    table.add_row("target", "within 10 ms", "15 ms", "+30 ms", "", "", "", "200")
    Console().print(table)
    Console().print("lips still after an interruption: {median_ms:.0f} ms (median), {worst_ms:.0f} ms at worst of {count}; "
                    "target 100 ms".format(**interruptions))  # fmt: skip
    for emotion, n in demo.items():
        Console().print(f"the demo's take, {emotion}: {n['closed_share']:.0%} of {n['bilabials']} m b p closed, the widest "
                        f"{n['worst_closed_gap_mm']:.2f} mm; vowels {n['vowel_gap_ratio']:.2f} of asked, correlation "
                        f"{n['gap_correlation']:.3f}")  # fmt: skip
    out = {"face": given.face, "words": given.words, **found, "interruptions": interruptions, "demo": demo}
    (HERE / "results" / "lips_in_time.json").write_text(json.dumps(out, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

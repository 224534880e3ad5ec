"""Live and play on the simulated face, counted on its truth: lips against the sound, the way from a microphone to the
lips, interruptions, drift, what was dropped.

    python bench/live.py [FACE] [--quick] [--only play live microphone interruption drift]

The sound card is virtual (PulseAudio: a null sink and its monitor): what counts as sound is what left it, captured by
`parec`; what counts as lips is the truth of the simulated face. Prints a table and writes bench/results/live.json.
"""

import argparse
import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr
from rich.console import Console
from rich.table import Table
from virtual_card import CARD, MONITOR, RATE_HZ, Capture, virtual_card
from websockets.sync.client import ClientConnection, connect

from animaface.app.lips import BILABIALS, CLOSED_M, OPEN_VOWELS, Phone, count_lips
from animaface.app.live.sample_clock import SampleClock
from animaface.app.stolen import Stolen
from animaface.robot.face.landmarks import lip_gap_m
from animaface.selfmodel.rig import default_rig
from animaface.sim.truth import Truth, read_truth
from animaface.speech.perform import perform
from animaface.speech.sound import read_sound
from animaface.speech.train.espeak import shared_espeak

HERE = Path(__file__).parent
DEMO = HERE.parent / "app" / "assets" / "demo.flac"
ANIMAFACE = [sys.executable, "-m", "animaface.app.main"]
VOICES = ("en-us", "en-us+f3", "en-gb+m3")
PARTS = ["play", "live", "microphone", "interruption", "drift"]
SCHEDULING = {os.SCHED_OTHER: "usual", os.SCHED_FIFO: "SCHED_FIFO", os.SCHED_RR: "SCHED_RR"}
"""Of everything but the control loop: beside other work only real-time rights show what the product can do."""
STILL_M = 5e-4
_LONGEST_S = 0.3
MOVED_M = 3e-4


def gap_of(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """(time_s[T], gap_m[T]) between the lips of the simulated face."""
    return truth.seen_s, lip_gap_m(truth.landmarks_m.astype(np.float64))


def numbers_of(done: bytes) -> dict[str, Any]:
    """What a command of animaface told by --json; ends the bench with its complaint when it failed."""
    if not done.strip():
        raise SystemExit("animaface told nothing: see its complaint above")
    out: dict[str, Any] = json.loads(done.splitlines()[0])
    if "error" in out:
        raise SystemExit(out["error"])
    return out


# ---- lips against the sound


def syllables(words: int, seed: int) -> tuple[np.ndarray, list[Phone]]:
    """b and m between open vowels, by several voices: samples[n] at 16 kHz and the synthesiser's own phone times (of
    its p only the burst is told, not when the lips must meet)."""
    rng, sound, phones = np.random.default_rng(seed), [np.zeros(8000, np.float32)], []
    at_s = 0.5
    for k in range(words):
        text = " ".join(
            "".join(rng.choice(["b", "m"]) + rng.choice(["ah", "ay", "eh"]) for _ in range(2))
            for _ in range(2)
        )
        said = shared_espeak().say(text, VOICES[k % len(VOICES)], words_a_minute=150)
        phones += [Phone(name, at_s + a, at_s + b) for name, a, b in said.phones]
        sound += [said.samples, np.zeros(4000, np.float32)]
        at_s += (len(said.samples) + 4000) / 16_000
    return np.concatenate(sound), phones


def lips_against_sound(
    command: str, face: str, words: int, card: Mapping[str, str], scratch: Path
) -> dict[str, Any]:
    """Syllables by `play` or `live` through the virtual card; the sound's time is that of the capture, piece by piece."""
    samples, phones = syllables(words, seed=4)
    wav, log = scratch / "syllables.wav", scratch / f"{command}.bin"
    soundfile.write(wav, samples, 16_000)
    source = [str(wav)] if command == "play" else ["--source", str(wav)]
    capture = Capture(card)
    try:
        done = subprocess.run([*ANIMAFACE, command, *source, "--face", face, "--sim", "--json", "--truth", str(log),
                               "--output", CARD], env=dict(card), stdout=subprocess.PIPE, check=False)  # fmt: skip
    finally:
        capture.stop()
    numbers = numbers_of(done.stdout)
    position_s, heard_s = capture.heard_by_pieces(np.asarray(soxr.resample(samples, 16_000, RATE_HZ)))
    truth = read_truth(log)
    at_s, gap = gap_of(truth)
    later_s = heard_s - position_s
    time_s = at_s - np.interp(at_s, heard_s, later_s)
    sealed = float(np.median(gap[(time_s > -0.3) & (time_s < 0.3)]))
    lips = count_lips(time_s, gap - sealed, gap - sealed, phones)
    closures, releases = sound_events(phones)
    late_s, untold = event_offsets_s(time_s, gap - sealed, closures, releases)
    offsets = 1e3 * late_s
    own = 1e3 * event_offsets_s(*gap_of_take(wav), *sound_events(phones))[0]
    told = {k: numbers[k] for k in ("ticks", "missed_share", "dropped_share", "drift_ppm") if k in numbers}
    if "first_heard_s" in numbers:
        told["said_less_captured_ms"] = 1e3 * (numbers["first_heard_s"] - float(np.median(later_s)))
    told["card_ran_dry_ms"] = 1e3 * float(np.ptp(later_s))
    told["face_behind_real_time_ms"] = 1e3 * float(truth.lag_s.max())
    return {"bilabials": lips.bilabials, "closed_share": lips.closed_share, "events": len(offsets), "untold_share": untold,
            "mean_ms": float(offsets.mean()), "sd_ms": float(offsets.std()), "latest_99_ms": float(np.quantile(offsets, 0.99)),
            "median_ms": float(np.median(offsets)), "take_alone": {"mean_ms": float(own.mean()), "sd_ms": float(own.std()),
            "latest_99_ms": float(np.quantile(own, 0.99))}, **told}  # fmt: skip


def gap_of_take(wav: Path) -> tuple[np.ndarray, np.ndarray]:
    """Gap that the take asks of the rig: how well lips would fit the sound if motors, time and face were perfect."""
    take = perform(read_sound(wav)).take
    time_s = np.arange(0.0, take.duration_s, 1 / 120)
    rig = default_rig()
    return time_s, rig.gap_m(take.at(time_s)) - float(rig.gap_m(np.zeros((1, take.values.shape[1])))[0])


def sound_events(phones: list[Phone]) -> tuple[np.ndarray, np.ndarray]:
    """(closures, releases), s in the sound: of b and m between vowels that last, so that lips must meet and part."""
    found = [
        (p.start_s, p.end_s)
        for before, p, after in zip(phones, phones[1:], phones[2:], strict=False)
        if p.name in BILABIALS
        and all(v.name in OPEN_VOWELS and v.end_s - v.start_s > 0.09 for v in (before, after))
    ]
    return np.array([x for x, _ in found]), np.array([x for _, x in found])


def event_offsets_s(
    time_s: np.ndarray, gap_m: np.ndarray, closures: np.ndarray, releases: np.ndarray
) -> tuple[np.ndarray, float]:
    """(lateness of the lips at each closure and release, share of closures that told nothing).

    Of the meeting and the parting of the closed spell that overlaps the sound's own closure. Nothing is told by lips
    that never met, or did not part in the vowel between two closures: their spell belongs to both.
    """
    closed = np.diff(np.concatenate([[0], (gap_m <= CLOSED_M).astype(int), [0]]))
    meets, parts = time_s[np.flatnonzero(closed == 1)], time_s[np.flatnonzero(closed == -1) - 1]
    overlap = np.minimum(parts, releases[:, None]) - np.maximum(meets, closures[:, None])
    spell = np.argmax(overlap, axis=1)
    met = overlap[np.arange(len(spell)), spell] > -0.1
    alone = np.bincount(spell[met], minlength=len(meets))[spell] == 1
    told = met & alone & (parts[spell] - meets[spell] < _LONGEST_S)
    out = np.stack([meets[spell] - closures, parts[spell] - releases], axis=1)[told]
    return out.ravel(), 1.0 - float(told.mean())


# ---- from a microphone to the lips


def microphone(face: str, words: int, card: Mapping[str, str], scratch: Path) -> dict[str, Any]:
    """Words after silence, played into the card by another program and heard through its monitor: from the moment the
    sound is there to the first movement of the lips in the truth."""
    rng = np.random.default_rng(1)
    texts = ["ah", "yes", "all right", "I am", "okay", "higher", "our", "I", "apples", "open"]
    log = scratch / "mic.bin"
    child = subprocess.Popen([*ANIMAFACE, "live", "--face", face, "--sim", "--source", "mic", "--device", MONITOR, "--json",
                              "--truth", str(log)], env=dict(card), stdout=subprocess.PIPE)  # fmt: skip
    capture = Capture(card)
    try:
        wait_for(log)
        time.sleep(3.0)
        for k in range(words):
            said = shared_espeak().say(texts[k % len(texts)], VOICES[k % len(VOICES)]).samples
            wav = scratch / f"word{k}.wav"
            soundfile.write(wav, said, 16_000)
            subprocess.run(["paplay", f"--device={CARD}", str(wav)], env=dict(card), check=False)
            time.sleep(float(rng.uniform(1.6, 2.2)))
    finally:
        capture.stop()
        child.terminate()
    numbers = numbers_of(child.communicate(timeout=60)[0])
    at_s, gap = gap_of(read_truth(log))
    onsets = onsets_s(capture)
    delays = 1e3 * np.array([d for t in onsets if (d := first_movement_s(at_s - t, gap)) is not None])
    lag_ms = numbers["delay_ms"] - numbers["own_share_ms"]
    return {"words": words, "onsets": len(onsets), "answered": len(delays), "median_ms": float(np.median(delays)),
            "p95_ms": float(np.quantile(delays, 0.95)), "own_share_ms": numbers["own_share_ms"], "servo_lag_ms": lag_ms,
            "latency_parts_ms": numbers.get("latency_ms", {}), "dropped_share": numbers["dropped_share"],
            "missed_share": numbers["missed_share"], "blocks_lost": numbers["blocks_lost"]}  # fmt: skip


def onsets_s(capture: Capture) -> list[float]:
    """Monotonic times at which sound begins after half a second of silence."""
    samples = capture.samples
    loud = np.flatnonzero(np.abs(samples) > 0.01)
    if not len(loud):
        return []
    begins = np.concatenate([[loud[0]], loud[1:][np.diff(loud) > 0.5 * RATE_HZ]])
    return [capture.start_s + float(k) / RATE_HZ for k in begins]


def first_movement_s(time_s: np.ndarray, gap: np.ndarray) -> float | None:
    """After 0, when the gap leaves where it lay; None when it was not at rest before, or never leaves."""
    before = gap[(time_s > -0.3) & (time_s <= 0.02)]
    if not len(before) or np.ptp(before) > MOVED_M:
        return None
    moved = np.flatnonzero((time_s > 0.0) & (time_s < 0.6) & (np.abs(gap - before[-1]) > MOVED_M))
    return float(time_s[moved[0]]) if len(moved) else None


def wait_for(log: Path) -> None:
    """Until the simulated face writes its truth."""
    for _ in range(600):
        if log.is_file() and log.stat().st_size > 100_000:
            return
        time.sleep(0.1)
    raise SystemExit("the face did not come up")


# ---- interruptions


def interruptions(face: str, count: int, scratch: Path) -> dict[str, Any]:
    """An agent that is cut off again and again: ms until the lips lay still, each."""
    log, port = scratch / "agent.bin", free_port()
    child = subprocess.Popen([*ANIMAFACE, "live", "--face", face, "--sim", "--json", "--no-sound", "--source",
                              f"ws://127.0.0.1:{port}", "--truth", str(log)], stdout=subprocess.PIPE)  # fmt: skip
    samples, rate_hz = soundfile.read(DEMO, dtype="int16")
    rng, cuts = np.random.default_rng(0), []
    try:
        with reached(port) as agent:
            for _ in range(count):
                agent.send(json.dumps({"type": "start", "rate_hz": rate_hz}))
                first = int(rng.uniform(0.0, 3.0) * rate_hz)
                for k in range(first, first + 5 * rate_hz, rate_hz // 10):
                    agent.send(samples[k : k + rate_hz // 10].tobytes())
                time.sleep(float(rng.uniform(1.2, 2.2)))
                agent.send(json.dumps({"type": "interrupt"}))
                cuts.append(time.monotonic())
                end_s = time.monotonic() + 1.2
                while (left_s := end_s - time.monotonic()) > 0.0:
                    with contextlib.suppress(TimeoutError):
                        agent.recv(timeout=left_s)
    finally:
        child.terminate()
    out = numbers_of(child.communicate(timeout=60)[0])
    time_s, gap = gap_of(read_truth(log))
    still = 1e3 * np.array([stilled_s(time_s - t, gap) for t in cuts])
    return {"count": count, "median_ms": float(np.median(still)), "p95_ms": float(np.quantile(still, 0.95)),
            "worst_ms": float(still.max()), "each_ms": [round(float(x)) for x in still],
            "dropped_share": out["dropped_share"], "missed_share": out["missed_share"], "told": out["told"]}  # fmt: skip


def stilled_s(time_s: np.ndarray, gap: np.ndarray) -> float:
    """After 0, the last moment at which the gap is away from where it comes to rest."""
    end = float(np.median(gap[(time_s > 0.6) & (time_s < 1.1)]))
    away = np.flatnonzero((time_s > 0.0) & (time_s < 1.1) & (np.abs(gap - end) > STILL_M))
    return float(time_s[away[-1]]) if len(away) else 0.0


def free_port() -> int:
    """One that nobody listens on now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def reached(port: int) -> ClientConnection:
    """A connection to a live face that is about to listen there."""
    for _ in range(300):
        try:
            return connect(f"ws://127.0.0.1:{port}")
        except OSError:
            time.sleep(0.2)
    raise SystemExit("the face did not come up")


# ---- drift


def drift() -> dict[str, float]:
    """Half an hour of a card that is 100 ppm off, its words 2 ms apart from the truth, in virtual time."""
    rng, worst = np.random.default_rng(0), []
    for ppm in (-100.0, 100.0):
        clock = SampleClock(RATE_HZ)
        for k in range(30 * 60 * 20):
            true_s = 2400 * k * (1.0 + 1e-6 * ppm) / RATE_HZ
            clock.observe(2400 * k, true_s + float(rng.normal(0.0, 0.002)))
            if k > 200:
                worst.append(abs(clock.at_s(2400 * k) - true_s))
    return {
        "minutes": 30,
        "ppm": 100,
        "worst_ms": 1e3 * max(worst),
        "median_ms": 1e3 * float(np.median(worst)),
    }


def main() -> None:
    """Run the parts that were asked for; the others keep the numbers of their last run."""
    ask = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask.add_argument("face", nargs="?", default="hybrid")
    ask.add_argument("--quick", action="store_true")
    ask.add_argument(
        "--only", nargs="+", choices=PARTS, default=PARTS, help="The other numbers stay as they were found."
    )
    given = ask.parse_args()
    face, quick, parts = given.face, given.quick, given.only
    results = HERE / "results" / "live.json"
    found: dict[str, Any] = json.loads(results.read_text()) if parts != PARTS else {}
    found |= {
        "face": face,
        "cores": os.cpu_count(),
        "sound_card": "PulseAudio null sink and monitor",
    }
    with tempfile.TemporaryDirectory() as folder, virtual_card() as card:
        scratch = Path(folder)
        measures: dict[str, Callable[[], dict[str, Any]]] = {
            "play": lambda: lips_against_sound("play", face, 12 if quick else 64, card, scratch),
            "live": lambda: lips_against_sound("live", face, 12 if quick else 64, card, scratch),
            "microphone": lambda: microphone(face, 10 if quick else 40, card, scratch),
            "interruption": lambda: interruptions(face, 6 if quick else 20, scratch),
        }
        for part in [p for p in measures if p in parts]:
            with Stolen() as stolen:
                found[part] = measures[part]()
            found[part] |= {
                "load_average": round(os.getloadavg()[0], 1),
                "stolen_percent": round(100 * stolen.share, 2),
                "scheduling": SCHEDULING[os.sched_getscheduler(0)],
            }
    if "drift" in parts:
        found["drift"] = drift()
    show(found)
    results.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")


def show(found: dict[str, Any]) -> None:
    """The table."""
    taken = max(part.get("stolen_percent", 0.0) for part in found.values() if isinstance(part, dict))
    table = Table(
        title=f"live on {found['face']}, load {found['microphone']['load_average']} on {found['cores']} cores, "
        f"of which their host took up to {taken:.0f} %"
    )
    for column in ("what", "measured", "target"):
        table.add_column(column)
    for command in ("play", "live"):
        n = found[command]
        table.add_row(f"{command}: lips against the captured sound, mean, sd ({n['events']} events)",
                      f"{n['mean_ms']:+.1f}, {n['sd_ms']:.1f} ms", "within 10, 15 ms")  # fmt: skip
        table.add_row("  of that the take's own, before motors and time",
                      f"{n['take_alone']['mean_ms']:+.1f}, {n['take_alone']['sd_ms']:.1f} ms", "")  # fmt: skip
        table.add_row(f"{command}: 99 % never later than", f"{n['latest_99_ms']:+.1f} ms", "+30 ms")
        table.add_row(f"{command}: closed at b m p; deadlines missed; dropped",
                      f"{n['closed_share']:.1%}; {n['missed_share']:.2%}; {n['dropped_share']:.2%}", "; .5 %; 1 %")  # fmt: skip
    n = found["microphone"]
    table.add_row(f"microphone: sound to first lip movement, median, p95 ({n['answered']} of {n['onsets']} words)",
                  f"{n['median_ms']:.0f}, {n['p95_ms']:.0f} ms", "150, 200 ms")  # fmt: skip
    table.add_row(
        "microphone: our own share; servo lag",
        f"{n['own_share_ms']:.0f}; {n['servo_lag_ms']:.0f} ms",
        "90 ms;",
    )
    n = found["interruption"]
    table.add_row(f"interruption: lips still, median, p95, worst ({n['count']})",
                  f"{n['median_ms']:.0f}, {n['p95_ms']:.0f}, {n['worst_ms']:.0f} ms", "100 ms")  # fmt: skip
    n = found["drift"]
    table.add_row("drift in 30 minutes, 100 ppm", f"{n['worst_ms']:.1f} ms", "under 5 ms")
    Console().print(table)


if __name__ == "__main__":
    main()

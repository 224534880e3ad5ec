"""From the samples that leave a (virtual) sound card to the truth of the simulated face: measured, not computed."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import soundfile
import soxr

from animaface.app.lips import count_lips, read_phones
from animaface.app.recording.log import read_log
from animaface.robot.face.landmarks import lip_gap_m
from animaface.sim.truth import read_truth

pytestmark = pytest.mark.realtime
ANIMAFACE = [sys.executable, "-m", "animaface.app.main"]
DEMO = Path(__file__).parents[2] / "app" / "assets" / "demo.flac"


@pytest.mark.parametrize("command", ["play", "live"])
def test_lips_move_with_the_sound_that_leaves_the_card(
    command: str, virtual_card: Mapping[str, str], card_module: ModuleType, tmp_path: Path
) -> None:
    samples, rate_hz = soundfile.read(DEMO, dtype="float32")
    wav, truth, log = tmp_path / "voice.wav", tmp_path / "truth.bin", tmp_path / "run.mcap"
    soundfile.write(wav, samples[: 4 * rate_hz], rate_hz)
    source = [str(wav)] if command == "play" else ["--source", str(wav)]
    capture = card_module.Capture(virtual_card)
    try:
        done = subprocess.run(
            [*ANIMAFACE, command, *source, "--face", "bench4", "--hand-map", "--sim", "--json", "--truth", str(truth),
             "--output", card_module.CARD, "--log", str(log)],
            env=dict(virtual_card), capture_output=True, timeout=120, check=False,
        )  # fmt: skip
    finally:
        capture.stop()
    numbers = json.loads(done.stdout.splitlines()[0])
    assert numbers.get("sound") == card_module.CARD, (numbers, done.stderr)
    voice = np.asarray(soxr.resample(samples[: 4 * rate_hz], rate_hz, card_module.RATE_HZ))
    heard_s = capture.heard_at_s(voice)
    assert abs(capture.samples).max() > 0.3, "nothing left the card"
    if capture.lost_s > 0.03:
        pytest.skip(f"this machine is too busy to be measured: the capture lost {capture.lost_s:.2f} s")
    assert numbers["first_heard_s"] == pytest.approx(heard_s, abs=0.05)
    seen = read_truth(truth)
    time_s = seen.seen_s - heard_s
    gap = lip_gap_m(seen.landmarks_m.astype(np.float64))
    gap = gap - float(np.median(gap[(time_s > -0.4) & (time_s < -0.1)]))
    phones = [p for p in read_phones(DEMO.with_suffix(".phones.json")) if p.end_s < 3.9]
    lips = count_lips(time_s, gap, gap, phones)
    assert lips.offset_events >= 6
    assert abs(lips.offset_mean_ms) < 60.0
    assert read_log(log).samples()[0] == pytest.approx(heard_s, abs=0.1 if command == "play" else 2.0)

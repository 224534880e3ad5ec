"""Play and live on the sound card's own time: drift in virtual time, cards that tell nonsense, a virtual card."""

import json
import logging
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from animaface.app.live import stored_delays
from animaface.app.live.feed import PLAY_RATE_HZ, Feed
from animaface.app.live.sample_clock import CardTimes, SampleClock
from animaface.app.live.speaker import PlayBuffer
from animaface.app.live.timelines import Played
from animaface.app.playback import LEAD_S, Playing
from animaface.robot.face.clock import LockStepClock

ANIMAFACE = [sys.executable, "-m", "animaface.app.main"]
PPM = 100.0
_BLOCK = 2400


class _Card:
    """A sound card in virtual time whose seconds are longer than ours; its words come with jitter, every 50 ms."""

    name = "drifting"

    def __init__(self, clock: LockStepClock, ppm: float, jitter_s: float = 1e-3) -> None:
        self.clock = SampleClock(PLAY_RATE_HZ)
        self.buffer = PlayBuffer()
        self.heard = 0
        self.hears = False
        self._per_s = PLAY_RATE_HZ / (1.0 + 1e-6 * ppm)
        self._rng, self._jitter_s = np.random.default_rng(0), jitter_s
        self._time, self._began_s, self._k = clock, clock.now_s(), 0

    def run_to(self, now_s: float) -> None:
        while self.true_s(480 * self._k) <= now_s:
            self.clock.observe(
                480 * self._k, self.true_s(480 * self._k) + self._rng.normal(0.0, self._jitter_s)
            )
            self.heard += int(np.count_nonzero(self.buffer.read(480)))
            self._k += 1

    def true_s(self, position: float) -> float:
        return self._began_s + position / self._per_s

    def start(self) -> None:
        pass

    def write(self, position: int, block: np.ndarray) -> None:
        if self.hears:
            self.buffer.write(position, block)

    def mute(self) -> None:
        pass

    def stop(self) -> None:
        pass


class _Motors:
    def __init__(self) -> None:
        self.due_s: list[float] = []

    def push(self, due_s: float, u: np.ndarray, *, replace: bool = False) -> None:
        self.due_s.append(due_s)


class _Nobody:
    def sound(self, *_: object) -> None:
        pass

    def shapes(self, *_: object) -> None:
        pass


@pytest.mark.parametrize("ppm", [-PPM, PPM])
def test_play_drifts_less_than_5_ms_in_half_an_hour(ppm: float) -> None:
    """Every frame's due time against the moment at which its sound is really heard, 30 minutes in virtual time."""
    time_, motors = LockStepClock(1000.0), _Motors()
    card = _Card(time_, ppm)
    card.run_to(time_.now_s())
    due_s = np.arange(-LEAD_S, 30 * 60.0, 0.1)
    run = Playing(due_s, np.zeros((len(due_s), 1)), None, None, card, _Nobody(), time_)  # type: ignore[arg-type]
    run.begin()
    while run.done_s < due_s[-1]:
        run.feed(motors)
        time_.sleep_until_s(time_.now_s() + 0.25)
        card.run_to(time_.now_s())
    true_s = np.array([card.true_s(run._first + t * PLAY_RATE_HZ) for t in due_s])
    error_s = np.array(motors.due_s) - true_s[: len(motors.due_s)]
    assert len(error_s) == len(due_s)
    assert np.abs(error_s).max() < 0.005
    assert np.abs(error_s[len(error_s) // 2 :]).max() < 0.002


def test_live_drifts_less_than_5_ms_in_half_an_hour() -> None:
    time_ = LockStepClock(1000.0)
    card, feed = _Card(time_, PPM), Feed()
    card.run_to(time_.now_s())
    line = Played(feed, card, 0.3)
    errors = []
    for _ in range(30 * 60 * 5):
        time_.sleep_until_s(time_.now_s() + 0.2)
        card.run_to(time_.now_s())
        line.pull(time_.now_s())
        now_s = time_.now_s() + 0.02
        heard_s = line.sound_at(now_s)
        errors.append(heard_s - (now_s - card.true_s(0)) * card._per_s / PLAY_RATE_HZ)
    assert np.abs(errors).max() < 0.005
    assert line.gaps == 0


def test_a_minute_on_a_drifting_card_loses_no_sample() -> None:
    time_ = LockStepClock(1000.0)
    card, feed = _Card(time_, 50 * PPM), Feed()
    card.hears = True
    card.run_to(time_.now_s())
    line = Played(feed, card, 0.3)
    feed.begin(PLAY_RATE_HZ)
    for step in range(60 * 5):
        feed.put(np.ones(9600 if step else 28_800, np.float32))
        time_.sleep_until_s(time_.now_s() + 0.2)
        card.run_to(time_.now_s())
        line.pull(time_.now_s())
    assert feed.holes == line.gaps == 0
    assert card.heard == pytest.approx(feed.taken, abs=0.4 * PLAY_RATE_HZ)


def _readings(told_s: float, stored_s: float | None = None) -> tuple[CardTimes, float]:
    """300 blocks of a card that is really 30 ms late -> the error of the clock at the end."""
    clock = SampleClock(PLAY_RATE_HZ)
    times = CardTimes(clock, "some card", output=True, stored_s=stored_s)
    for k in range(300):
        times.observe(480 * k, 50.0 + 0.01 * k, told_s, 0.025)
    return times, clock.at_s(480 * 300) - (50.0 + 3.0 + 0.03)


def test_a_card_that_tells_the_truth_is_believed() -> None:
    times, error_s = _readings(0.03)
    assert abs(error_s) < 1e-4
    assert not times.replaced
    assert times.delay_s == pytest.approx(0.03)


@pytest.mark.parametrize("told_s", [0.0, -0.02, 0.9, float("nan")])
def test_a_card_that_tells_nonsense_is_replaced_and_that_is_said_once(
    told_s: float, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        times, error_s = _readings(told_s)
    assert times.replaced
    assert abs(error_s + 0.005) < 1e-3, "the latency that the card states"
    assert len(caplog.records) == 1
    assert "some card" in caplog.text


def test_a_delay_that_was_measured_overrules_a_plausible_lie() -> None:
    times, error_s = _readings(0.1, stored_s=0.03)
    assert times.replaced
    assert abs(error_s) < 1e-3


def test_a_measured_delay_is_kept_for_its_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert stored_delays.stored_delay_s("output", "a card") is None
    stored_delays.store_delay("output", "a card", 0.042)
    stored_delays.store_delay("output", "another", 0.01)
    assert stored_delays.stored_delay_s("output", "a card") == pytest.approx(0.042)
    assert stored_delays.stored_delay_s("input", "a card") is None
    stored_delays.delays_file().write_text("[broken")
    assert stored_delays.stored_delay_s("output", "a card") is None


def test_a_stream_that_lost_samples_is_followed_at_once() -> None:
    clock = SampleClock(PLAY_RATE_HZ)
    for k in range(500):
        clock.observe(480 * k, 0.01 * k)
    clock.broke()
    for k in range(500, 505):
        clock.observe(480 * k, 0.01 * k + 0.04)
    assert clock.at_s(480 * 505) == pytest.approx(5.05 + 0.04, abs=1e-4)


def test_doctor_lists_devices_by_name_and_hears_its_own_clicks(virtual_card: Mapping[str, str]) -> None:
    done = subprocess.run(
        [*ANIMAFACE, "doctor", "--audio-loop", "--output", "virtual_card", "--device", "virtual_monitor", "--json"],
        env=dict(virtual_card), capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    findings = {f["what"]: f["found"] for f in json.loads(done.stdout.splitlines()[-1])["findings"]}
    assert "virtual_card" in findings["sound card"]
    assert "virtual_monitor" in findings["microphone"]
    heard = int(findings["audio loop, virtual_card"].split()[0])
    assert heard >= 10


def test_an_unknown_device_is_answered_with_the_names_that_are_there(virtual_card: Mapping[str, str]) -> None:
    done = subprocess.run([*ANIMAFACE, "play", "demo", "--sim", "--face", "bench4", "--output", "nonsense", "--json"],
                          env=dict(virtual_card), capture_output=True, timeout=120, check=False)  # fmt: skip
    assert done.returncode == 1
    assert "virtual_card" in json.loads(done.stdout.splitlines()[-1])["error"]

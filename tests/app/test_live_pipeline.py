"""The live pipeline in virtual time: real network, real hand map, a clock that moves when told."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from animaface.app.live.attention import Attention
from animaface.app.live.feed import PLAY_RATE_HZ, Feed
from animaface.app.live.motor_stream import MotorStream, Relaxation
from animaface.app.live.pipeline import CAPTURED_AHEAD_S, PUSH_AHEAD_S, LivePipeline
from animaface.app.live.sample_clock import SampleClock
from animaface.app.live.speaker import PlayBuffer, VirtualSpeaker
from animaface.app.live.timelines import Captured, Played, needed_delay_s
from animaface.app.motion import RAMPS_S, motion_of
from animaface.robot.config import FaceConfig, load_face
from animaface.robot.face.arkit import ARKIT_INDEX, CHANNEL_NAMES, N_CHANNELS
from animaface.robot.face.clock import LockStepClock
from animaface.robot.gate import GateState, gate
from animaface.robot.handmap import HandMap
from animaface.robot.limits import GateLimits
from animaface.speech.emotion import parse_emotion
from animaface.speech.perform import Performer

DEMO = Path(__file__).parents[2] / "app" / "assets" / "demo.flac"


class _Log:
    """What the control process would have got, with the time at which it got it."""

    def __init__(self, clock: LockStepClock) -> None:
        self._clock = clock
        self.rows: list[tuple[float, float, np.ndarray]] = []

    def push(self, due_s: float, u: np.ndarray, *, replace: bool = False) -> None:
        if replace:
            self.rows = [row for row in self.rows if row[0] <= self._clock.now_s()]
        self.rows.append((due_s, self._clock.now_s(), np.array(u)))

    @property
    def due_s(self) -> np.ndarray:
        return np.array([r[0] for r in self.rows])

    @property
    def u(self) -> np.ndarray:
        return np.array([r[2] for r in self.rows])


class _HeardSpeaker(VirtualSpeaker):
    """Virtual, and remembers what would have been heard, through the buffer of the real card."""

    def __init__(self, clock: LockStepClock) -> None:
        super().__init__(clock)
        self._buffer = PlayBuffer()
        self.heard: list[np.ndarray] = []
        clock.attach(self._play)

    def write(self, position: int, block: np.ndarray) -> None:
        self._buffer.write(position, block)

    def mute(self) -> None:
        self._buffer.mute()

    def _play(self, now_s: float) -> None:
        n = int(self.clock.position_at(now_s)) - self._buffer.played if self.clock.known else 0
        if n > 0:
            self.heard.append(self._buffer.read(n))


class _Stage:
    def __init__(self, config: FaceConfig, *, emotion: str = "neutral") -> None:
        self.config, self.clock = config, LockStepClock(100.0)
        self.feed, self.speaker = Feed(), _HeardSpeaker(self.clock)
        motion = motion_of(config, sim=True, use_calibration=False)
        self.motors = MotorStream(config, motion)
        self.log = _Log(self.clock)
        delay_s = needed_delay_s(anticipation_s=0.0, lookahead_s=self.motors.lookahead_s,
                                 lag_s=self.motors.largest_lag_s, push_ahead_s=PUSH_AHEAD_S)  # fmt: skip
        self.timeline = Played(self.feed, self.speaker, delay_s)
        self.states: list[str] = []
        self.pipeline = LivePipeline(
            self.timeline, Performer(emotion=emotion, seed=3), self.motors, self.log, Relaxation(config), self.clock,
            on_interrupt=self.speaker.mute, on_state=self.states.append,
        )  # fmt: skip
        self.speaker.start()

    def run(self, seconds: float, *, step_s: float = 0.01) -> None:
        end_s = self.clock.now_s() + seconds
        while self.clock.now_s() < end_s - 1e-9:
            self.pipeline.step()
            self.clock.sleep_until_s(self.clock.now_s() + step_s)

    def say(self, samples: np.ndarray, rate_hz: int) -> None:
        self.feed.begin(rate_hz)
        self.feed.put(samples)
        self.feed.complete()


@pytest.fixture(scope="module")
def config() -> FaceConfig:
    return load_face("hybrid")


@pytest.fixture(scope="module")
def voice() -> tuple[np.ndarray, int]:
    samples, rate_hz = soundfile.read(DEMO, dtype="float32")
    return samples[: 3 * rate_hz], rate_hz


def test_lips_and_voice_meet_whatever_the_chunks(config: FaceConfig, voice: tuple[np.ndarray, int]) -> None:
    """What is due when a sample is heard is the hand map of the curves at that sample, lag ahead."""
    stage = _Stage(config)
    stage.run(0.5)
    stage.say(*voice)
    stage.run(4.5)
    heard = np.concatenate(stage.speaker.heard)
    start = float(np.argmax(np.abs(heard) > 0.01)) / PLAY_RATE_HZ
    own = float(np.argmax(np.abs(voice[0]) > 0.01)) / voice[1]
    frames = Performer(seed=3).push(
        np.concatenate([np.zeros(int(16_000 * (start - own)), np.float32), _at_16k(voice)])
    )
    expected = HandMap(config)(frames.values)
    lag_s = np.array([a.whole_lag_ms for a in config.actuators.values()]) * 1e-3 + RAMPS_S
    jaw = config.names.index("jaw_open")
    sound_s = stage.log.due_s - 100.0 + lag_s[jaw]
    want = np.interp(sound_s, frames.time_s, expected[:, jaw])
    got = stage.log.u[:, jaw]
    while_speaking = (sound_s > start + 0.2) & (sound_s < start + 2.5)
    assert np.ptp(want[while_speaking]) > 0.1
    shifts = np.arange(-5, 6)
    errors = [np.abs(got[while_speaking] - np.roll(want, k)[while_speaking]).mean() for k in shifts]
    assert abs(shifts[int(np.argmin(errors))]) <= 1  # within a hundredth of a second
    assert np.corrcoef(got[while_speaking], want[while_speaking])[0, 1] > 0.98
    assert stage.pipeline.counts.late == stage.pipeline.counts.skipped == 0


def _at_16k(voice: tuple[np.ndarray, int]) -> np.ndarray:
    from animaface.speech.sound import MonoStream

    return MonoStream(voice[1]).push(voice[0], last=True)


def test_commands_come_in_order_and_before_they_are_due(
    config: FaceConfig, voice: tuple[np.ndarray, int]
) -> None:
    stage = _Stage(config)
    stage.say(*voice)
    stage.run(2.0)
    assert (np.diff(stage.log.due_s) > 0).all()
    given = np.array([r[1] for r in stage.log.rows])
    assert (stage.log.due_s >= given).all()
    assert (stage.log.due_s - given <= 0.08 + 1e-6).all()


def test_an_interruption_stops_voice_and_mouth_within_100_ms_without_a_snap(
    config: FaceConfig, voice: tuple[np.ndarray, int]
) -> None:
    stage = _Stage(config)
    stage.say(*voice)
    stage.run(1.5)
    stage.feed.drop()
    stage.pipeline.interrupt()
    at_s, heard_before = stage.clock.now_s(), sum(len(b) for b in stage.speaker.heard)
    stage.run(2.0)
    heard = np.concatenate(stage.speaker.heard)[heard_before:]
    assert np.abs(heard[: PLAY_RATE_HZ // 100]).max() > 0.0 or np.abs(heard).max() == 0.0
    assert not heard[int(0.1 * PLAY_RATE_HZ) :].any()
    jaw = config.names.index("jaw_open")
    limits = GateLimits.of(config)
    state, applied = GateState.at(stage.log.u[0]), []
    for u in stage.log.u:
        state, out, _ = gate(state, u, limits, 0.01)
        applied.append(out[jaw])
    path = np.array(applied)
    before, after = stage.log.due_s < at_s, stage.log.due_s > at_s + 0.1
    assert np.ptp(path[before]) > 0.1
    assert np.ptp(path[after]) < 0.03  # shut, and stays so
    assert np.abs(np.diff(path, n=2)).max() <= limits.acceleration[jaw] * 1e-4 + 1e-9


def test_speech_begun_right_after_an_interruption_is_spoken(
    config: FaceConfig, voice: tuple[np.ndarray, int]
) -> None:
    stage = _Stage(config)
    stage.say(*voice)
    stage.run(1.0)
    stage.feed.drop()
    stage.pipeline.interrupt()
    stage.say(*voice)
    stage.run(1.0)
    jaw = config.names.index("jaw_open")
    last = stage.log.due_s > stage.clock.now_s() - 0.5
    assert np.ptp(stage.log.u[last, jaw]) > 0.05
    assert np.abs(np.concatenate(stage.speaker.heard)[-PLAY_RATE_HZ // 2 :]).max() > 0.05


def test_a_pipeline_without_its_turn_counts_what_it_skipped(config: FaceConfig) -> None:
    stage = _Stage(config)
    stage.run(1.0)
    stage.clock.sleep_until_s(stage.clock.now_s() + 0.4)
    stage.run(0.5)
    counts = stage.pipeline.counts
    assert 25 <= counts.skipped <= 45
    assert counts.longest_stall_s == pytest.approx(0.35, abs=0.05)
    assert (np.diff(stage.log.due_s) > 0).all()


def test_a_short_stall_goes_unseen(config: FaceConfig, voice: tuple[np.ndarray, int]) -> None:
    """What no frame to come can change leaves early: a busy machine's stalls of 30 to 60 ms once cost 5 % of the commands."""
    stage = _Stage(config)
    stage.say(*voice)
    stage.run(1.0)
    for _ in range(15):
        stage.clock.sleep_until_s(stage.clock.now_s() + 0.06)
        stage.run(0.1)
    counts = stage.pipeline.counts
    assert counts.skipped == counts.late == 0
    assert np.diff(stage.log.due_s[10:]) == pytest.approx(0.01, abs=1e-6)
    assert (stage.log.due_s - np.array([r[1] for r in stage.log.rows]) > -1e-6)[10:].all()


def test_a_stall_longer_than_the_delay_pauses_the_voice_and_loses_nothing(
    config: FaceConfig, voice: tuple[np.ndarray, int]
) -> None:
    stage = _Stage(config)
    stage.say(*voice)
    stage.run(1.0)
    stage.clock.sleep_until_s(stage.clock.now_s() + 0.8)
    stage.run(4.0)
    assert stage.timeline.gaps == 1
    heard = np.concatenate(stage.speaker.heard)
    rms = np.sqrt(np.mean(np.square(voice[0])) * len(voice[0]) / voice[1])
    assert np.sqrt(np.sum(np.square(heard)) / PLAY_RATE_HZ) == pytest.approx(rms, rel=0.01)


def test_after_a_stall_the_networks_get_small_pieces(
    config: FaceConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An hour of talk grew by 13 MB in three steps: after each of its longest stalls all that was waiting went through
    the networks at once, and onnxruntime keeps the memory of the longest piece for good."""
    sizes: list[int] = []
    push = Performer.push
    monkeypatch.setattr(Performer, "push", lambda self, x: (sizes.append(len(x)), push(self, x))[1])
    stage = _Stage(config)
    for stall_s in (1.0, 0.7, 2.5):
        stage.clock.sleep_until_s(stage.clock.now_s() + stall_s)
        stage.run(0.3)
    assert sum(sizes) > 16_000 * 4.9  # nothing is left out
    assert max(sizes) <= 1600


def test_an_emotion_comes_while_it_speaks(config: FaceConfig) -> None:
    stage = _Stage(config)
    stage.run(1.0)
    corner = config.names.index("corner_a_left")
    before = stage.log.u[-1, corner]
    stage.pipeline.set_emotion(parse_emotion("happy:0.8"))
    stage.run(1.5)
    assert stage.log.u[-1, corner] > before + 0.05


def test_talking_listening_idle(config: FaceConfig, voice: tuple[np.ndarray, int]) -> None:
    stage = _Stage(config)
    stage.run(0.5)
    assert stage.pipeline.state == "idle"
    stage.say(*voice)
    stage.run(2.0)
    assert stage.pipeline.state == "talking"
    stage.run(3.5)
    stage.pipeline.set_other(True)
    stage.run(1.5)
    assert stage.pipeline.state == "listening"
    stage.pipeline.set_other(False)
    stage.run(6.0)
    assert stage.pipeline.state == "idle"
    assert stage.states[-2:] == ["listening", "idle"]


def test_a_listener_nods_after_somebody_has_spoken_and_moves_smoothly() -> None:
    attention = Attention(seed=1)
    values, silent = np.zeros((60, N_CHANNELS)), np.zeros(60, bool)
    rows = []
    for second in range(40):
        rows.append(attention.advance(values, silent, other=second % 4 < 3))
    pitch = np.concatenate(rows)[:, CHANNEL_NAMES.index("headPitch")]
    assert (
        3 <= int(((pitch[1:-1] > 0.02) & (np.diff(pitch)[:-1] > 0) & (np.diff(pitch)[1:] <= 0)).sum()) <= 40
    )
    assert np.abs(np.diff(pitch)).max() * 60 < 1.2  # rad/s
    assert np.abs(np.diff(pitch, n=2)).max() * 3600 < 40.0


def test_a_listener_keeps_its_eyes_on_the_speaker() -> None:
    attention = Attention()
    away = np.zeros((120, N_CHANNELS))
    away[:, ARKIT_INDEX["eyeLookOutLeft"]] = 0.5
    listening = attention.advance(away, np.zeros(120, bool), other=True)
    assert listening[-1, ARKIT_INDEX["eyeLookOutLeft"]] < 0.3


def test_tired_servos_relax_in_idleness_only(config: FaceConfig) -> None:
    relaxation = Relaxation(config)
    u = np.ones(len(config.names))
    for _ in range(12_000):
        talking = relaxation.apply(u, 0.0, 0.01)
    np.testing.assert_array_equal(talking, u)
    idle = relaxation.apply(u, 1.0, 0.01)
    far = relaxation.neutral_u < 0.6
    assert (idle[far] < 0.8).all()
    rested = Relaxation(config).apply(u, 1.0, 0.01)
    np.testing.assert_allclose(rested, u, atol=1e-6)


class _Air:
    """A microphone in virtual time: 10 ms blocks, handed over `late_s` after they were in the air."""

    name = "air"
    lost = 0

    def __init__(self, clock: LockStepClock, samples: np.ndarray, late_s: float, ppm: float) -> None:
        self.clock = SampleClock(16_000)
        self._time, self._samples = clock, samples
        self._late_s, self._per_s = late_s, 16_000 / (1.0 + 1e-6 * ppm)
        self._began_s, self._given = clock.now_s(), 0

    def read(self) -> np.ndarray:
        end = int((self._time.now_s() - self._began_s - self._late_s) * self._per_s) // 160 * 160
        if end <= self._given:
            return np.zeros(0, np.float32)
        first, self._given = self._given, min(end, len(self._samples))
        self.clock.observe(first, self._began_s + first / self._per_s)
        return np.asarray(self._samples[first : self._given])


def test_a_microphone_is_followed_as_soon_as_it_can_be_and_the_lateness_is_the_true_one(
    config: FaceConfig, voice: tuple[np.ndarray, int]
) -> None:
    clock = LockStepClock(50.0)
    samples = np.concatenate([np.zeros(32_000, np.float32), _at_16k(voice)])
    motors = MotorStream(config, motion_of(config, sim=True, use_calibration=False))
    microphone, log = _Air(clock, samples, 0.02, 60.0), _Log(clock)
    timeline = Captured(microphone, motors.mouth_lag_s)  # type: ignore[arg-type]
    pipeline = LivePipeline(
        timeline, Performer(seed=3), motors, log, Relaxation(config), clock, push_ahead_s=CAPTURED_AHEAD_S
    )
    end_s = clock.now_s() + 4.9
    while clock.now_s() < end_s:
        pipeline.step()
        clock.sleep_until_s(clock.now_s() + 0.01)
    frames = Performer(seed=3).push(samples)
    jaw = config.names.index("jaw_open")
    want = HandMap(config)(frames.values)[:, jaw]
    due = log.due_s - 50.0
    speaking = (due > 2.5) & (due < 4.5)
    delays = np.arange(0.0, 0.3, 0.002)
    errors = [
        np.abs(log.u[speaking, jaw] - np.interp(due[speaking] - d, frames.time_s, want)).mean()
        for d in delays
    ]
    told_after_s = delays[int(np.argmin(errors))]
    # capture 10 + hand-over 20 + look-ahead 40 + frame 17 + tick and push 16
    assert told_after_s < 0.105
    assert timeline.delay_s == pytest.approx(told_after_s + motors.mouth_lag_s, abs=0.02)
    assert pipeline.counts.late <= 0.01 * pipeline.counts.points

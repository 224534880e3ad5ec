"""The life of a face against human numbers (REFERENCE.md), over simulated minutes."""

from functools import cache

import numpy as np
import pytest
from scipy.signal import find_peaks

from animaface.robot.face.errors import InputError
from animaface.speech.emotion import EmotionFrames, EmotionLayer, EmotionMix
from animaface.speech.life import Life, LifeFrames, LifeOptions
from animaface.speech.life.accents import BROW_RISE_S
from animaface.speech.life.gaze import saccade_s
from animaface.speech.life.head import BEAT_RISE_S
from animaface.speech.prosody import ProsodyFrames, ProsodyTracker

RATE = 60.0


@cache
def talk(minutes: float = 4.0) -> ProsodyFrames:
    """Prosody of an invented talker: syllables in phrases of 1.5 to 4 s with pauses of .3 to .7 s."""
    rng = np.random.default_rng(11)
    rate, parts = 16000, []
    while sum(map(len, parts)) < minutes * 60 * rate:
        for _ in range(int(rng.integers(6, 16))):
            n = int(rate * rng.uniform(0.16, 0.3))
            t = np.arange(n) / rate
            loud = 10 ** rng.uniform(-1.4, -0.5) * np.sin(np.pi * t * rate / n) ** 0.7
            pitch = rng.uniform(90, 140)
            parts.append(loud * sum(np.sin(2 * np.pi * pitch * k * t) / k for k in range(1, 20)) * 0.3)
        parts.append(np.zeros(int(rate * rng.uniform(0.3, 0.7))))
    voice = np.concatenate(parts) + rng.normal(0.0, 2e-4, sum(map(len, parts)))
    return ProsodyTracker().push(voice.astype(np.float32))


def neutral(prosody: ProsodyFrames) -> EmotionFrames:
    return EmotionLayer().advance(prosody)


@cache
def talking_life(seed: int) -> LifeFrames:
    return Life(seed).advance(talk(), neutral(talk()))


@cache
def listening_life(seed: int, rate_hz: float = RATE, minutes: float = 5.0) -> LifeFrames:
    silence = ProsodyFrames.silence(int(minutes * 60 * rate_hz), rate_hz=rate_hz)
    return Life(seed, rate_hz=rate_hz).advance(silence, neutral(silence))


def spells(on: np.ndarray) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[0], on.astype(int), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def test_blink_rates() -> None:
    for seed in (0, 1, 2):
        minutes = len(talk()) / RATE / 60.0
        assert 20.0 <= len(spells(talking_life(seed).blink > 0)) / minutes <= 32.0
        assert 12.0 <= len(spells(listening_life(seed).blink > 0)) / 5.0 <= 22.0
    reading = ProsodyFrames.silence(36000)
    life = Life(0, LifeOptions(pause_state="reading")).advance(reading, neutral(reading))
    assert 2.0 <= len(spells(life.blink > 0)) / 10.0 <= 8.0


def test_blinks_close_quicker_than_they_open_and_half_are_partial() -> None:
    closing, opening, depth = [], [], []
    for seed in range(4):
        blink = listening_life(seed).blink
        for first, end in spells(blink > 0.01):
            top = first + int(blink[first:end].argmax())
            closing.append((top - first + 1) / RATE)
            opening.append((end - top) / RATE)
            depth.append(blink[top])
    assert len(closing) > 250
    assert 0.060 <= np.mean(closing) <= 0.090
    assert np.percentile(closing, 5) >= 0.049
    assert np.percentile(closing, 95) <= 0.101
    assert 0.30 <= 1.0 - np.mean(closing) / np.mean(opening) <= 0.52
    assert 0.4 <= np.mean(np.array(depth) < 0.9) <= 0.6


def test_blinks_prefer_the_ends_of_phrases() -> None:
    ends = np.flatnonzero(talk().phrase_end)
    near = np.zeros(len(talk()), bool)
    for e in ends:
        near[e : e + 12] = True
    share = [np.mean([near[a] for a, _ in spells(talking_life(s).blink > 0)]) for s in range(3)]
    assert np.mean(share) > 2.5 * near.mean()


def test_an_emotion_changes_the_blink_rate() -> None:
    silence = ProsodyFrames.silence(18000)
    counts = []
    for name in ("fear", "surprise"):
        mood = EmotionLayer(EmotionMix({name: 1.0})).advance(silence)
        counts.append(len(spells(Life(0).advance(silence, mood).blink > 0)))
    assert counts[0] > 2.0 * counts[1]


def test_saccades_keep_the_main_sequence() -> None:
    """Durations on a fine clock within 20 % of 2.2 ms/deg + 21 ms; 10 degrees peak near 400 deg/s."""
    options = LifeOptions(blinks=False, head=False, breathing=False, brows=False)
    silence = ProsodyFrames.silence(80_000, rate_hz=1000.0)
    life = Life(0, options, rate_hz=1000.0).advance(silence, neutral(silence))
    moving = np.abs(np.diff(life.gaze_rad, axis=0)).max(axis=1) > 0
    checked = 0
    for first, end in spells(moving):
        jump_deg = np.degrees(np.linalg.norm(life.gaze_rad[end] - life.gaze_rad[first]))
        if jump_deg < 0.5:
            continue
        checked += 1
        assert (end - first) / 1000.0 == pytest.approx(0.0022 * jump_deg + 0.021, rel=0.2)
    assert checked > 50
    assert saccade_s(np.radians(10.0)) == pytest.approx(0.043)
    assert 350 <= 1.875 * 10.0 / saccade_s(np.radians(10.0)) <= 450  # minimum jerk peaks at 1.875 x mean


def test_gaze_rests_on_the_others_face() -> None:
    on = np.concatenate([listening_life(s).on_face for s in range(4)])
    assert 0.52 <= on.mean() <= 0.68
    lengths = [(b - a) / RATE for a, b in spells(on > 0)]
    assert 1.8 <= np.mean(lengths) <= 2.6


def test_eyes_counter_the_head() -> None:
    life = talking_life(0)
    world = life.gaze_rad + life.head_rad[:, :2]
    still = np.abs(np.diff(world, axis=0)).max(axis=1) < 1e-9
    assert still.mean() > 0.85  # in the world, eyes move in saccades alone


@pytest.mark.parametrize("seed", range(4))
def test_head_of_a_talker(seed: int) -> None:
    head = np.degrees(talking_life(seed).head_rad)[talk().talking > 0]
    for sd, human in zip(head.std(axis=0), (1.4, 1.2, 0.9), strict=True):
        assert 0.7 * human <= sd <= 1.3 * human
    whole = np.degrees(talking_life(seed).head_rad)
    power = np.abs(np.fft.rfft((whole - whole.mean(axis=0)) * np.hanning(len(whole))[:, None], axis=0)) ** 2
    low = np.fft.rfftfreq(len(whole), 1 / RATE) < 4.0
    assert (power[low].sum(axis=0) / power.sum(axis=0)).min() >= 0.95


def test_head_follows_the_low_band_of_the_voice() -> None:
    talks = talk().talking > 0
    r = [np.corrcoef(talking_life(s).head_rad[talks, 1], talk().slow[talks])[0, 1] for s in range(3)]
    assert np.mean(r) > 0.3


def peaks(curve: np.ndarray, prominence: float) -> np.ndarray:
    return np.asarray(find_peaks(curve, prominence=prominence)[0])


def test_head_and_brows_beat_on_stress() -> None:
    """Peaks of nods and brows within 150 ms of a stressed syllable, far more often than by chance."""
    near = np.zeros(len(talk()), bool)
    for s in np.flatnonzero(talk().stress):
        near[max(0, s - 9) : s + 10] = True
    chance = near[talk().talking > 0].mean()
    lives = [talking_life(s) for s in range(3)]
    nods = np.mean([near[peaks(np.degrees(life.head_rad[:, 1]), 0.7)].mean() for life in lives])
    brows = np.mean([near[peaks(life.brow, 0.05)].mean() for life in lives])
    assert nods > min(0.8, 1.5 * chance)
    assert brows > min(0.95, 2.0 * chance)
    assert BEAT_RISE_S <= 0.15
    assert BROW_RISE_S <= 0.15


def test_silence_is_exactly_still_between_events() -> None:
    """Between changes of posture the head's bits do not change: idle breathing buzzes on servos."""
    head = listening_life(0).head_rad
    moving = np.abs(np.diff(head, axis=0)).max(axis=1) > 0
    assert 0.02 < moving.mean() < 0.25
    assert np.median([b - a for a, b in spells(~moving)]) > 2 * RATE
    assert listening_life(0).brow.max() == 0.0
    assert listening_life(0).breath.max() == 0.0


def test_breath_is_drawn_in_pauses() -> None:
    breath = talking_life(0).breath
    ends = np.flatnonzero(talk().phrase_end)[:-1]
    assert np.mean([breath[e + 15] - breath[e] for e in ends]) > 0.2
    assert breath.min() >= 0.0
    assert breath.max() <= 1.0


def test_still_means_still() -> None:
    life = Life(0, LifeOptions.still()).advance(talk(), neutral(talk()))
    for curve in (life.blink, life.gaze_rad, life.head_rad, life.brow, life.breath):
        assert np.abs(curve).max() == 0.0


def test_any_chunks_and_the_same_seed_give_the_same_bits() -> None:
    prosody = talk()[:3000]
    mood = neutral(prosody)
    whole = Life(7).advance(prosody, mood)
    life, parts, at = Life(7), [], 0
    for size in (1, 7, 100, 0, 531, 3000):
        part = slice(at, min(at + size, len(prosody)))
        cut = EmotionFrames(*(getattr(mood, f)[part] for f in EmotionFrames.__dataclass_fields__))
        parts.append(life.advance(prosody[part], cut))
        at = part.stop
    for name in LifeFrames.__dataclass_fields__:
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), getattr(whole, name))
    other = Life(8).advance(prosody, mood)
    assert np.abs(other.head_rad - whole.head_rad).max() > 0.005


def test_layers_draw_apart() -> None:
    """Without blinks the rest is bit for bit the same."""
    prosody = talk()[:3000]
    a = Life(3).advance(prosody, neutral(prosody))
    b = Life(3, LifeOptions(blinks=False, brows=False)).advance(prosody, neutral(prosody))
    np.testing.assert_array_equal(a.head_rad, b.head_rad)
    np.testing.assert_array_equal(a.gaze_rad, b.gaze_rad)


def test_an_unknown_state_names_the_valid_ones() -> None:
    with pytest.raises(InputError, match="reading"):
        LifeOptions(pause_state="dozing")

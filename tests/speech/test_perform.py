"""A performance of a real recording: same bits for any chunks, closures that survive, an end at rest."""

import json
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES, N_CHANNELS
from animaface.robot.face.errors import InputError
from animaface.speech.emotion import EMOTIONS, EmotionMix
from animaface.speech.life import LifeOptions
from animaface.speech.perform import SETTLE_S, Performer, perform
from animaface.speech.sound import Sound, read_sound

ASSETS = Path(__file__).parents[2] / "app" / "assets"
NAMES = ("SIL", "M", "B", "P", "F", "V", "AA")
CLOSED = ("M", "B", "P")
LEAD = 640  # samples of look-ahead, as the network has


@dataclass
class Curves:
    time_s: np.ndarray
    values: np.ndarray
    phones: np.ndarray


class ScriptedSpeech:
    """Curves straight from an alignment: vowels open, m b p close, silence rests; 40 ms of look-ahead."""

    phone_names = NAMES

    def __init__(self, phones: list[tuple[str, float, float]]) -> None:
        self._phones = phones
        self._heard = 0
        self._done = 0

    def push(self, samples: np.ndarray) -> Curves:
        self._heard += len(samples)
        return self._until((self._heard - LEAD) * 60 // 16000 + 1 if self._heard >= LEAD else 0)

    def flush(self) -> Curves:
        return self._until(self._heard * 60 // 16000 + 1)

    def _until(self, end: int) -> Curves:
        t = np.arange(self._done, max(end, self._done)) / 60.0
        self._done += len(t)
        values, phones = np.zeros((len(t), N_CHANNELS)), np.zeros((len(t), len(NAMES)))
        for name, start, stop in self._phones:
            inside = (t >= start) & (t < stop)
            if name in CLOSED:
                phones[inside, NAMES.index(name)] = 0.9
                values[inside, ARKIT_INDEX["mouthPressLeft"]] = 0.3
            elif name in ("SIL", "F", "V"):
                phones[inside, NAMES.index(name)] = 0.9
            else:
                phones[inside, NAMES.index("AA")] = 0.9
                bump = np.sin(np.pi * (t[inside] - start) / (stop - start))
                values[inside, ARKIT_INDEX["jawOpen"]] = 0.3 * bump
                values[
                    np.ix_(inside, [ARKIT_INDEX["mouthLowerDownLeft"], ARKIT_INDEX["mouthLowerDownRight"]])
                ] = 0.2 * bump[:, None]
        return Curves(t, values, phones)


@cache
def voice() -> tuple[Sound, list[tuple[str, float, float]]]:
    path = next(ASSETS.glob("demo*.json"))
    phones = [tuple(p) for p in json.loads(path.read_text())["phones"]]
    return read_sound(ASSETS / "demo.flac"), phones


def scripted() -> ScriptedSpeech:
    return ScriptedSpeech(voice()[1])


def closures(time_s: np.ndarray) -> np.ndarray:
    inside = np.zeros(len(time_s), bool)
    for name, start, stop in voice()[1]:
        if name in CLOSED:
            inside |= (time_s >= start) & (time_s < stop)
    return inside


def part(values: np.ndarray, *names: str) -> np.ndarray:
    return values[:, [ARKIT_INDEX[n] for n in names]]


@pytest.mark.parametrize("sizes", [(160,), (37, 1024, 5, 4001), (16000,)])
def test_chunks_do_not_matter(sizes: tuple[int, ...]) -> None:
    samples = voice()[0].samples[:64000]
    for anticipation_s in (0.0, 0.25):
        outs = []
        for chunks in (sizes, (len(samples),)):
            performer = Performer(
                emotion=[(0.0, "happy:0.7"), (2.0, "fear")],
                seed=3,
                anticipation_s=anticipation_s,
                speech=scripted(),
            )
            parts, at, i = [], 0, 0
            while at < len(samples):
                parts.append(performer.push(samples[at : at + chunks[i % len(chunks)]]))
                at, i = at + chunks[i % len(chunks)], i + 1
            parts.append(performer.finish())
            outs.append(np.concatenate([p.values for p in parts]))
        np.testing.assert_array_equal(outs[0], outs[1])


def test_seed_decides() -> None:
    sound, _ = voice()
    a, b, c = (perform(sound, emotion="sad", seed=s, speech=scripted()).take.values for s in (5, 5, 6))
    np.testing.assert_array_equal(a, b)
    assert np.abs(a - c).max() > 0.1


def test_live_frames_come_within_60_ms_of_their_sound() -> None:
    performer = Performer(speech=scripted())
    sound, _ = voice()
    heard_s, worst_s, count = 0.0, 0.0, 0
    for at in range(0, 32000, 160):
        heard_s += 0.01
        for t in performer.push(sound.samples[at : at + 160]).time_s:
            worst_s, count = max(worst_s, heard_s - t), count + 1
    assert count >= 115
    assert worst_s <= 0.060


@pytest.mark.parametrize("live", [True, False])
@pytest.mark.parametrize("name", [e for e in EMOTIONS if e != "neutral"])
def test_closures_survive_every_emotion_at_full_intensity(name: str, live: bool) -> None:
    sound, _ = voice()

    def run(emotion: str) -> tuple[np.ndarray, np.ndarray]:
        if not live:
            take = perform(sound, emotion=emotion, seed=1, speech=scripted()).take
            return take.time_s, take.values
        p = Performer(emotion=emotion, seed=1, speech=scripted())
        parts = [p.push(sound.samples), p.finish()]
        return np.concatenate([q.time_s for q in parts]), np.concatenate([q.values for q in parts])

    time_s, felt = run(name)
    plain = run("neutral")[1]
    at = closures(time_s)
    assert at.sum() > 10
    lost = (part(felt, "jawOpen") - part(felt, "mouthClose")) - (
        part(plain, "jawOpen") - part(plain, "mouthClose")
    )
    assert lost[at].max() <= 0.01
    lips = ("mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight")
    assert (part(felt, *lips) - part(plain, *lips))[at].max() <= 0.01


@pytest.mark.parametrize("name", [e for e in EMOTIONS if e != "neutral"])
def test_open_vowels_survive_every_emotion(name: str) -> None:
    sound, phones = voice()
    felt = perform(sound, emotion=name, speech=scripted()).take
    plain = perform(sound, speech=scripted()).take
    vowels = [p for p in phones if p[0] in ("AA", "AE", "AH", "AO", "AY", "EH") and p[2] - p[1] > 0.05]
    assert len(vowels) > 3
    for _, start, stop in vowels:
        at = (felt.time_s >= start) & (felt.time_s < stop) & (plain.channel("jawOpen") > 0.15)
        assert felt.channel("jawOpen")[at].max() >= 0.8 * plain.channel("jawOpen")[at].max()
        assert part(felt.values, "mouthPressLeft", "mouthRollLower")[at].max() < 0.25
        assert part(felt.values, "mouthShrugLower")[at].max() < 0.45


def test_a_take_ends_at_rest_after_the_sound() -> None:
    sound, _ = voice()
    performance = perform(sound, emotion="surprise", speech=scripted())
    take = performance.take
    assert take.time_s[0] == 0.0
    assert sound.duration_s + SETTLE_S - 0.03 <= take.duration_s <= sound.duration_s + SETTLE_S + 0.02
    assert np.abs(take.values[-1]).max() == 0.0
    assert np.abs(np.diff(take.values[-40:], axis=0)).max() < 0.25
    assert len(performance.phones) == len(performance.prosody) == len(take.time_s)
    shapes = take.values[:, : len(ARKIT_NAMES)]
    assert shapes.min() >= 0.0
    assert shapes.max() <= 1.0


def test_nothing_moves_when_nothing_is_asked() -> None:
    """Silence, no life, neutral: every frame is the same bits, although the network's curves tremble."""

    class Trembling(ScriptedSpeech):
        def _until(self, end: int) -> Curves:
            curves = super()._until(end)
            shake = np.random.default_rng(self._done).normal(0.0, 0.004, curves.values.shape)
            return Curves(curves.time_s, np.abs(curves.values + 0.02 + shake), curves.phones)

    noise = np.random.default_rng(0).normal(0.0, 1e-3, 16000 * 20).astype(np.float32)
    performer = Performer(life=LifeOptions.still(), speech=Trembling([]))
    values = np.concatenate([performer.push(noise).values, performer.finish().values])
    assert np.abs(np.diff(values[240:], axis=0)).max() == 0.0


def test_silence_with_life_is_still_between_its_events() -> None:
    performer = Performer(speech=ScriptedSpeech([]), seed=2)
    values = np.concatenate(
        [performer.push(np.zeros(16000 * 60, np.float32)).values, performer.finish().values]
    )
    moving = np.abs(np.diff(values, axis=0)).max(axis=1) > 0.0
    assert 0.05 < moving.mean() < 0.45
    assert part(values, "jawOpen", "mouthClose", "mouthSmileLeft").max() == 0.0


def test_cues_change_the_emotion_in_time() -> None:
    sound, _ = voice()
    take = perform(sound, emotion=[(0.0, "happy"), (3.0, "anger:0.8")], speech=scripted()).take
    smile, frown = take.channel("mouthSmileLeft"), take.channel("browDownLeft")
    before, after = (
        (take.time_s > 1.5) & (take.time_s < 2.9),
        (take.time_s > 3.8) & (take.time_s < sound.duration_s),
    )
    assert smile[before].mean() > 0.5
    assert smile[after].max() < 0.05
    assert frown[before].max() < 0.2
    assert frown[after].mean() > 0.5
    assert "anger:0.8" in take.notes["emotion"]


def test_a_finished_performer_says_so() -> None:
    performer = Performer(emotion=EmotionMix({"fear": 0.4}), speech=scripted())
    performer.push(np.zeros(4000, np.float32))
    assert len(performer.finish()) > 0
    with pytest.raises(InputError, match="finished"):
        performer.push(np.zeros(10, np.float32))
    with pytest.raises(InputError, match="seed"):
        Performer(seed=-1, speech=scripted())


@pytest.mark.parametrize("n", [800, 801, 1300])
def test_very_short_sounds(n: int) -> None:
    sound = replace(voice()[0], samples=voice()[0].samples[:n], duration_s=n / 16000)
    take = perform(sound, emotion="disgust", speech=scripted()).take
    assert np.isfinite(take.values).all()
    assert take.duration_s > SETTLE_S


def test_a_broken_stream_passes() -> None:
    sound, _ = voice()
    samples = sound.samples[:32000].copy()
    samples[8000:8200] = np.nan
    samples[12000] = np.inf
    samples[16000:16400] *= 1e6
    performer = Performer(emotion="anger", speech=scripted())
    values = np.concatenate([performer.push(samples).values, performer.finish().values])
    assert np.isfinite(values).all()
    for wrong in (np.zeros((10, 2), np.float32), np.zeros(10, np.int16)):
        with pytest.raises(InputError, match="16 kHz"):
            Performer(speech=scripted()).push(wrong)

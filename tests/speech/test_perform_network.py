"""The performer with the shipped network: sealed lips stay sealed under every emotion, rest is rest."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest

from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES
from animaface.speech.emotion import EMOTIONS
from animaface.speech.life import LifeOptions
from animaface.speech.perform import Performance, Performer, perform
from animaface.speech.sound import read_sound
from animaface.speech.stream import predict

LIFTS = [ARKIT_INDEX[f"mouth{n}{s}"] for n in ("UpperUp", "LowerDown") for s in ("Left", "Right")]
MOUTH = [i for i, n in enumerate(ARKIT_NAMES) if n.startswith(("mouth", "jaw"))]


@cache
def performed(emotion: str) -> Performance:
    return perform(
        read_sound(Path(__file__).parents[2] / "app" / "assets" / "demo.flac"), emotion=emotion, seed=4
    )


@pytest.mark.parametrize("name", [e for e in EMOTIONS if e != "neutral"])
def test_what_speech_sealed_no_emotion_opens(name: str) -> None:
    plain, felt = performed("neutral").take.values, performed(name).take.values
    gap = [v[:, ARKIT_INDEX["jawOpen"]] - v[:, ARKIT_INDEX["mouthClose"]] for v in (plain, felt)]
    spoken = performed("neutral").prosody.quiet_s < 0.2
    sealed = spoken & (gap[0] <= 0.03) & (plain[:, LIFTS].max(axis=1) <= 0.03)
    assert sealed.sum() > 5
    assert (gap[1] - gap[0])[sealed].max() <= 0.01
    assert (felt[:, LIFTS] - plain[:, LIFTS])[sealed].max() <= 0.01


def test_neutral_speech_is_the_networks() -> None:
    """While somebody speaks, the mixing adds nothing to the mouth of a neutral face."""
    calm = performed("neutral").take.values
    silent_life = perform(
        read_sound(Path(__file__).parents[2] / "app" / "assets" / "demo.flac"),
        life=LifeOptions.still(),
        seed=9,
    ).take.values
    np.testing.assert_array_equal(calm[:, MOUTH], silent_life[:, MOUTH])
    assert calm[:, ARKIT_INDEX["jawOpen"]].std() > 0.03


@pytest.mark.parametrize("level", [0.0, 1e-3, 0.05])
def test_in_noise_the_mouth_rests_and_nothing_moves(level: float) -> None:
    noise = (np.random.default_rng(3).normal(0.0, 1.0, 16000 * 10) * level).astype(np.float32)
    performer = Performer(life=LifeOptions.still())
    values = np.concatenate([performer.push(noise).values, performer.finish().values])
    assert np.abs(np.diff(values[240:], axis=0)).max() == 0.0
    assert values[240:, ARKIT_INDEX["jawOpen"]].max() == 0.0
    assert values[240:, MOUTH].max() <= 0.1


def test_chunks_do_not_matter_with_the_network() -> None:
    samples = read_sound(Path(__file__).parents[2] / "app" / "assets" / "demo.flac").samples[:40000]
    outs = []
    for size in (len(samples), 333):
        p = Performer(emotion="fear", seed=1)
        parts = [p.push(samples[i : i + size]).values for i in range(0, len(samples), size)]
        outs.append(np.concatenate([*parts, p.finish().values]))
    np.testing.assert_allclose(outs[0], outs[1], atol=2e-3)


@pytest.mark.parametrize("level", [1e-3, 1e-2])
def test_at_the_end_of_a_file_the_jaw_stays_down(level: float) -> None:
    """The jaw rose to .04 where a room's noise gives way to the zeros after a file: no training had shown it that."""
    rng = np.random.default_rng(0)
    speech = read_sound(Path(__file__).parents[2] / "app" / "assets" / "demo.flac").samples[:48000]
    room = np.concatenate([speech, np.zeros(16000)]) + level * rng.standard_normal(64000)
    for sound in (room, np.append(room, np.zeros(8000))):
        values = predict(sound.astype(np.float32)).values
        gap = values[:, ARKIT_INDEX["jawOpen"]] - values[:, ARKIT_INDEX["mouthClose"]]
        before = float(np.median(gap[215:236]))
        assert gap[236:].max() < before + 0.02
        assert gap[236:].max() < 0.03

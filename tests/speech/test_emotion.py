"""Emotions: how they are asked for, what they show, how they come and go."""

import numpy as np
import pytest

from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES, CHANNEL_NAMES, mirrored
from animaface.robot.face.errors import InputError
from animaface.robot.face.facial_actions import ACTION_UNITS, ALIASES, PROTOTYPES
from animaface.speech.emotion import EMOTIONS, EmotionLayer, EmotionMix, parse_emotion
from animaface.speech.expressions import expression
from animaface.speech.prosody import ProsodyFrames

EXPRESSIVE = [e for e in EMOTIONS if e != "neutral"]


@pytest.mark.parametrize(
    ("spec", "mix"),
    [
        ("happy:0.7", {"happiness": 0.7}),
        ("happy:0.5,surprise:0.3", {"happiness": 0.5, "surprise": 0.3}),
        (" Sad : 1 , Angry:0", {"sadness": 1.0, "anger": 0.0}),
        ("contempt", {"contempt": 1.0}),
        ("neutral", {"neutral": 1.0}),
    ],
)
def test_parsing(spec: str, mix: dict[str, float]) -> None:
    assert dict(parse_emotion(spec).intensities) == mix
    assert parse_emotion(str(parse_emotion(spec))) == parse_emotion(spec)


@pytest.mark.parametrize(
    "spec",
    ["", "hapy", "happy:2", "happy:-0.1", "happy:nan", "happy:much", "happy:", "happy,joy", "happy;sad"],
)
def test_what_cannot_be_felt(spec: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_emotion(spec)
    if spec == "hapy":
        text = str(caught.value)
        assert "Did you mean 'happy'" in text
        assert all(name in text for name in EMOTIONS)
        assert "--emotion" in text


def test_tables_name_real_shapes_and_actions() -> None:
    for shapes in ACTION_UNITS.values():
        assert set(shapes) <= set(ARKIT_NAMES)
    for prototype in PROTOTYPES.values():
        assert set(prototype.actions) <= set(ACTION_UNITS)
        assert 0.3 <= prototype.rise_s <= 0.5
        assert 0.3 <= prototype.fall_s <= 0.5
    assert set(ALIASES.values()) <= set(EMOTIONS)
    assert len(EMOTIONS) == 8


@pytest.mark.parametrize("name", EXPRESSIVE)
def test_only_contempt_is_lopsided(name: str) -> None:
    shapes = expression(name)
    twins = shapes[[ARKIT_INDEX[mirrored(n)] for n in ARKIT_NAMES]]
    assert (np.abs(shapes - twins).max() > 0.3) == (name == "contempt")


def test_emotions_differ_from_each_other() -> None:
    faces = np.array([expression(n) for n in EXPRESSIVE])
    unit = faces / np.linalg.norm(faces, axis=1, keepdims=True)
    alike = unit @ unit.T - np.eye(len(faces))
    assert alike.max() < 0.85
    assert np.linalg.norm(faces, axis=1).min() > 0.9


@pytest.mark.parametrize("name", EXPRESSIVE)
def test_onset_and_offset_are_smooth_and_take_300_to_500_ms(name: str) -> None:
    layer = EmotionLayer(EmotionMix({name: 1.0}))
    main = int(np.argmax(expression(name)))
    rise = layer.advance(ProsodyFrames.silence(120)).shapes[:, main]
    layer.set(EmotionMix())
    fall = layer.advance(ProsodyFrames.silence(120)).shapes[:, main]
    full = rise[-1]
    assert full > 0.7
    t95 = int(np.argmax(rise > 0.95 * full)) / 60.0
    t05 = int(np.argmax(fall < 0.05 * full)) / 60.0
    assert 0.25 <= t95 <= 0.55
    assert 0.25 <= t05 <= 0.60
    for curve in (rise, fall):
        assert np.abs(np.diff(curve)).max() < 0.12
    assert rise[0] < 0.1
    assert fall[-1] == 0.0
    assert np.abs(np.diff(rise[-30:])).max() == 0.0


def test_more_intensity_is_more_expression_and_accents_swell_it() -> None:
    def held(intensity: float, slow: float) -> float:
        table = ProsodyFrames.silence(120).table.copy()
        table[:, 2] = slow
        layer = EmotionLayer(EmotionMix({"happiness": intensity}))
        return float(layer.advance(ProsodyFrames(table)).shapes[-1, ARKIT_INDEX["mouthSmileLeft"]])

    quiet = [held(i, 0.0) for i in (0.25, 0.5, 1.0)]
    assert quiet[0] < quiet[1] < quiet[2]
    assert quiet[2] / quiet[0] == pytest.approx(4.0, rel=0.02)
    assert 1.05 < held(1.0, 0.8) / held(1.0, 0.0) < 1.25


def test_mixtures_add_up() -> None:
    def held(mix: dict[str, float]) -> np.ndarray:
        return EmotionLayer(EmotionMix(mix)).advance(ProsodyFrames.silence(120)).shapes[-1]

    both = held({"happiness": 0.5, "surprise": 0.3})
    np.testing.assert_allclose(both, held({"happiness": 0.5}) + held({"surprise": 0.3}), atol=1e-3)
    assert len(CHANNEL_NAMES) == 55

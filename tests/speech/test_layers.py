"""The mixing: speech keeps the lips, lids keep their order, everything stays within its range."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animaface.robot.face.arkit import ARKIT_INDEX, HEAD_SLICE, N_CHANNELS, N_SHAPES
from animaface.robot.face.gaze import FULL_YAW_RAD, eye_angles_rad, look_shapes
from animaface.speech.emotion import EMOTIONS, EmotionFrames
from animaface.speech.expressions import expression
from animaface.speech.layers import SPEECH_BUDGET, PauseGate, RestGate, lip_opening, mix
from animaface.speech.life import LifeFrames

EXPRESSIVE = [e for e in EMOTIONS if e != "neutral"]
LIPS = ("mouthUpperUpLeft", "mouthUpperUpRight", "mouthLowerDownLeft", "mouthLowerDownRight")


def mood(shapes: np.ndarray, *, spoken: np.ndarray | None = None, articulation: float = 1.0) -> EmotionFrames:
    n = len(shapes)
    spoken = np.zeros((n, N_SHAPES)) if spoken is None else spoken
    one = np.ones(n)
    return EmotionFrames(shapes, spoken, np.zeros((n, 3)), np.zeros((n, 2)), articulation * one, one, one)


def feel(name: str, n: int, **kwargs: float) -> EmotionFrames:
    shapes, spoken = (np.repeat(expression(name, spoken=s)[None], n, axis=0) for s in (False, True))
    return mood(shapes, spoken=spoken, **kwargs)


def life(
    n: int, *, blink: float = 0.0, yaw: float = 0.0, pitch: float = 0.0, brow: float = 0.0
) -> LifeFrames:
    one = np.ones(n)
    gaze = np.stack([yaw * one, pitch * one], axis=1)
    return LifeFrames(blink * one, gaze, np.zeros((n, 3)), brow * one, 0 * one, one)


def speech(**shapes: float) -> np.ndarray:
    out = np.zeros((1, N_CHANNELS))
    for name, value in shapes.items():
        out[:, ARKIT_INDEX[name]] = value
    return out


def of(face: np.ndarray, name: str) -> float:
    return float(face[0, ARKIT_INDEX[name]])


ZERO, ONE = np.zeros(1), np.ones(1)


@given(
    jaw=st.floats(0.0, 0.5),
    left=st.floats(0.0, 0.03),
    lift=st.floats(0.0, 0.03),
    name=st.sampled_from(EXPRESSIVE),
    articulation=st.floats(0.7, 1.3),
)
@settings(max_examples=200, deadline=None)
def test_sealed_lips_stay_sealed(
    jaw: float, left: float, lift: float, name: str, articulation: float
) -> None:
    """Whatever jaw and mouthClose make the seal, no emotion loses more than .01 of it."""
    asked = speech(jawOpen=jaw, mouthClose=max(0.0, jaw - left), **dict.fromkeys(LIPS, lift))
    plain = mix(asked, ZERO, ZERO, mood(np.zeros((1, N_SHAPES))), life(1))
    felt = mix(asked, ZERO, ZERO, feel(name, 1, articulation=articulation), life(1))
    gap = [of(f, "jawOpen") - of(f, "mouthClose") for f in (plain, felt)]
    assert gap[1] - gap[0] <= 0.01
    assert max(of(felt, n) - of(plain, n) for n in LIPS) <= 0.01


@pytest.mark.parametrize("name", EXPRESSIVE)
def test_a_lip_phone_closes_what_an_expression_opened(name: str) -> None:
    """In a pause surprise drops the jaw; the likelihood of m, b or p takes that back at once."""
    felt = mix(speech(), ONE * 0.8, ONE, feel(name, 1), life(1))
    assert of(felt, "jawOpen") - of(felt, "mouthClose") <= 0.01
    assert max(of(felt, n) for n in LIPS) <= 0.01


@pytest.mark.parametrize("name", EXPRESSIVE)
def test_budget_while_speaking(name: str) -> None:
    asked = speech(jawOpen=0.4, mouthLowerDownLeft=0.2, mouthLowerDownRight=0.2)
    felt = mix(asked, ZERO, ZERO, feel(name, 1), life(1)) - asked
    assert felt[0, ARKIT_INDEX["jawOpen"]] <= SPEECH_BUDGET["jawOpen"]
    assert felt[0, ARKIT_INDEX["mouthPressLeft"]] <= 0.1 * SPEECH_BUDGET["mouthPress"] + 1e-9
    assert felt[0, ARKIT_INDEX["jawOpen"]] - felt[0, ARKIT_INDEX["mouthClose"]] >= -0.01


def test_surprise_drops_the_jaw_in_a_pause_only() -> None:
    in_pause = of(mix(speech(), ZERO, ONE, feel("surprise", 1), life(1)), "jawOpen")
    assert in_pause == pytest.approx(expression("surprise")[ARKIT_INDEX["jawOpen"]])
    assert of(mix(speech(), ZERO, ZERO, feel("surprise", 1), life(1)), "jawOpen") == 0.0


def test_rounding_beats_the_smile() -> None:
    smile = [
        of(
            mix(speech(jawOpen=0.2, mouthPucker=p), ZERO, ZERO, feel("happiness", 1), life(1)),
            "mouthSmileLeft",
        )
        for p in (0.0, 0.8)
    ]
    assert smile[0] > 0.9
    assert smile[1] < 0.6 * smile[0]


def test_a_wrinkled_nose_does_not_part_closed_lips() -> None:
    felt = mix(speech(), ONE, ZERO, feel("disgust", 1), life(1))
    sneer, chin = of(felt, "noseSneerLeft"), of(felt, "mouthShrugLower")
    assert 0.2 < sneer < 0.4
    assert chin > 2.0 * sneer


def test_articulation_scales_open_mouths_alone() -> None:
    asked = speech(jawOpen=0.4, mouthFunnel=0.3)
    big = mix(asked, ZERO, ZERO, mood(np.zeros((1, N_SHAPES)), articulation=1.2), life(1))
    assert of(big, "jawOpen") == pytest.approx(0.48)
    assert of(big, "mouthFunnel") == pytest.approx(0.36)


@pytest.mark.parametrize("name", EMOTIONS)
def test_blinks_close_through_every_expression(name: str) -> None:
    closed = mix(speech(), ZERO, ONE, feel(name, 1), life(1, blink=1.0))
    for side in ("Left", "Right"):
        assert of(closed, f"eyeBlink{side}") == pytest.approx(1.0)
        assert of(closed, f"eyeWide{side}") == 0.0
    looking_down = mix(speech(), ZERO, ONE, feel(name, 1), life(1, blink=1.0, pitch=0.3))
    assert 0.7 < of(looking_down, "eyeBlinkLeft") < 1.0


def test_gaze_goes_through_the_one_place() -> None:
    for yaw in (-0.3, 0.0, 0.2):
        face = mix(speech(eyeLookUpLeft=0.9), ZERO, ONE, feel("neutral", 1), life(1, yaw=yaw, pitch=-0.1))
        for side in ("left", "right"):
            angles = eye_angles_rad(face, side)
            assert angles[0][0] == pytest.approx(yaw)
            assert angles[1][0] == pytest.approx(-0.1)
    assert look_shapes(np.array([2.0 * FULL_YAW_RAD]), np.array([0.0])).max() == 1.0


def test_accents_raise_brows_but_lower_angry_ones() -> None:
    calm = mix(speech(), ZERO, ONE, feel("neutral", 1), life(1, brow=0.3))
    assert of(calm, "browOuterUpLeft") == pytest.approx(0.3)
    angry = mix(speech(), ZERO, ONE, mood(0.7 * expression("anger")[None]), life(1, brow=0.3))
    still = mix(speech(), ZERO, ONE, mood(0.7 * expression("anger")[None]), life(1))
    assert of(angry, "browDownLeft") > of(still, "browDownLeft")


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_any_input_gives_a_face(seed: int) -> None:
    rng = np.random.default_rng(seed)
    n = 5
    wild = mood(rng.normal(0.5, 1.0, (n, N_SHAPES)), articulation=float(rng.uniform(0.3, 2)))
    curves = rng.normal(0.3, 0.6, (n, N_CHANNELS))
    eyes = LifeFrames(
        rng.uniform(0, 1, n), rng.normal(0, 1, (n, 2)), rng.normal(0, 1, (n, 3)), rng.uniform(0, 1, n), np.zeros(n), np.ones(n)
    )  # fmt: skip
    face = mix(curves, rng.uniform(0, 2, n), rng.uniform(0, 1, n), wild, eyes)
    assert face[:, :N_SHAPES].min() >= 0.0
    assert face[:, :N_SHAPES].max() <= 1.0
    assert np.abs(face[:, HEAD_SLICE]).max() <= 0.45


def test_the_pause_goes_before_the_voice_and_comes_slowly() -> None:
    quiet = np.concatenate([np.zeros(10, bool), np.ones(60, bool), np.zeros(20, bool)])
    gate = PauseGate(1.0).advance(quiet)
    assert gate[9] == 0.0
    assert 0.2 < gate[18] < 0.6
    assert gate[69] == 1.0
    assert gate[78] == 0.0
    assert PauseGate(0.35).advance(quiet).max() == pytest.approx(0.35)


def test_the_rest_gate_is_back_within_four_frames() -> None:
    gate = RestGate()
    assert gate.advance(np.ones(60, bool)).max() == 0.0
    assert gate.advance(np.zeros(4, bool))[-1] == 1.0
    leaving = gate.advance(np.ones(60, bool))
    assert leaving[6] > 0.5
    assert leaving[30] == 0.0
    assert np.abs(np.diff(leaving)).max() < 0.1


def test_network_brows_and_eyes_are_left_out() -> None:
    face = mix(
        speech(browDownLeft=0.5, eyeSquintLeft=0.4, jawOpen=0.2), ZERO, ZERO, feel("neutral", 1), life(1)
    )
    assert of(face, "browDownLeft") == of(face, "eyeSquintLeft") == 0.0
    assert of(face, "jawOpen") == pytest.approx(0.2)


def test_lip_opening_counts_jaw_and_lips() -> None:
    assert lip_opening(speech(jawOpen=0.3, mouthClose=0.3))[0] == pytest.approx(0.0, abs=1e-12)
    assert lip_opening(speech(jawOpen=0.3))[0] == pytest.approx(0.3)
    assert lip_opening(speech(mouthUpperUpLeft=0.2))[0] == pytest.approx(0.1)

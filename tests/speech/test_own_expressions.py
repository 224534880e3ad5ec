"""A person's own expressions: refitted from recordings that the test makes of a person whose bases it knows."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

from animaface.robot.face.arkit import ARKIT_INDEX, ARKIT_NAMES, FRAME_RATE_HZ
from animaface.robot.face.errors import InputError
from animaface.robot.face.facial_actions import EXPRESSIVE
from animaface.robot.face.take import from_channels, write_csv
from animaface.speech.emotion import EmotionLayer, EmotionMix, parse_emotion
from animaface.speech.expressions import (
    OwnExpression,
    basis_of,
    expression,
    keep_expressions,
    shipped_basis,
)
from animaface.speech.layers import SPEECH_BUDGET
from animaface.speech.perform import Performer
from animaface.speech.prosody import ProsodyFrames
from animaface.speech.sound import read_sound
from animaface.speech.stream import predict
from animaface.speech.train.expressions import emotion_of, fit, main, shown, sparse_fit
from animaface.speech.train.recordings import recordings

DEMO = Path(__file__).parents[2] / "app" / "assets" / "demo.flac"
PERSON = {
    "happiness": {"mouthSmileLeft": 0.5, "mouthSmileRight": 0.8, "noseSneerLeft": 0.4, "mouthPressLeft": 0.3},
    "sadness": {"browInnerUp": 0.7, "mouthFrownLeft": 0.4, "mouthFrownRight": 0.4, "cheekPuff": 0.3},
}
"""A crooked smile with a nose, and a sadness with cheeks: not what is shipped."""
JAW_GAIN, SMILING_GAIN, HEAD_DEG = 0.7, 1.25, 4.0
CUTS = {"neutral": (0.0, 3.2), "happiness": (1.0, 4.2), "sadness": (2.2, 5.4)}


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config"


@pytest.fixture(scope="module")
def captures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """anna/NAME_EMOTION.wav with a take beside it: noise of .02, blinks, a head that is held high when glad."""
    folder, rng = tmp_path_factory.mktemp("captures"), np.random.default_rng(3)
    samples, rate_hz = soundfile.read(DEMO, dtype="float32")
    for k, (emotion, (start_s, end_s)) in enumerate(list(CUTS.items()) * 2):
        path = folder / "anna" / f"{k}_{emotion}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, samples[int(start_s * rate_hz) : int(end_s * rate_hz)], rate_hz)
        intensity = 1.0 if k < len(CUTS) else 0.5
        if emotion != "neutral":
            path.with_suffix(".emotion.txt").write_text(f"{emotion}:{intensity}\n")
        values = np.asarray(predict(read_sound(path).samples).values, dtype=np.float64)[:, :52]
        smiling = 1.0 + (SMILING_GAIN - 1.0) * intensity if emotion == "happiness" else 1.0
        values[:, ARKIT_INDEX["jawOpen"]] *= JAW_GAIN * smiling
        values[:, ARKIT_INDEX["mouthClose"]] *= JAW_GAIN * smiling
        values[:, ARKIT_INDEX["browDownLeft"]] = 0.1
        for shape, amount in PERSON.get(emotion, {}).items():
            values[:, ARKIT_INDEX[shape]] += intensity * amount
        values += rng.normal(0.0, 0.02, values.shape)
        for at in (60, 130):
            values[at : at + 8, [ARKIT_INDEX["eyeBlinkLeft"], ARKIT_INDEX["eyeBlinkRight"]]] += 0.9
        columns = {n: np.clip(values[:, i], 0.0, 1.0) for i, n in enumerate(ARKIT_NAMES)}
        glad = intensity if emotion == "happiness" else 0.0
        columns["headPitch"] = np.radians(-HEAD_DEG * glad) + rng.normal(0.0, 0.005, len(values))
        write_csv(from_channels(np.arange(len(values)) / FRAME_RATE_HZ, columns), path.with_suffix(".csv"))
    return folder


def test_the_persons_bases_are_found_and_sparse_off_their_domain(captures: Path) -> None:
    found = fit([shown(r) for r in recordings(captures)])
    assert set(found.expressions) == set(PERSON)
    lips = [ARKIT_INDEX[n] for n in ARKIT_NAMES if n.startswith(tuple(SPEECH_BUDGET))]
    for emotion, truth in PERSON.items():
        wanted = np.array([truth.get(n, 0.0) for n in ARKIT_NAMES])
        np.testing.assert_allclose(found.expressions[emotion].shapes, wanted, atol=0.08)
        exact = found.expressions[emotion].shapes[lips] == 0.0
        assert exact.mean() > 0.8, "an expression moves what speech needs only where the captures insist"
    upper = [ARKIT_INDEX[n] for n in ARKIT_NAMES if n.startswith(("brow", "cheek", "nose"))]
    assert (found.speech[:, upper] == 0.0).mean() > 0.9
    jaw = ARKIT_INDEX["jawOpen"]
    assert found.speech[jaw, jaw] == pytest.approx(JAW_GAIN, abs=0.12)
    assert found.rest[ARKIT_INDEX["browDownLeft"]] == pytest.approx(0.1, abs=0.02)
    assert found.explained > 0.8
    happy, sad = (found.expressions[e] for e in PERSON)
    assert np.degrees(happy.head_rad[1]) == pytest.approx(-HEAD_DEG, abs=0.5)
    assert np.abs(np.degrees(sad.head_rad)).max() < 0.5
    assert happy.articulation == pytest.approx(SMILING_GAIN, abs=0.12)
    assert sad.articulation == pytest.approx(1.0, abs=0.12)


def test_what_was_fitted_is_shown_under_the_persons_name(captures: Path) -> None:
    path = main(captures, Path("anna"))
    assert set(json.loads(path.read_text())) == set(PERSON)
    mix = parse_emotion("happy:0.5@anna")
    assert str(mix) == "happiness:0.5@anna"
    held = EmotionLayer(mix).advance(ProsodyFrames.silence(120)).shapes[-1]
    assert held[ARKIT_INDEX["noseSneerLeft"]] == pytest.approx(0.2, abs=0.04)
    assert held[ARKIT_INDEX["mouthSmileRight"]] > 1.4 * held[ARKIT_INDEX["mouthSmileLeft"]]
    fear = EXPRESSIVE.index("fear")
    np.testing.assert_array_equal(basis_of("anna")[fear], shipped_basis()[fear], "not captured: as shipped")


def test_lips_stay_sealed_under_a_persons_own_expression() -> None:
    """One who bares her teeth: all that parts the lips at once."""
    shapes = np.zeros(52)
    for name in (
        "mouthUpperUpLeft",
        "mouthUpperUpRight",
        "mouthLowerDownLeft",
        "mouthLowerDownRight",
        "jawOpen",
    ):
        shapes[ARKIT_INDEX[name]] = 0.9
    keep_expressions({"anger": OwnExpression(shapes, np.zeros(3), 1.2)}, "bared")
    samples = read_sound(DEMO).samples
    jaw, close = ARKIT_INDEX["jawOpen"], ARKIT_INDEX["mouthClose"]

    def gap(emotion: str) -> tuple[np.ndarray, np.ndarray]:
        frames = Performer(emotion=emotion, seed=1).push(samples)
        lifted = frames.values[:, ARKIT_INDEX["mouthUpperUpLeft"]]
        return np.maximum(frames.values[:, jaw] - frames.values[:, close], lifted)[
            60:
        ], frames.prosody.quiet_s[60:]

    (plain, quiet_s), (bared, _) = gap("neutral"), gap("anger@bared")
    sealed = (plain < 0.01) & (quiet_s < 0.2)  # in a pause the mouth rests as shut, and a feeling may open it
    assert sealed.sum() > 30
    assert np.quantile(bared[sealed], 0.99) <= 0.03
    assert bared.max() > plain.max() + 0.05


def test_from_one_person_to_the_next_nothing_jumps() -> None:
    keep_expressions(
        {"happiness": OwnExpression(0.9 * np.eye(52)[ARKIT_INDEX["cheekPuff"]], np.zeros(3), 1.0)}, "puffed"
    )
    layer = EmotionLayer(EmotionMix({"happiness": 1.0}))
    before = layer.advance(ProsodyFrames.silence(120)).shapes
    layer.set(parse_emotion("happy@puffed"))
    after = layer.advance(ProsodyFrames.silence(120)).shapes
    curves = np.concatenate([before[-10:], after])
    assert np.abs(np.diff(curves, axis=0)).max() < 0.12
    assert after[-1, ARKIT_INDEX["cheekPuff"]] > 0.7
    assert after[-1, ARKIT_INDEX["mouthSmileLeft"]] == 0.0
    assert expression("happiness")[ARKIT_INDEX["mouthSmileLeft"]] > 0.9


def test_sparse_fit_leaves_out_what_is_negligible() -> None:
    rng = np.random.default_rng(0)
    x = rng.normal(0.0, 0.3, (2000, 6))
    y = x @ [0.8, 0.0, 0.02, -0.5, 0.0, 0.0] + 0.2 + rng.normal(0.0, 0.02, 2000)
    weights, offset = sparse_fit(x, y, np.array([0.0, 0.06, 0.06, 0.06, 0.06, 0.06]))
    np.testing.assert_allclose(weights, [0.8, 0.0, 0.0, -0.5, 0.0, 0.0], atol=0.01)
    assert (weights[[1, 2, 4, 5]] == 0.0).all()
    assert offset == pytest.approx(0.2, abs=0.01)


def test_what_a_recording_shows_is_told_by_its_name_or_a_file(tmp_path: Path) -> None:
    assert emotion_of(tmp_path / "happy" / "01.wav", tmp_path).intensities == {"happiness": 1.0}
    assert emotion_of(tmp_path / "anna_Sad-02.wav", tmp_path).intensities == {"sadness": 1.0}
    (tmp_path / "03.emotion.txt").write_text("fear:0.3,surprise:0.5\n")
    assert emotion_of(tmp_path / "03.wav", tmp_path).intensities == {"fear": 0.3, "surprise": 0.5}
    with pytest.raises(InputError, match=r"05\.emotion\.txt"):
        emotion_of(tmp_path / "05.wav", tmp_path)
    with pytest.raises(InputError, match="anger and happiness"):
        emotion_of(tmp_path / "happy_angry.wav", tmp_path)


def test_without_a_neutral_face_nothing_is_fitted(captures: Path) -> None:
    emotional = [r for r in recordings(captures) if "neutral" not in r.sound.stem]
    with pytest.raises(InputError, match="neutral face"):
        fit([shown(r) for r in emotional])


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "wanted a JSON object"),
        ('{"joyfulness": {}}', "happiness"),
        ('{"anger": {"shapes": {"jawOpenn": 1}, "head_deg": [0, 0, 0], "articulation": 1}}', "jawOpen"),
        (
            '{"anger": {"shapes": {"jawOpen": NaN}, "head_deg": [0, 0, 0], "articulation": 1}}',
            "wanted -1 to 1",
        ),
        ('{"anger": {"shapes": {}, "head_deg": [0, 0], "articulation": 1}}', "yaw, pitch, roll"),
        ('{"anger": {"shapes": {}, "head_deg": [0, 0, 90], "articulation": 1}}', "-15 to 15"),
        ('{"anger": []}', "wanted a JSON object"),
    ],
)
def test_files_that_are_no_expressions(own_folder: Path, content: str, told: str) -> None:
    path = own_folder / "animaface" / "expressions" / "anna.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    with pytest.raises(InputError, match=told):
        parse_emotion("angry@anna")


def test_a_name_nobody_has_is_told_with_those_that_are() -> None:
    with pytest.raises(InputError, match="train expressions"):
        parse_emotion("happy@bob")
    keep_expressions({}, "anna")
    with pytest.raises(InputError, match="anna"):
        parse_emotion("happy@bob")
    with pytest.raises(InputError, match="wanted a name"):
        keep_expressions({}, "../anna")

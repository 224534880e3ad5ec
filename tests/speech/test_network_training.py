"""Training in small: the rules teach what they say, a network fits, is exported and answers the same."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from animaface.robot.face.errors import ConfigError, InputError  # noqa: E402
from animaface.robot.face.take import from_channels  # noqa: E402
from animaface.speech import train  # noqa: E402
from animaface.speech.features import LOOK_AHEAD_S, N_FEATURES, SAMPLE_RATE_HZ  # noqa: E402
from animaface.speech.network import FORMAT, SpeechNetwork  # noqa: E402
from animaface.speech.phones import PHONES  # noqa: E402
from animaface.speech.train.augment import disturbed, faster  # noqa: E402
from animaface.speech.train.dataset import CHANNELS, LEARNED, Sampler, example, speechless  # noqa: E402
from animaface.speech.train.export import export, scale_outputs  # noqa: E402
from animaface.speech.train.fit import FitConfig, fit  # noqa: E402
from animaface.speech.train.model import ModelConfig  # noqa: E402
from animaface.speech.train.rules import rule_curves  # noqa: E402
from animaface.speech.train.score import Sealed  # noqa: E402

SAID = [
    ("SIL", 0.0, 0.4),
    ("B", 0.4, 0.48),
    ("AA", 0.48, 0.8),
    ("UW", 0.8, 1.1),
    ("F", 1.1, 1.2),
    ("IY", 1.2, 1.5),
]


def test_the_rules_round_stretch_and_close() -> None:
    curves = rule_curves(SAID, 120)

    def at(name: str, time_s: float) -> float:
        return float(curves[name][round(time_s * 60)])

    assert at("mouthFunnel", 0.95) > 0.15 > at("mouthFunnel", 1.4)
    assert at("mouthStretchLeft", 1.38) > at("mouthStretchLeft", 0.95) + 0.05
    assert at("mouthLowerDownLeft", 0.44) < 0.05 < 0.1 < at("mouthLowerDownLeft", 0.65)
    assert at("mouthUpperUpLeft", 1.15) > at("mouthLowerDownLeft", 1.15), "f shows the upper teeth"
    assert all(float(c[:10].max()) == 0.0 for c in curves.values()), "silence is still"
    assert at("mouthFunnel", 0.75) > at("mouthFunnel", 0.6), "rounding starts before its sound"


def test_sealed_counts_what_is_shut() -> None:
    t = np.arange(0, 1.5, 1 / 60)
    jaw = np.where((t > 0.4) & (t < 0.49), 0.02, 0.3)
    counts = Sealed()
    counts.add(from_channels(t, {"jawOpen": jaw}), SAID)
    result = counts.result()
    assert result["bilabial_sealed"] == 1.0
    assert result["open_vowel_sealed"] == 0.0
    lifted = Sealed()
    lifted.add(from_channels(t, {"jawOpen": jaw, "mouthUpperUpLeft": np.full_like(t, 0.1)}), SAID)
    assert lifted.result()["bilabial_sealed"] == 0.0


def test_disturbing_keeps_time_and_range() -> None:
    rng = np.random.default_rng(0)
    sound = (0.2 * rng.standard_normal(8000)).astype(np.float32)
    for _ in range(20):
        out = disturbed(sound, rng)
        assert out.shape == sound.shape
        assert np.isfinite(out).all()
        assert np.abs(out).max() <= 1.0
    assert abs(len(faster(sound, 1.25)) - 6400) <= 2


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, object, np.ndarray]:
    """A tiny network, fitted for a few steps to a jaw that follows a buzz."""
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    examples = speechless(8, np.zeros(len(CHANNELS), np.float32), 0)
    t = np.arange(3 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    for _ in range(8):
        swell = np.sin(2 * np.pi * rng.uniform(0.5, 1.5) * t + rng.uniform(0, 6)) ** 2
        sound = (0.3 * swell * np.sign(np.sin(2 * np.pi * rng.uniform(90, 200) * t))).astype(np.float32)
        learned = np.zeros((180, len(LEARNED)), np.float32)
        learned[:, 0] = 0.4 * swell[(np.arange(180) * SAMPLE_RATE_HZ / 60).astype(int)]
        examples.append(example(sound, learned, np.ones(180, np.float32), [("AA", 0.0, 3.0)]))
    config = FitConfig(steps=80, batch=8, length=64, average=0.9, learning_rate=1e-2)
    net, mean, sd = fit(
        [(1.0, examples)], ModelConfig(len(CHANNELS), conv=16, hidden=32, dropout=0.0), config
    )
    scale_outputs(net, mean, sd)
    path = tmp_path_factory.mktemp("weights") / "tiny.onnx"
    export(net, path, {
        "format": FORMAT, "phones": list(PHONES), "features": N_FEATURES, "sample_rate_hz": SAMPLE_RATE_HZ,
        "frame_rate_hz": 60.0, "look_ahead_s": LOOK_AHEAD_S, "channels": list(CHANNELS), "training": {},
    })  # fmt: skip
    return path, net, examples[-1]


def test_it_learns_and_the_onnx_answers_as_torch_does(trained: tuple) -> None:
    path, net, last = trained
    network = SpeechNetwork(path)
    output, _ = network.run(last.features, network.initial_state())
    with torch.no_grad():
        wanted = net(torch.from_numpy(last.features)[None], *net.initial(1))[0][0].numpy()
    np.testing.assert_allclose(output.curves, wanted, atol=1e-4)
    r = np.corrcoef(output.curves[:, 0], last.curves[:, 0])[0, 1]
    assert r > 0.8, f"jaw follows the buzz with r = {r:.2f}"


def test_batches_have_the_shape_that_was_asked(trained: tuple) -> None:
    batch = Sampler([(1.0, [trained[2]])], length=200, batch=3, seed=1)()
    assert batch.features.shape == (3, 200, N_FEATURES)
    assert batch.curves.shape == batch.weight.shape == (3, 200, len(CHANNELS))
    assert batch.now.shape == batch.ahead.shape == (3, 200)


def test_weights_of_another_format_are_refused(trained: tuple, tmp_path: Path) -> None:
    out = tmp_path / "old.onnx"
    export(trained[1], out, {"format": "animaface-speech-0"})
    with pytest.raises(ConfigError, match="format must be"):
        SpeechNetwork(out)


def test_training_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"wanted curves\.npz"):
        train.main(tmp_path, tmp_path / "out.onnx")
    with pytest.raises(ConfigError, match="setting of the speech training"):
        train.main(tmp_path, tmp_path / "out.onnx", step=5)

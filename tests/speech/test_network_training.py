"""Training in small: the rules teach what they say, a network fits, is exported and answers the same."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from animaface.robot.face.errors import ConfigError, InputError  # noqa: E402
from animaface.robot.face.take import from_channels  # noqa: E402
from animaface.speech import train  # noqa: E402
from animaface.speech.features import LOOK_AHEAD_S, N_FEATURES, SAMPLE_RATE_HZ, quiet_features  # noqa: E402
from animaface.speech.network import FORMAT, SpeechNetwork  # noqa: E402
from animaface.speech.onestep import OneStep  # noqa: E402
from animaface.speech.phones import PHONES  # noqa: E402
from animaface.speech.train import corpus  # noqa: E402
from animaface.speech.train.augment import disturbed, faster, revoiced  # noqa: E402
from animaface.speech.train.dataset import (  # noqa: E402
    CHANNELS,
    LEARNED,
    Example,
    Sampler,
    example,
    hearing_ahead,
    speechless,
    touches,
)
from animaface.speech.train.export import export, scale_outputs  # noqa: E402
from animaface.speech.train.fit import FitConfig, Objective, fit, scales_of  # noqa: E402
from animaface.speech.train.grid import Clip  # noqa: E402
from animaface.speech.train.losses import shown_opening  # noqa: E402
from animaface.speech.train.model import ModelConfig  # noqa: E402
from animaface.speech.train.recipe import CONFIG, Recipe  # noqa: E402
from animaface.speech.train.rules import rule_curves  # noqa: E402
from animaface.speech.train.score import Sealed  # noqa: E402
from animaface.speech.train.transfer import transferred  # noqa: E402
from animaface.speech.train.voices import Spoken  # noqa: E402

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


def test_another_look_ahead_hears_the_same_sound_sooner_or_later() -> None:
    """For ablations: a click in the sound comes to the features earlier where they hear further ahead."""
    sound = (1e-4 * np.random.default_rng(0).standard_normal(16000)).astype(np.float32)
    sound[8000:8040] = 0.5
    one = example(sound, np.zeros((61, len(LEARNED)), np.float32), np.ones(61, np.float32), [])

    def click_s(look_ahead_s: float) -> float:
        mels = hearing_ahead(one, look_ahead_s).features.reshape(122, -1).mean(axis=1)
        return float(np.argmax(mels > 0.5 * mels.max() + 0.5 * mels.min())) / 120

    assert hearing_ahead(one, LOOK_AHEAD_S) is one
    for wanted in (0.0, 0.02, 0.08, 0.16):
        assert click_s(LOOK_AHEAD_S) - click_s(wanted) == pytest.approx(wanted - LOOK_AHEAD_S, abs=0.005)
    assert hearing_ahead(one, 0.16).now is one.now


def test_the_opening_is_asked_for_with_the_seals_on() -> None:
    """The rules seal m b p after the network: the loss sees what they show, and the lips' own rules stay apart."""
    rng = np.random.default_rng(0)
    jaw = torch.from_numpy(rng.uniform(0.0, 0.5, (2, 40)).astype(np.float32)).requires_grad_()
    close, lifts = torch.full((2, 40), 0.05), torch.full((2, 40, 4), 0.1)
    seal = torch.zeros(2, 40)
    seal[:, 10:14] = 1.0
    shown = shown_opening(jaw, close, lifts, seal)
    assert shown[:, 10:14].abs().max() == 0.0
    np.testing.assert_allclose(shown[:, 20].tolist(), (jaw[:, 20] + 0.05).tolist(), atol=1e-6)
    objective = Objective(FitConfig(opening_weight=1.0), *scales_of([_random_example(rng)]))
    rows = [_random_example(rng) for _ in range(2)]
    batch = Example(*(np.stack([getattr(r, f) for r in rows]) for f in Example.__dataclass_fields__))
    curves = torch.zeros(2, 60, len(CHANNELS), requires_grad=True)
    _, told = objective(curves, torch.zeros(2, 60, 2 * len(PHONES) + 2), batch)
    plain = Objective(FitConfig(), objective.mean, objective.sd)
    assert "opening" not in plain(curves, torch.zeros(2, 60, 2 * len(PHONES) + 2), batch)[1]
    true = torch.from_numpy((batch.curves - objective.mean) / objective.sd)
    _, right = objective(true, torch.zeros(2, 60, 2 * len(PHONES) + 2), batch)
    assert right["opening"] < 0.3 * told["opening"]


def _random_example(rng: np.random.Generator) -> Example:
    """60 frames that move, without m b p and without lifted lips."""
    curves = rng.uniform(0.0, 0.5, (60, len(CHANNELS))).astype(np.float32)
    curves[:, [i for i, n in enumerate(CHANNELS) if n.startswith(("mouthLower", "mouthUpper"))]] = 0.0
    phones = np.full(60, PHONES.index("AA"), np.int64)
    return Example(np.zeros((60, N_FEATURES), np.float32), curves, np.ones_like(curves), phones, phones)


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
    output = OneStep(network).run(last.features)
    with torch.no_grad():
        _, _, *quiet = net(torch.from_numpy(quiet_features())[None], *net.initial(1))
        wanted = net(torch.from_numpy(last.features)[None], *quiet)[0][0].numpy()
    assert np.sqrt(((output.curves - wanted) ** 2).mean()) < 2e-3, "weights are kept in 7 bits"
    np.testing.assert_allclose(output.curves, wanted, atol=0.02)
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


def test_a_touch_is_the_heart_of_its_sound() -> None:
    def track(*parts: tuple[str, int]) -> np.ndarray:
        return np.array([[PHONES.index(p) for p, n in parts for _ in range(n)]])

    short = touches(track(("AA", 10), ("P", 4), ("AA", 10)))[0]
    assert (short[11:13, 0] == 1.0).all(), "even a short one for 40 ms"
    assert short[:, 0].sum() < 5.0
    assert short[:, 1].max() == 0.0
    long = touches(track(("AA", 10), ("V", 12), ("AA", 10)))[0]
    assert (long[13:19, 1] == 1.0).all()
    assert long[[10, 21], 1].max() == 0.0, "its borders are the way there and back"


def test_motion_goes_to_another_voice_by_its_phones() -> None:
    """A jaw that opens on AA opens where the other voice says AA, though its pauses and tempo differ."""
    clip_phones = [("SIL", 0.0, 0.5), ("B", 0.5, 0.6), ("AA", 0.6, 0.9), ("T", 0.9, 1.0), ("SIL", 1.0, 2.0)]
    curves = np.zeros((121, 1), np.float32)
    curves[36:54] = 1.0
    clip = Clip("real", np.zeros(32000, np.float32), curves, np.ones((121, 1), np.float32), clip_phones)
    theirs = [("SIL", 0.0, 0.1), ("B", 0.1, 0.15), ("AA", 0.15, 0.25), ("D", 0.25, 0.35)]
    moved = transferred(clip, Spoken("other", np.zeros(9600, np.float32), theirs))
    assert moved is not None
    assert moved.phones == theirs
    assert moved.curves[10:15, 0].min() > 0.9
    assert moved.curves[:8, 0].max() == 0.0
    assert moved.curves[18:, 0].max() == 0.0
    other = [("SIL", 0.0, 0.1), ("S", 0.1, 0.2), ("S", 0.2, 0.3), ("S", 0.3, 0.4), ("S", 0.4, 0.5)]
    assert transferred(clip, Spoken("other", np.zeros(9600, np.float32), other)) is None


def test_another_throat_keeps_time_and_changes_pitch() -> None:
    t = np.arange(16000) / 16000
    buzz = np.sign(np.sin(2 * np.pi * 110 * t)) * 0.2 * (t > 0.5)
    raised = revoiced(buzz.astype(np.float32), 1.6, 1.15)
    assert len(raised) == len(buzz)
    assert np.abs(raised[:7000]).max() < 0.1 * np.abs(raised[9000:]).max()
    spectrum = np.abs(np.fft.rfft(raised[9000:15000] * np.hanning(6000)))
    hz = np.fft.rfftfreq(6000, 1 / 16000)
    low = hz < 300
    assert abs(hz[low][spectrum[low].argmax()] - 176) < 6


def test_every_shipped_config_is_read_and_unknown_names_are_told(tmp_path: Path) -> None:
    assert Recipe.from_file(CONFIG) == Recipe()
    bad = tmp_path / "bad.yaml"
    bad.write_text("stps: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="Did you mean 'steps'"):
        Recipe.from_file(bad)


def test_prepared_examples_are_kept_and_read_back(tmp_path: Path, trained: tuple) -> None:
    groups = {"real": [trained[2], trained[2].cut(slice(0, 50))], "taught": []}
    corpus.write_groups(tmp_path / "c.npz", groups)
    again = corpus.read_groups(tmp_path / "c.npz")
    assert list(again) == ["real"]
    assert [len(e.now) for e in again["real"]] == [len(trained[2].now), 50]
    np.testing.assert_array_equal(again["real"][1].now, trained[2].now[:50])
    np.testing.assert_allclose(again["real"][0].features, trained[2].features, atol=2e-3)


@pytest.mark.long
def test_two_processes_train_one_network_under_torchrun(tmp_path: Path) -> None:
    """Gloo on this machine stands in for many GPUs: both see other rows, both end with the same weights."""
    script = tmp_path / "tiny.py"
    script.write_text(
        "import sys, numpy as np, torch\n"
        "from pathlib import Path\n"
        "from animaface.speech.train.dataset import CHANNELS, speechless\n"
        "from animaface.speech.train.fit import FitConfig, device_group, fit\n"
        "from animaface.speech.train.model import ModelConfig\n"
        "examples = speechless(6, np.zeros(len(CHANNELS), np.float32), 0)\n"
        "with device_group() as (rank, world):\n"
        "    net, _, _ = fit([(1.0, examples)], ModelConfig(len(CHANNELS), 8, 16, 0.0),\n"
        "                    FitConfig(steps=5, batch=2, length=32), rank=rank, world=world)\n"
        "    total = float(sum(p.double().abs().sum() for p in net.parameters()))\n"
        "    (Path(sys.argv[1]) / f'{rank}-of-{world}').write_text(f'{total:.9f}')\n",
        encoding="utf-8",
    )
    run = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*run, str(script), str(tmp_path)], check=True, timeout=180)
    sums = {p.name: p.read_text() for p in tmp_path.glob("*-of-*")}
    assert set(sums) == {"0-of-2", "1-of-2"}
    assert len(set(sums.values())) == 1

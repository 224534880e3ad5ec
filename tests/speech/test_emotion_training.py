"""Training of the ear for feelings, on made measures: what is exported is what was trained, and tells its facts."""

from pathlib import Path

import numpy as np
import pytest

from animaface.robot.face.errors import InputError
from animaface.speech.hearing.measures import N_MEASURES
from animaface.speech.hearing.network import CLASSES, FeelingNetwork
from animaface.speech.train import emotion as train


def corpus(per_class: int = 12) -> train.Corpus:
    """Three speakers whose classes differ in a few measures."""
    rng, n = np.random.default_rng(0), per_class * len(CLASSES)
    label = np.arange(n) % len(CLASSES)
    measures = rng.normal(0.0, 1.0, (n, N_MEASURES))
    measures[np.arange(n)[:, None], label[:, None] * 20 + np.arange(20)] += 2.0
    speaker = np.array([f"0{i // len(CLASSES) % 3}" for i in range(n)])
    return train.Corpus(measures, label, speaker, np.array([f"clip{i}" for i in range(n)]), np.ones(n, bool))


def test_the_exported_network_is_the_trained_one(tmp_path: Path) -> None:
    settings = train.Settings(members=2, epochs=60, hidden=32)
    learned = corpus()
    net, population = train.fit(learned, settings)
    path = tmp_path / "emotion.onnx"
    train.export(net, population, path, train.facts(settings, ["00", "01", "02"]))
    network = FeelingNetwork(path)
    usual = np.repeat(population[None], len(learned.label), axis=0)
    wanted = train.likelihoods(net, learned.measures, usual, np.zeros(len(usual)))
    found = np.array([network.run(m, network.population, 0.0) for m in learned.measures])
    assert np.allclose(found, wanted, atol=1e-4)
    assert (found.argmax(axis=1) == learned.label).mean() > 0.8
    assert network.metadata["speakers"] == ["00", "01", "02"]
    assert str(tmp_path).encode() not in path.read_bytes()


def test_a_speaker_can_be_left_out() -> None:
    learned = corpus()
    left = learned.where(learned.speaker != "01")
    assert set(left.speaker.tolist()) == {"00", "02"}
    assert len(train.joined(left, learned).label) == len(left.label) + len(learned.label)


def test_without_data_it_says_what_is_wanted(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no Emo-DB clips"):
        train.emodb_clips(tmp_path)


def test_the_shipped_weights_tell_what_they_were_made_of() -> None:
    facts = FeelingNetwork().metadata
    assert facts["speakers"] == ["03", "09", "10", "11", "12", "13", "14", "16"]
    assert facts["classes"] == list(CLASSES)
    assert 0.0 < facts["unsure"] < facts["sure"] < 1.0

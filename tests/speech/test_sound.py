"""Real files of many kinds go in; mono 16 kHz comes out, or an error that says what to do."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from animaface.robot.face.errors import InputError
from animaface.speech.sound import SAMPLE_RATE_HZ, MonoStream, read_sound


def tone(rate_hz: int, seconds: float = 0.6, hz: float = 440.0) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hz * np.arange(round(rate_hz * seconds)) / rate_hz)


@pytest.mark.parametrize("rate_hz", [8000, 11025, 16000, 22050, 44100, 48000, 96000])
@pytest.mark.parametrize(("subtype", "ext"), [("PCM_16", "wav"), ("FLOAT", "wav"), ("PCM_24", "flac")])
def test_rates_and_formats(tmp_path: Path, rate_hz: int, subtype: str, ext: str) -> None:
    path = tmp_path / f"tone.{ext}"
    soundfile.write(path, tone(rate_hz), rate_hz, subtype=subtype)
    sound = read_sound(path)
    assert sound.samples.dtype == np.float32
    assert abs(len(sound.samples) - 0.6 * SAMPLE_RATE_HZ) <= 2
    assert sound.source_rate_hz == rate_hz
    middle = slice(1600, 8000)
    wanted = tone(SAMPLE_RATE_HZ)[: len(sound.samples)]
    assert np.abs(sound.samples[middle] - wanted[middle]).max() < 0.02  # in time, too


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW"])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_channels_and_depths(tmp_path: Path, subtype: str, channels: int) -> None:
    path = tmp_path / "many.wav"
    soundfile.write(path, np.stack([tone(16000)] * channels, axis=1), 16000, subtype=subtype)
    sound = read_sound(path)
    assert sound.source_channels == channels
    assert sound.samples.ndim == 1
    assert np.abs(sound.samples - tone(16000)).max() < 0.03


def test_channels_that_cancel_do_not_vanish(tmp_path: Path) -> None:
    path = tmp_path / "anti.wav"
    soundfile.write(path, np.stack([tone(16000), -tone(16000)], axis=1), 16000)
    assert np.abs(read_sound(path).samples).max() > 0.4


def test_loud_float_files_are_scaled_not_clipped(tmp_path: Path) -> None:
    path = tmp_path / "loud.wav"
    soundfile.write(path, 20000.0 * tone(44100), 44100, subtype="FLOAT")
    samples = read_sound(path).samples
    assert 0.9 < np.abs(samples).max() <= 1.0
    assert np.mean(np.abs(samples) > 0.99) < 0.2


def write_bytes(content: bytes, name: str = "x.wav"):
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def write_samples(samples: np.ndarray):
    def make(folder: Path) -> Path:
        soundfile.write(folder / "x.wav", samples, 16000, subtype="FLOAT")
        return folder / "x.wav"

    return make


def truncated(folder: Path) -> Path:
    soundfile.write(folder / "x.flac", tone(16000), 16000)
    whole = (folder / "x.flac").read_bytes()
    (folder / "x.flac").write_bytes(whole[:60])
    return folder / "x.flac"


NAN = np.where(np.arange(9600) == 4800, np.nan, tone(16000))


@pytest.mark.parametrize(
    ("make", "found"),
    [
        (lambda folder: folder / "nowhere.wav", "no such file"),
        (lambda folder: folder, "a folder"),
        (write_bytes(b""), "empty"),
        (write_bytes(b"this is a poem, not a sound\n" * 20), "unreadable"),
        (write_bytes(b"RIFF\x24\x00\x00\x00WAVEfmt "), "unreadable"),
        (write_bytes(bytes(4000), "x.raw"), "unreadable"),
        (truncated, "x.flac"),
        (write_samples(np.zeros(0)), "0.0 ms"),
        (write_samples(tone(16000)[:300]), "18.8 ms"),
        (write_samples(NAN), "NaN or infinity at 0.300 s"),
        (write_samples(np.where(np.isnan(NAN), np.inf, NAN)), "NaN or infinity"),
    ],
)
def test_bad_files_say_what_is_wrong_and_what_to_do(tmp_path: Path, make, found: str) -> None:
    with pytest.raises(InputError) as caught:
        read_sound(make(tmp_path))
    assert found in str(caught.value)
    assert "wanted" in str(caught.value)
    assert caught.value.next_step


def test_a_stream_gives_the_same_in_any_blocks() -> None:
    x = tone(44100, 1.0).astype(np.float32)
    outs = []
    for size in (len(x), 441, 97):
        stream = MonoStream(44100)
        parts = [stream.push(x[i : i + size]) for i in range(0, len(x), size)]
        outs.append(np.concatenate([*parts, stream.push(np.zeros(0, np.float32), last=True)]))
    assert abs(len(outs[0]) - 16000) <= 2
    for out in outs[1:]:
        assert len(out) == len(outs[0])
        assert np.abs(out - outs[0]).max() < 1e-4


def test_a_stream_survives_nan() -> None:
    stream = MonoStream(48000)
    stream.push(np.full((480, 2), np.nan, np.float32))
    after = [stream.push(np.zeros((480, 2), np.float32)) for _ in range(20)]
    assert np.isfinite(np.concatenate(after)).all()

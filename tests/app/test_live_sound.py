"""Feed, play buffer, PCM and synthesisers: sound on its way in."""

import io
import time
from pathlib import Path

import numpy as np
import pytest

from animaface.app.live import synthesiser
from animaface.app.live.feed import PLAY_RATE_HZ, Feed
from animaface.app.live.readers import file_reader, pcm16, pcm_reader
from animaface.app.live.speaker import PlayBuffer
from animaface.robot.face.errors import ConfigError, InputError, MissingDependencyError


def _tone(seconds: float, rate_hz: int) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * 220 * np.arange(int(seconds * rate_hz)) / rate_hz).astype(np.float32)


@pytest.mark.parametrize("rate_hz", [16_000, 22_050, 24_000, 44_100, 48_000])
def test_any_rate_comes_out_as_the_same_tone(rate_hz: int) -> None:
    feed, tone = Feed(), _tone(0.5, rate_hz)
    feed.begin(rate_hz)
    for k in range(0, len(tone), 313):
        feed.put(tone[k : k + 313])
    feed.complete()
    out = feed.take(PLAY_RATE_HZ // 2).samples
    middle = slice(4800, -4800)
    np.testing.assert_allclose(out[middle], _tone(0.5, PLAY_RATE_HZ)[middle], atol=5e-3)
    assert feed.empty


def test_nothing_waiting_is_silence_and_a_dry_voice_is_a_hole() -> None:
    feed = Feed()
    assert not feed.take(480).samples.any()
    assert feed.holes == 0
    feed.begin(PLAY_RATE_HZ)
    feed.put(np.ones(480, np.float32))
    assert not feed.take(480).samples.any()  # too little to begin with
    feed.put(np.ones(4800, np.float32))
    assert feed.take(4800).samples.all()
    feed.take(4800)
    assert feed.holes == 1


def test_a_slow_disk_is_waited_for() -> None:
    """A file whose thread got no turn after its first tenth of a second was once spoken with a hole."""
    feed = Feed()
    feed.begin(PLAY_RATE_HZ, prebuffer_s=1.0)
    feed.put(np.ones(PLAY_RATE_HZ // 2, np.float32))
    assert not feed.take(4800).samples.any()
    feed.put(np.ones(PLAY_RATE_HZ // 2, np.float32))
    assert feed.take(4800).samples.all()
    feed.begin(PLAY_RATE_HZ, prebuffer_s=1.0)
    feed.put(np.ones(10, np.float32))
    feed.complete()  # shorter than that, and whole
    assert feed.take(PLAY_RATE_HZ).samples.any()
    assert feed.holes == 0


def test_dropping_leaves_nothing_and_needs_a_new_start() -> None:
    feed = Feed()
    feed.begin(24_000)
    feed.put(_tone(1.0, 24_000))
    feed.drop()
    assert feed.empty
    assert not feed.take(4800).samples.any()
    with pytest.raises(InputError, match="start"):
        feed.put(_tone(0.1, 24_000))


def test_a_flood_is_refused() -> None:
    feed = Feed()
    feed.begin(PLAY_RATE_HZ)
    minute = np.zeros(60 * PLAY_RATE_HZ, np.float32)
    for _ in range(6):
        feed.put(minute)
    with pytest.raises(InputError, match="waiting"):
        feed.put(minute)


def test_muting_fades_within_ten_milliseconds_and_positions_stay() -> None:
    buffer = PlayBuffer()
    buffer.write(0, np.ones(48_000, np.float32))
    assert buffer.read(1000).all()
    buffer.mute()
    after = buffer.read(4800)
    assert np.abs(np.diff(after)).max() < 0.01  # no click
    assert not after[480:].any()
    buffer.write(buffer.played + 100, np.full(10, 0.3, np.float32))
    out = buffer.read(200)
    assert np.flatnonzero(out).tolist() == list(range(100, 110))


def test_what_comes_after_its_position_is_lost_and_the_rest_is_in_place() -> None:
    buffer = PlayBuffer()
    buffer.read(50)
    buffer.write(0, np.arange(100, dtype=np.float32))
    np.testing.assert_array_equal(buffer.read(50), np.arange(50, 100, dtype=np.float32))


def test_pcm_is_little_endian_16_bit() -> None:
    assert pcm16(b"\x00\x80\xff\x7f").ravel().tolist() == [-1.0, 32767 / 32768]
    assert pcm16(b"\x00\x00" * 6, 2).shape == (3, 2)
    with pytest.raises(InputError, match="whole samples"):
        pcm16(b"\x00")


def test_standard_input_in_odd_pieces_arrives_whole() -> None:
    tone = _tone(0.5, 16_000)
    data = (tone * 32767).astype("<i2").tobytes() + b"\x01"
    feed = Feed()
    reader = pcm_reader(feed, io.BytesIO(data), 16_000)
    reader.start()
    end_s = time.monotonic() + 10.0
    while not feed._closed and time.monotonic() < end_s:
        time.sleep(0.01)
    out = feed.take(PLAY_RATE_HZ // 2).samples
    np.testing.assert_allclose(out[4800:-4800], _tone(0.5, PLAY_RATE_HZ)[4800:-4800], atol=5e-3)
    assert reader.error is None
    assert feed.finished


def test_a_file_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.wav").write_bytes(b"no sound at all")
    for name in ("x.wav", "missing.wav"):
        with pytest.raises(InputError):
            file_reader(Feed(), tmp_path / name)


def _fake_voice(folder: Path) -> Path:
    """A program that writes its text's bytes as samples: shows what really arrives."""
    program = folder / "voice"
    program.write_text('#!/bin/sh\ncp "$1" "$2"\n')
    program.chmod(0o755)
    return program


def test_a_voice_command_gets_the_text_whatever_is_in_it(tmp_path: Path) -> None:
    program = _fake_voice(tmp_path)
    command = synthesiser.template(f"{program} {{text_file}} {{wav}}")
    text = 'it\'s; $(rm -rf x) {wav} "quoted" ümlaut'
    assert synthesiser.speak(text, tmp_path, command).read_text().strip() == text


def test_text_as_an_argument_is_one_argument_and_never_a_shell(tmp_path: Path) -> None:
    program = tmp_path / "voice"
    program.write_text('#!/bin/sh\n[ $# -eq 2 ] && printf %s "$2" > "$1"\n')
    program.chmod(0o755)
    text = "a b; touch pwned {text_file}"
    assert synthesiser.speak(text, tmp_path, f"{program} {{wav}} {{text}}").read_text() == text


def test_voices_that_cannot_work_are_named() -> None:
    with pytest.raises(ConfigError, match="wav"):
        synthesiser.template("espeak-ng {text}")
    with pytest.raises(MissingDependencyError, match="nosuchvoice"):
        synthesiser.template("nosuchvoice {text} {wav}")


def test_without_any_synthesiser_the_next_step_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError) as e:
        synthesiser.template()
    assert "espeak-ng" in e.value.next_step


def test_a_voice_that_fails_says_why(tmp_path: Path) -> None:
    program = tmp_path / "voice"
    program.write_text("#!/bin/sh\necho no such voice >&2\nexit 3\n")
    program.chmod(0o755)
    with pytest.raises(InputError, match="no such voice"):
        synthesiser.speak("hello", tmp_path, f"{program} {{text}} {{wav}}")

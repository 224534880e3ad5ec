"""What the page has done by others: a voice in the feed, pictures by a painter, a calibration by the command."""

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from animaface.app.live.feed import PLAY_RATE_HZ, Feed
from animaface.app.page.calibrating import Calibrating
from animaface.app.page.pictures import Pictures
from animaface.app.page.voice import Voice
from animaface.robot.config import load_face


def _wait(what: Callable[[], object], timeout_s: float = 30.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not what():
        assert time.monotonic() < end_s
        time.sleep(0.01)


def _tone(level: float, seconds: float = 0.5, rate_hz: int = 24_000) -> bytes:
    out = io.BytesIO()
    soundfile.write(out, np.full(int(seconds * rate_hz), level, np.float32), rate_hz, format="WAV")
    return out.getvalue()


def _heard(feed: Feed, seconds: float) -> np.ndarray:
    return feed.take(int(seconds * PLAY_RATE_HZ)).samples


def test_a_sent_file_is_spoken_whole_and_then_it_is_over() -> None:
    feed, told = Feed(), list[str]()
    voice = Voice(feed, told.append)
    voice.file("a.wav", _tone(0.5))
    _wait(lambda: not voice.title)
    heard = _heard(feed, 1.0)
    assert np.median(heard[: PLAY_RATE_HZ // 3]) == pytest.approx(0.5, abs=0.02)
    assert np.abs(heard[round(0.6 * PLAY_RATE_HZ) :]).max() == 0.0
    assert feed.empty
    assert not told


def test_the_next_voice_ends_the_one_before_and_nothing_of_it_is_left() -> None:
    feed = Feed()
    voice = Voice(feed, lambda text: None)
    for _ in range(10):
        voice.file("long.wav", _tone(0.9, 8.0))
        _wait(lambda: not feed.empty)
        voice.file("next.wav", _tone(0.2))
        _wait(lambda: not voice.title)
        heard = _heard(feed, 1.0)
        assert np.abs(heard).max() < 0.4
        assert np.abs(heard).max() > 0.15
    voice.demo()
    voice.hush()
    assert feed.empty
    assert voice.title == ""


def test_what_is_no_sound_is_told() -> None:
    told = list[str]()
    voice = Voice(Feed(), told.append)
    voice.file("x.wav", b"this is no sound")
    _wait(lambda: told)
    assert "can't be read" in told[0]
    _wait(lambda: not voice.title)


def test_the_painter_draws_while_somebody_looks() -> None:
    pytest.importorskip("mujoco")
    image = pytest.importorskip("PIL.Image")
    from animaface.sim.body.face import SimFace

    face = SimFace(load_face("hybrid"))
    pictures = Pictures("hybrid", lambda: [float(x) for x in face.snapshot()])
    try:
        pictures.want()
        _wait(lambda: (pictures.want(), pictures.newest[0] > 1 or pictures.problem)[1], 60.0)
        assert pictures.problem == ""
        drawn = np.asarray(image.open(io.BytesIO(pictures.newest[1])), dtype=float)
        assert drawn.shape == (420, 420, 3)
        assert drawn.std() > 20.0
    finally:
        pictures.stop()


def test_a_face_that_cannot_be_drawn_is_told() -> None:
    pictures = Pictures("bench4", list)
    pictures.want()
    _wait(lambda: pictures.problem)
    assert "can't be drawn" in pictures.problem
    pictures.stop()


@pytest.mark.long
def test_a_calibration_is_begun_and_interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    calibrating = Calibrating("bench4", sim=True)
    calibrating.start(quick=True)
    _wait(lambda: calibrating.told()["step"] != "starting" or not calibrating.running, 120.0)
    assert calibrating.running, calibrating.told()
    calibrating.end()
    _wait(lambda: calibrating.told()["ended"])
    assert calibrating.told()["ended"].startswith("interrupted")
    assert not list((tmp_path / "data").rglob("calibration.json"))

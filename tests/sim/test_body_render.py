"""Pictures and videos: a face that changes with its pose, real files, clear errors."""

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from animaface.robot.config import load_face
from animaface.robot.face import landmarks as lm
from animaface.robot.face.errors import InputError, MissingDependencyError
from animaface.sim.body import SimFace
from animaface.sim.plant import Drive
from animaface.sim.render import render_image, render_video
from animaface.sim.render.surface import Normals, ball, subdivide
from animaface.sim.render.video import frames_at, open_painter

Array = NDArray[np.float64]
CONFIG = load_face("hybrid")


def snapshot(**u: float) -> Array:
    """A settled moment; actuators by name, the others at neutral."""
    face = SimFace(CONFIG, timestep_s=0.004)
    for name, a in CONFIG.actuators.items():
        raw = a.u_to_raw(u.get(name, a.neutral_u))
        dynamixel = a.servo.bus_kind == "dynamixel"
        face.set_drive(name, Drive(float(np.deg2rad(raw - 180.0 if dynamixel else (raw - 1500.0) * 0.09))))
    face.advance(0.8)
    return face.snapshot()


def test_picture_of_a_face() -> None:
    """Skin in the middle, darker hair above, lids that cover the eyes, a mouth that opens dark."""
    rest = snapshot()
    size = (320, 240)
    with open_painter(CONFIG, size) as painter:
        neutral = painter.draw(rest).astype(int)
        again = painter.draw(rest).astype(int)
        closed = painter.draw(
            snapshot(lid_upper_left=0, lid_upper_right=0, lid_lower_left=0, lid_lower_right=0)
        ).astype(int)
        mouth = painter.draw(snapshot(jaw_open=0.9)).astype(int)
    assert np.array_equal(neutral, again)
    red, blue = neutral[..., 0], neutral[..., 2]
    assert (red - blue > 25).mean() > 0.12, "a face's worth of skin"
    height, width = neutral.shape[:2]
    changed = np.abs(closed - neutral).sum(axis=2) > 60
    rows, cols = np.nonzero(changed)
    assert 20 < len(rows) < 0.05 * changed.size
    assert 0.2 < rows.mean() / height < 0.55, "blinking changes the eyes only"
    assert abs(cols.mean() / width - 0.5) < 0.05
    lower = slice(height // 2, None)
    assert (mouth[lower].sum(axis=2) < 90).sum() > (neutral[lower].sum(axis=2) < 90).sum() + 100, (
        "an open mouth is dark"
    )


def test_one_picture_of_every_face() -> None:
    """A config with four servos is drawn like one with 33."""
    for name in ("bench4", "morpheus"):
        face = SimFace(load_face(name))
        image = render_image(face.config, face.snapshot(), (160, 120))
        assert image.shape == (120, 160, 3)
        assert image.dtype == np.uint8
        assert image.std() > 20


def _tone(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1)
        w.setsampwidth(2)
        w.setframerate(16000)
        w.writeframes((3000 * np.sin(np.arange(int(16000 * seconds)) * 0.2)).astype("<i2").tobytes())
    return path


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="needs ffmpeg")
def test_video_with_sound(tmp_path: Path) -> None:
    """H.264 and AAC, as long as the run, progress to the end."""
    moments = np.stack([snapshot(), snapshot(jaw_open=0.7)])
    told: list[float] = []
    out = render_video(
        CONFIG, np.array([2.0, 2.5]), moments, tmp_path / "deep" / "run.mp4",
        wav=_tone(tmp_path / "a.wav", 0.4), wav_offset_s=0.1, size=(160, 120), progress=told.append,
    )  # fmt: skip
    assert told[-1] == 1.0
    found = subprocess.run(
        ["ffprobe", "-v", "error", "-show_entries", "stream=codec_name,width,nb_frames", "-of", "csv=p=0", str(out)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "h264,160,16" in found
    assert "aac" in found


def test_errors_say_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No ffmpeg, no such sound, a log that does not fit."""
    moment = np.zeros((1, 3))
    with pytest.raises(InputError, match=r"no sound file"):
        render_video(CONFIG, np.zeros(1), moment, tmp_path / "a.mp4", wav=tmp_path / "none.wav")
    with pytest.raises(InputError, match="wanted times"):
        render_video(CONFIG, np.zeros(2), moment, tmp_path / "a.mp4")
    with pytest.raises(InputError, match="even width"):
        render_video(CONFIG, np.zeros(1), moment, tmp_path / "a.mp4", size=(641, 480))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="ffmpeg"):
        render_video(CONFIG, np.zeros(1), moment, tmp_path / "a.mp4")


def test_frames_lie_between_the_log() -> None:
    """30 frames a second out of an uneven log, linear between its moments."""
    frames = frames_at(np.array([5.0, 5.02, 5.1]), np.array([[0.0], [2.0], [10.0]]), 50.0)
    assert np.allclose(frames[:, 0], [0.0, 2.0, 4.0, 6.0, 8.0, 10.0])


def test_subdivision_keeps_the_border_and_the_ball_its_normals() -> None:
    """Lips and lids are borders: they must stay where the landmarks are, or closed lips would gape."""
    ball_ = ball((0.01, 0.01, 0.01))
    normals = Normals(len(ball_.vertices), ball_.triangles).of(ball_.vertices)
    middle = slice(32 * 6, 32 * 18)
    assert ((normals[middle] * ball_.vertices[middle]).sum(axis=1) > 0.0098).all()
    square = np.array([[0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], float)
    matrix, fine = subdivide(4, np.array([[0, 1, 2], [0, 2, 3]]), 2)
    assert len(fine) == 32
    assert np.allclose(matrix(np.ones((4, 1))), 1.0)
    x = matrix(square)
    assert x.min() >= 0.0
    assert x.max() <= 1.0
    assert np.linalg.norm(lm.neutral_m()[13] - lm.neutral_m()[14]) < 1e-9

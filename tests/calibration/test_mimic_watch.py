"""What mimic says about a camera that is not there, gives no pictures, or shows nobody; and of whom it shows."""

from collections import deque
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

pytest.importorskip("mediapipe")
pytest.importorskip("cv2")

from animaface.app.commands import mimic
from animaface.app.watching import Watcher
from animaface.calibration.camera.face_mesh import FaceMesh
from animaface.calibration.camera.sources import VideoFile, Webcam
from animaface.robot.config import load_face
from animaface.robot.face.errors import AnimafaceError, DeviceError, InputError
from animaface.sim.body.face import SimFace
from animaface.sim.render.video import open_painter

Picture = NDArray[np.uint8]


class _Film:
    """Pictures that a test hands in, on a clock that it moves."""

    name = "camera 7"

    def __init__(self) -> None:
        self.now_s = 0.0
        self.waiting: deque[tuple[float, Picture]] = deque()

    def show(self, picture: Picture) -> None:
        self.now_s += 1 / 30
        self.waiting.append((self.now_s, picture))

    def poll(self, not_before_s: float = -np.inf) -> tuple[float, Picture] | None:
        return self.waiting.popleft() if self.waiting else None

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def face() -> Picture:
    """A face at rest, drawn."""
    config = load_face("bench4")
    plant = SimFace(config, seed=0)
    with open_painter(config, (320, 240), samples=0) as painter:
        return painter.draw(plant.snapshot())


def test_nobody_in_the_picture_is_said_once_and_ends_in_an_error(face: Picture) -> None:
    """An empty room: one warning after two seconds; whoever comes is met, and then it may warn again."""
    film, said = _Film(), []
    mesh = FaceMesh()
    try:
        watcher = Watcher(film, mesh, neutral_s=0.2, on_warning=said.append, now_s=lambda: film.now_s)
        for _ in range(80):
            film.show(np.full_like(face, 90))
            assert watcher.look() is None
        assert len(said) == 1
        assert "camera 7 shows no face" in said[0]
        with pytest.raises(InputError, match="a face in 0 of 80 pictures") as nobody:
            watcher.end()
        assert "light" in nobody.value.next_step
        for _ in range(10):
            film.show(face)
            seen = watcher.look()
        assert seen is not None
        assert np.abs(seen[1]).max() < 0.05
        watcher.end()
        for _ in range(80):
            film.show(np.full_like(face, 90))
            watcher.look()
        assert len(said) == 2
    finally:
        mesh.close()


def test_a_camera_that_falls_silent_is_an_error() -> None:
    """No picture for five seconds: said, with what to try."""
    film = _Film()
    mesh = FaceMesh()
    try:
        watcher = Watcher(film, mesh, neutral_s=0.2, on_warning=lambda text: None, now_s=lambda: film.now_s)
        film.now_s = 4.0
        assert watcher.look() is None
        film.now_s = 5.5
        with pytest.raises(DeviceError, match="no picture for 5 s") as silent:
            watcher.look()
        assert "cable" in silent.value.next_step
    finally:
        mesh.close()


def test_sources_that_are_none(tmp_path: Path) -> None:
    """A number without a camera, a file as a camera, a film that is not there or is something else."""
    letter = tmp_path / "letter.mp4"
    letter.write_text("dear", encoding="utf-8")
    with pytest.raises(DeviceError, match="no camera at 93"):
        Webcam("93")
    with pytest.raises(InputError, match="no camera") as file:
        Webcam(str(letter))
    assert "--video" in file.value.next_step
    with pytest.raises(InputError, match="no video that OpenCV can read"):
        VideoFile(letter)
    with pytest.raises(InputError, match="there is no video"):
        VideoFile(tmp_path / "none.mp4")


def test_the_command_ends_before_anything_moves(tmp_path: Path) -> None:
    """`mimic --camera 93 --sim`: the missing camera is said before the simulated face is started."""
    import typer

    app = typer.Typer()
    app.command()(mimic.run)
    done = CliRunner().invoke(app, ["--camera", "93", "--sim", "--face", "bench4"])
    assert isinstance(done.exception, AnimafaceError)
    assert "no camera at 93" in str(done.exception)

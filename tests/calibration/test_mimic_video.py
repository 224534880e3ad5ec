"""A video of a face becomes a take: filmed is the simulated face playing one, so the answer is known."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("mediapipe")
pytest.importorskip("cv2")

from animaface.app.mimic import take_of_video
from animaface.app.simulated import simulated_stand
from animaface.calibration.camera.face_mesh import FaceMesh, Sighting
from animaface.calibration.camera.person import OneEuro, Person
from animaface.robot.config import load_face
from animaface.robot.face.arkit import ARKIT_INDEX, HEAD_SLICE, N_SHAPES
from animaface.robot.face.errors import InputError
from animaface.robot.face.take import Take, from_channels
from animaface.robot.handmap import HandMap
from animaface.sim.body.face import SimFace
from animaface.sim.render import render_video

SECONDS = 4.0


def _take() -> Take:
    t = np.arange(round(60 * SECONDS)) / 60.0
    wave = [np.clip(np.sin(2 * np.pi * (t - s) / 1.4), 0, 1) * (t > s) for s in (0.5, 0.9, 1.3)]
    return from_channels(t, {
        "jawOpen": 0.7 * wave[0], "mouthSmileLeft": 0.8 * wave[1], "mouthSmileRight": 0.8 * wave[1],
        "eyeBlinkLeft": wave[2], "eyeBlinkRight": wave[2], "headYaw": 0.3 * wave[2],
    })  # fmt: skip


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated hybrid face playing the take through its hand map, 15 pictures a second."""
    if shutil.which("ffmpeg") is None:
        pytest.skip("no ffmpeg")
    config = load_face("hybrid")
    stand = simulated_stand(config)
    robot = stand.open_robot()
    robot.connect()
    robot.arm()
    robot.settle(robot.neutral_u, 1.0)
    take, solve = _take(), HandMap(config)
    plant = stand.world.plant
    assert isinstance(plant, SimFace)
    times, snapshots = [], []
    start_s = stand.clock.now_s()
    for k, u in enumerate(np.asarray(solve(take.values))):
        robot.send(u, stand.clock.now_s())
        times.append(k / 60.0)
        snapshots.append(plant.snapshot())
        stand.clock.sleep_until_s(start_s + (k + 1) / 60.0)
    robot.__exit__(None, None, None)
    out = tmp_path_factory.mktemp("film") / "person.mp4"
    return render_video(config, np.array(times), np.array(snapshots), out, fps=15, size=(480, 480))


def test_the_take_of_a_film_follows_what_was_played(film: Path) -> None:
    """Jaw, smile, blink and head: in time with the take that was played, and at rest where it rests."""
    mesh = FaceMesh()
    try:
        found = take_of_video(film, mesh, neutral_s=0.4)
    finally:
        mesh.close()
    played = _take()
    assert found.duration_s == pytest.approx(SECONDS, abs=0.2)
    for name, least in (("jawOpen", 0.85), ("mouthSmileLeft", 0.7), ("eyeBlinkRight", 0.7), ("headYaw", 0.9)):
        asked = np.interp(found.time_s, played.time_s + 0.1, played.channel(name))
        assert np.corrcoef(asked, found.channel(name))[0, 1] > least, name
    at_rest = found.values[found.time_s < 0.4]
    assert np.abs(at_rest).max() < 0.05
    assert found.channel("jawOpen").max() > 0.25


def test_the_command_writes_the_take_and_says_what_is_wrong(film: Path, tmp_path: Path) -> None:
    """`mimic --video FILE -o take.csv` in a process of its own; a film without a face is refused."""
    out = tmp_path / "take.csv"
    run = subprocess.run(
        [sys.executable, "-m", "animaface.app.main", "mimic", "--video", str(film), "-o", str(out), "--json",
         "--neutral-s", "0.4"],
        capture_output=True, text=True, timeout=200, env={**os.environ, "OMP_NUM_THREADS": "1"}, check=False,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout)["seconds"] == pytest.approx(SECONDS, abs=0.2)
    assert "jawOpen" in out.read_text(encoding="utf-8").splitlines()[0]
    nothing = tmp_path / "nothing.mp4"
    subprocess.run(
        ["ffmpeg", "-loglevel", "error", "-f", "lavfi", "-i", "color=gray:s=128x128:d=0.5", str(nothing)],
        check=True,
    )
    mesh = FaceMesh()
    try:
        with pytest.raises(InputError, match="a face in 0 of"):
            take_of_video(nothing, mesh, neutral_s=0.2)
    finally:
        mesh.close()


def test_a_persons_rest_is_subtracted() -> None:
    """A person whose jaw hangs .2 at rest and who looks aside is at rest all the same."""
    scores = np.zeros(N_SHAPES)
    scores[ARKIT_INDEX["jawOpen"]] = 0.2
    c, s = np.cos(0.2), np.sin(0.2)
    aside = np.array([[c, 0, s], [0, 1, 0], [-s, 0, c]])
    person = Person(neutral_s=0.2)
    for k in range(10):
        values = person.push(k / 30.0, Sighting(np.zeros((478, 3)), scores, aside))
        assert np.abs(values).max() < 1e-9
    assert person.ready
    wide = scores.copy()
    wide[ARKIT_INDEX["jawOpen"]] = 1.0
    for k in range(10, 60):
        values = person.push(k / 30.0, Sighting(np.zeros((478, 3)), wide, np.eye(3)))
    assert values[ARKIT_INDEX["jawOpen"]] == pytest.approx(1.0, abs=0.01)
    assert values[HEAD_SLICE][0] == pytest.approx(-0.2, abs=0.01)


def test_jitter_is_filtered_and_a_blink_is_not() -> None:
    """At rest a third of the noise is left; a blink of 120 ms keeps most of its height."""
    random = np.random.default_rng(0)
    t = np.arange(0.0, 6.0, 1 / 30)
    noisy = 0.02 * random.standard_normal(len(t))
    euro = OneEuro()
    still = np.array([euro.push(a, np.array([b]))[0] for a, b in zip(t, noisy, strict=True)])
    assert still[30:].std() < 0.6 * noisy[30:].std()
    blink = np.clip(1.0 - np.abs(t - 3.0) / 0.1, 0.0, 1.0)
    euro = OneEuro()
    seen = np.array([euro.push(a, np.array([b]))[0] for a, b in zip(t, blink, strict=True)])
    assert seen.max() > 0.7

"""A small calibration of a small face, through real drivers and bytes; interrupted on the way."""

import json
from pathlib import Path

import numpy as np
import pytest

from animaface.app.simulated import simulated_stand
from animaface.calibration import folder
from animaface.calibration.detector import LandmarkDetector, LandmarkFrame
from animaface.calibration.prompter import ScriptedPrompter
from animaface.calibration.session import Options, Session, Stand
from animaface.calibration.tape import read_tape
from animaface.calibration.work import Work
from animaface.robot.config import load_face
from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS
from animaface.robot.face.errors import CalibrationError
from animaface.selfmodel.runtime import FaceInverse

SMALL = Options.quick()


class _Interrupting(ScriptedPrompter):
    """A person who presses Ctrl-C in the middle of babbling."""

    def progress(self, done: int, total: int, label: str, remaining_s: float | None = None) -> None:
        if label == "babbling":
            raise KeyboardInterrupt


def test_a_small_calibration_interrupted_and_taken_up(tmp_path: Path) -> None:
    """bench4, 250 poses: Ctrl-C, again with another world, and a folder that play can use."""
    config = load_face("bench4")
    stand = simulated_stand(config, seed=1)
    work, target = tmp_path / "work", tmp_path / "bench4"
    with pytest.raises(KeyboardInterrupt):
        Session(
            Stand(config, stand.open_robot, stand.detector, stand.clock, _Interrupting()), work, SMALL
        ).run(target)
    assert not target.exists()
    taped = read_tape(work / "babbling_000.tape")
    assert taped is not None
    first = taped[0]

    again, prompter = simulated_stand(config, seed=1), ScriptedPrompter()
    session = Session(Stand(config, again.open_robot, again.detector, again.clock, prompter), work, SMALL)
    meta = session.run(target)
    assert any("taking up" in line for line in prompter.said)
    assert (work / "finished.json").is_file()
    with np.load(target / "babbling.npz") as babbling:
        frames = int(babbling["frames"][0])
        assert frames == len(first["frame_s"])
        np.testing.assert_array_equal(babbling["frame_s"][:frames], first["frame_s"])
    assert folder.load(target, config) == json.loads(json.dumps(meta))
    for name in folder.FILES:
        assert (target / name).stat().st_size > 1000

    assert 15.0 < meta["lags_ms"]["jaw_open"] < 120.0
    assert all(meta["observability"][n]["seen"] for n in ("jaw_open", "brow_inner_left", "lid_upper_left"))
    assert meta["quality"]["self-model, worst region"] < 0.7 * meta["quality"]["constant face, worst region"]
    shapes = {row["name"]: row for row in meta["shapes"]}
    assert shapes["jawOpen"]["done"] > 0.6
    assert shapes["mouthPucker"]["reachable"] < 0.5  # nothing on this face purses lips
    page = (target / "report.html").read_text(encoding="utf-8")
    assert "jawOpen" in page
    assert "out of reach" in page
    assert "http" not in page.replace("http-equiv", "")

    inverse = FaceInverse.load(target / "inverse.onnx")
    v = np.zeros((5, N_CHANNELS))
    v[:, ARKIT_INDEX["jawOpen"]] = 0.8
    u = inverse.solve(v)[2]
    assert u[config.names.index("jaw_open")] > config.actuators["jaw_open"].neutral_u + 0.3
    neutral = [a.neutral_u for a in config.actuators.values()]
    np.testing.assert_allclose(inverse.solve(np.zeros((3, N_CHANNELS)))[1], neutral, atol=1e-4)


def test_work_of_another_session_is_not_mixed_in(tmp_path: Path) -> None:
    """Another seed or config starts anew; a piece that a power cut broke counts as not there."""
    work = Work(tmp_path / "w")
    assert not work.begin({"seed": 0})
    work.keep("a", x=np.arange(3))
    assert work.begin({"seed": 0})
    found = work.arrays("a")
    assert found is not None
    np.testing.assert_array_equal(found["x"], np.arange(3))
    (tmp_path / "w" / "b.npz").write_bytes(b"PK\x03\x04 half a file")
    assert work.arrays("b") is None
    assert not work.begin({"seed": 1})
    assert work.arrays("a") is None
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(CalibrationError, match="something else"):
        Work(precious).begin({"seed": 0})
    assert (precious / "letter.txt").exists()


def test_the_simulated_eye_has_a_rate_a_delay_and_noise() -> None:
    """30 frames a second, each 50 ms old when it comes, .1 mm of noise, stamped with the moment of light."""
    stand = simulated_stand(load_face("bench4"))
    for tick in range(1, 101):
        stand.clock.sleep_until_s(0.01 * tick)
    frames = _arrived(stand.detector)
    assert 26 <= len(frames) <= 30
    assert frames[-1].time_s <= 0.95
    change = np.diff(
        np.stack([f.landmarks_m for f in frames[-8:]]), n=2, axis=0
    )  # what moves steadily falls out
    assert np.sqrt((change**2).sum(axis=2).mean() / 6.0) == pytest.approx(1e-4, rel=0.35)
    for tick in range(101, 113):
        stand.clock.sleep_until_s(0.01 * tick)
    newer = _arrived(stand.detector, not_before_s=1.04)
    assert newer
    assert all(f.time_s >= 1.04 for f in newer)


def _arrived(detector: LandmarkDetector, not_before_s: float = 0.0) -> list[LandmarkFrame]:
    out = []
    while (grab := detector.grab(not_before_s)) is not None:
        frame = detector.see(grab)
        assert frame is not None
        out.append(frame)
    return out

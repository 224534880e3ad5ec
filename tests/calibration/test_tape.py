"""Recordings survive whatever cuts them: a byte is missing, the disk filled up with zeros, two sessions at once."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from animaface.app.simulated import SimulatedStand, simulated_stand
from animaface.calibration.detector import LandmarkFrame
from animaface.calibration.face_steps import FaceSteps
from animaface.calibration.options import Options, Stand
from animaface.calibration.prompter import ScriptedPrompter
from animaface.calibration.tape import Tape, read_tape
from animaface.calibration.work import Work
from animaface.robot.config import load_face
from animaface.robot.face.errors import CalibrationError

POSES = 4


def _tape(path: Path) -> list[int]:
    """A tape of POSES poses, three commands each; how long the file was after each pose."""
    random = np.random.default_rng(0)
    sizes = []
    with Tape(path, 7.5, 2) as tape:
        for k in range(POSES):
            frame = LandmarkFrame(
                7.5 + 0.2 * k, random.normal(size=(478, 3)), np.full(3, k), np.ones(478, dtype=np.bool_)
            )
            tape.add(np.full((3, 2), 0.1 * k), frame)
            sizes.append(path.stat().st_size)
        tape.add(np.zeros((1, 2)), None)
    return sizes


def test_a_tape_cut_at_any_byte_gives_back_every_whole_pose(tmp_path: Path) -> None:
    """All cuts near the seams and every 97th byte: never an error, never a pose less than were whole."""
    path, cut = tmp_path / "a.tape", tmp_path / "cut.tape"
    sizes = _tape(path)
    data = path.read_bytes()
    seams = {s + d for s in (0, *sizes, len(data)) for d in range(-20, 21)}
    for n in sorted({*range(0, len(data), 97), *(s for s in seams if 0 <= s <= len(data))}):
        cut.write_bytes(data[:n])
        found, whole = read_tape(cut) or ({"frame_s": np.empty(0), "u": np.empty((0, 2))}, False)
        poses = sum(s <= n for s in sizes)
        assert len(found["frame_s"]) == poses
        assert len(found["u"]) == 3 * poses + (n == len(data))
        assert whole == (n == len(data))


def test_a_tape_that_the_disk_spoilt_ends_before_the_damage(tmp_path: Path) -> None:
    """Zeros at the end, a flipped bit in the middle, a file of something else."""
    path = tmp_path / "a.tape"
    sizes = _tape(path)
    data = path.read_bytes()
    path.write_bytes(data[: sizes[1]] + bytes(5000))
    found = read_tape(path)
    assert found is not None
    assert (len(found[0]["frame_s"]), found[1]) == (2, False)
    broken = bytearray(data)
    broken[sizes[2] + 400] ^= 4
    path.write_bytes(broken)
    found = read_tape(path)
    assert found is not None
    assert len(found[0]["frame_s"]) == 3
    path.write_bytes(b"something else")
    assert read_tape(path) is None
    assert read_tape(tmp_path / "none.tape") is None


def test_pieces_cut_at_any_byte_count_as_missing(tmp_path: Path) -> None:
    """npz and json of the other steps: whole or not there, never an exception."""
    work = Work(tmp_path / "w")
    work.begin({"seed": 0})
    work.keep("rest", picture=np.arange(300.0).reshape(20, 15), size=np.array(3))
    work.keep_facts("camera", {"delay_s": 0.07, "by": "lamp"})
    for name in ("rest.npz", "camera.json"):
        data = work.path(name).read_bytes()
        assert work.has(name.split(".")[0])
        for n in range(len(data)):
            work.path(name).write_bytes(data[:n])
            assert not work.has(name.split(".")[0])
        for n in range(0, len(data), 3):  # a flipped byte may go unseen in a name, but never escapes
            work.path(name).write_bytes(data[:n] + bytes([data[n] ^ 255]) + data[n + 1 :])
            work.has(name.split(".")[0])


def test_only_one_session_works_in_a_folder(tmp_path: Path) -> None:
    """A second session with other options once threw the recordings of the first away while it ran."""
    work = Work(tmp_path / "w")
    with work.held():
        work.begin({"seed": 0})
        with pytest.raises(CalibrationError, match="another session") as refused, Work(tmp_path / "w").held():
            pass
        assert "--work" in refused.value.next_step
    with Work(tmp_path / "w").held():
        assert work.begin({"seed": 0})


def _steps(made: SimulatedStand, folder: Path, photos: int = 1) -> tuple[FaceSteps, ScriptedPrompter]:
    prompter = ScriptedPrompter()
    stand = Stand(load_face("bench4"), made.open_robot, made.detector, made.clock, prompter, made.flash)
    work = Work(folder)
    work.begin({"test": 1})
    return FaceSteps(
        stand, work, Options(poses=30, frame_hz=10.0, photos_per_pose=photos, chunk_s=2.0)
    ), prompter


def test_more_photos_of_each_pose_are_counted_as_photos(tmp_path: Path) -> None:
    """Three on the way from pose to pose: as long a way, as many poses, three times the photos."""
    steps, _ = _steps(simulated_stand(load_face("bench4")), tmp_path / "w", photos=3)
    with steps.moving():
        steps.neutral()
        steps.babbling()
    photos = sum(len(r.frame_s) for r in steps.recordings())
    assert abs(photos - 90) <= 3
    assert abs(steps.poses() - 30) <= 1
    assert sum(len(r.u) for r in steps.recordings()) == 300


def test_babbling_goes_on_where_its_last_tape_was_cut(tmp_path: Path) -> None:
    """Cut in the middle of its second piece: the poses before are kept, and in the end all were recorded."""
    made = simulated_stand(load_face("bench4"))
    steps, _ = _steps(made, tmp_path / "w")
    with steps.moving():
        steps.neutral()
        steps.babbling()
    whole = sum(len(r.frame_s) for r in steps.recordings())
    second = tmp_path / "w" / "babbling_001.tape"
    second.write_bytes(second.read_bytes()[:-40_000])
    again, prompter = _steps(simulated_stand(load_face("bench4")), tmp_path / "w")
    kept = again.recordings()
    assert any("babbling_001.tape was cut off" in line for line in prompter.said)
    assert 0 < len(kept[1].frame_s) < 10
    with again.moving():
        again.babbling()
    assert sum(len(r.frame_s) for r in again.recordings()) >= whole - 1
    np.testing.assert_array_equal(again.recordings()[0].landmarks_m, kept[0].landmarks_m)


def test_a_kill_in_the_middle_of_a_piece_loses_no_whole_pose(tmp_path: Path) -> None:
    """SIGKILL of a process that writes a tape for ever: what is there can be read, up to the moment."""
    code = """
import sys, numpy as np
from pathlib import Path
from animaface.calibration.detector import LandmarkFrame
from animaface.calibration.tape import Tape
with Tape(Path(sys.argv[1]), 0.0, 3) as tape:
    for k in range(10**6):
        tape.add(np.zeros((20, 3)), LandmarkFrame(float(k), np.zeros((478, 3)), np.zeros(3), np.ones(478, dtype=bool)))
        print(k, flush=True)
"""
    path = tmp_path / "a.tape"
    writer = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    for _ in range(25):
        last = int(writer.stdout.readline())
    writer.send_signal(signal.SIGKILL)
    rest = writer.stdout.read().split()
    writer.wait()
    last = max([last, *map(int, rest)])
    found = read_tape(path)
    assert found is not None
    assert len(found[0]["frame_s"]) >= last + 1
    assert not found[1]

"""The command line as a person meets it: help with an example, clear failure, exit status, JSON."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

COMMANDS = ("doctor", "demo", "play", "perform", "simulate", "calibrate", "report")


def animaface(*arguments: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "animaface.app.main", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_an_example(command: str) -> None:
    done = animaface(command, "--help")
    assert done.returncode == 0
    assert f"animaface {command}" in done.stdout.split("Example:")[1]


def test_doctor_json() -> None:
    health = json.loads(animaface("doctor", "--json").stdout)
    assert health["healthy"] is True
    seen = {f["what"] for f in health["findings"]}
    assert {
        "Python",
        "ffmpeg",
        "sound card",
        "face hybrid",
        "face morpheus",
        "face bench4",
        "extra vision",
    } <= seen
    assert any(f["what"] == "face model" and f["found"] for f in health["findings"])
    assert all(f["mend"] for f in health["findings"] if f["state"] == "missing")


@pytest.mark.parametrize(
    ("arguments", "status", "said"),
    [
        (("play", "demo", "--face", "hybird", "--sim"), 1, "Did you mean 'hybrid'?"),
        (("play", "no_such.wav", "--sim"), 1, "no file 'no_such.wav'; wanted a recording"),
        (
            ("play", "demo", "--face", "hybrid", "--port", "nose=/dev/null"),
            1,
            "unknown bus 'nose'. Valid: rigid, tendons",
        ),
        (("play", "demo", "--face", "hybrid", "--port", "rigid"), 1, "wanted BUS=PATH"),
        (("play", "demo", "--record", "x.mp4"), 1, "add --sim"),
        (("play", "demo", "--sim", "--emotion", "happpy"), 1, "happ"),
        (("perform", "no_such.wav"), 1, "no_such.wav"),
        (("report", "morpheus"), 1, "animaface calibrate morpheus"),
        (("calibrate", "hybrid", "--sim", "--drift", "--recalibrate"), 1, "wanted one of them"),
        (("dctor",), 2, "Did you mean 'doctor'"),
    ],
)
def test_failure_says_what_and_what_next(
    arguments: tuple[str, ...], status: int, said: str, tmp_path: Path
) -> None:
    done = animaface(*arguments, cwd=tmp_path)
    assert done.returncode == status, done.stderr
    assert said in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_errors_as_json(tmp_path: Path) -> None:
    done = animaface("play", "demo", "--face", "nobody", "--sim", "--json", cwd=tmp_path)
    assert done.returncode == 1
    error = json.loads(done.stdout)
    assert error["kind"] == "ConfigError"
    assert "hybrid" in error["error"]


def test_perform_writes_a_take(tmp_path: Path) -> None:
    sound = Path(__file__).parents[2] / "app/assets/demo.flac"
    done = animaface("perform", str(sound), "-o", "take.csv", "--emotion", "sad:0.5", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    lines = (tmp_path / "take.csv").read_text().splitlines()
    assert len(lines) == told["frames"] + 1
    assert lines[0].startswith("time_s,eyeBlinkLeft")
    assert told["seconds"] > 9.5

"""The wheel, installed in a clean environment, runs: `doctor`, and a short `play --sim` on the desk face."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.realtime


def run(*command: str | Path, cwd: Path) -> str:
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    # from a clean copy: a build folder lying about must not leak into the wheel
    copy = tmp_path_factory.mktemp("source") / "animaface"
    files = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=ROOT).split("\0")
    for name in filter(None, files):
        source, target = ROOT / name, copy / name
        if not source.is_symlink() and not source.exists():
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_symlink():
            target.symlink_to(source.readlink())
        else:
            target.write_bytes(source.read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", out, copy, cwd=copy)
    return next(out.glob("*.whl"))


def test_nothing_but_animaface_lands_in_site_packages(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    tops = {n.split("/")[0] for n in names}
    assert {t for t in tops if not t.endswith((".dist-info", ".data"))} == {"animaface"}
    for wanted in (
        "hw_configs/hybrid.yaml",
        "app/assets/demo.flac",
        "robot/face/data/mediapipe_canonical_face.npz",
    ):
        assert f"animaface/{wanted}" in names
    assert any(n.startswith("animaface/sim/_boardcore") and n.endswith(".so") for n in names)


def test_the_wheel_runs_in_a_clean_environment(wheel: Path, tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    run(sys.executable, "-m", "venv", venv, cwd=tmp_path)
    pip = (venv / "bin/python", "-m", "pip", "install", "-q", "--disable-pip-version-check")
    run(*pip, "-c", ROOT / "constraints.txt", f"{wheel}[sim]", cwd=tmp_path)
    command = venv / "bin/animaface"
    health = json.loads(run(command, "doctor", "--json", cwd=tmp_path))
    assert health["healthy"] is True
    played = json.loads(
        run(command, "play", "demo", "--sim", "--face", "bench4", "--seconds", "2", "--json", cwd=tmp_path)
    )
    assert played["ticks"] > 100
    assert played["actuators"] == 4

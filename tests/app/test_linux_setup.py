"""Boards: run-time dependencies resolve for aarch64, networks find their provider, system files are what systems read."""

import configparser
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from animaface.app.linux import RIGHTS, RULES, SERVICE, rules_missing, system_files, write
from animaface.app.main import app
from animaface.robot.face.errors import ConfigError
from animaface.robot.face.providers import NAMES, VARIABLE, chosen, providers

ROOT = Path(__file__).parents[2]
ALL = tuple(NAMES.values())
CPU = (NAMES["cpu"],)


def test_auto_takes_cuda_where_it_is_and_never_tensorrt_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert chosen(ALL) == "cuda"
    assert chosen(CPU) == "cpu"
    assert providers(CPU) == ["CPUExecutionProvider"]
    assert providers(ALL) == ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setenv(VARIABLE, "cpu")
    assert chosen(ALL) == "cpu"
    assert chosen(ALL, "cuda") == "cuda"


def test_tensorrt_keeps_its_engines_and_falls_back(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (first, options), *rest = providers(ALL, "tensorrt")
    assert first == "TensorrtExecutionProvider"
    assert isinstance(options, dict)
    assert Path(options["trt_engine_cache_path"]).is_dir()
    assert rest == ["CUDAExecutionProvider", "CPUExecutionProvider"]


def test_a_provider_that_is_not_there_is_said_with_those_that_are() -> None:
    with pytest.raises(ConfigError, match="CPUExecutionProvider"):
        chosen(CPU, "cuda")
    with pytest.raises(ConfigError, match="tensorrt, cuda, cpu"):
        chosen(ALL, "rocm")


def test_the_networks_run_on_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    from animaface.speech.network import SpeechNetwork

    monkeypatch.setenv(VARIABLE, "cpu")
    assert SpeechNetwork().session.get_providers() == ["CPUExecutionProvider"]
    monkeypatch.setenv(VARIABLE, "nonsense")
    with pytest.raises(ConfigError):
        SpeechNetwork()


def test_the_service_runs_the_command_with_real_time_rights_and_comes_back(tmp_path: Path) -> None:
    command = "/opt/face/bin/animaface live --face hybrid --source ws://127.0.0.1:8765"
    paths = write(system_files("pi", command), tmp_path)
    assert [str(p.relative_to(tmp_path)) for p in paths] == [RULES, RIGHTS, SERVICE]
    unit = configparser.ConfigParser(strict=False, interpolation=None, comment_prefixes=("#",))
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read_string((tmp_path / SERVICE).read_text())
    service = unit["Service"]
    assert service["ExecStart"] == command
    assert service["User"] == "pi"
    assert int(service["LimitRTPRIO"]) >= 50
    assert service["LimitMEMLOCK"] == "infinity"
    assert service["Restart"] == "always"
    assert int(service["TimeoutStopSec"]) >= 20, "rest and release take their time"
    assert unit["Install"]["WantedBy"] == "multi-user.target"
    assert not rules_missing(tmp_path)
    (tmp_path / RULES).write_text("# an older one")
    assert rules_missing(tmp_path)


def test_every_udev_rule_is_whole_and_knows_the_adapters_of_the_shipped_faces() -> None:
    rules = [line for line in system_files("pi")[0].text.splitlines() if line and not line.startswith("#")]
    assert len(rules) > 5
    for rule in rules:
        for part in rule.split(", "):
            assert part.count('"') == 2, rule
            assert "==" in part or "+=" in part or "=" in part, rule
    for vendor in ("0403", "2341", "2e8a"):  # U2D2, Mega, RP2040
        assert any(f'ATTRS{{idVendor}}=="{vendor}"' in rule for rule in rules)
    assert any('ATTR{latency_timer}="1"' in rule for rule in rules)


def test_commands_that_no_unit_can_hold_are_refused() -> None:
    for user, command in (("pi", "animaface live"), ("pi", "/x\nExecStart=/y"), ("a b", "/x"), ("", "/x")):
        with pytest.raises(ConfigError):
            system_files(user, command)


def test_setup_linux_shows_and_writes(tmp_path: Path) -> None:
    run = CliRunner().invoke
    shown = run(app, ["setup-linux", "--show", "--service", "live --face bench4", "--user", "pi"])
    assert shown.exit_code == 0
    assert "live --face bench4" in shown.stdout
    assert not list(tmp_path.iterdir())
    assert run(app, ["setup-linux", "--root", str(tmp_path)]).exit_code == 0
    assert (tmp_path / RULES).is_file()
    assert not (tmp_path / SERVICE).exists()


def _pip(*words: str, at: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--ignore-installed", "-q", "--target", str(at / "x"),
               "--disable-pip-version-check", "--only-binary=:all:", *words]  # fmt: skip
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_run_time_dependencies_resolve_for_a_jetson_or_a_pi(tmp_path: Path) -> None:
    """Wheels for aarch64 and Python 3.11 exist of everything that plays and lives: nothing is compiled on the board."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["live"], *extras["log"], *extras.get("page", [])]
    assert not [w for w in wanted if w.startswith(("torch", "mujoco", "onnx>"))]
    (tmp_path / "wanted.txt").write_text("\n".join(wanted))
    # what glibc 2.31 (JetPack 5) and newer can load
    board = [f"--platform=manylinux{v}_aarch64" for v in ("_2_28", "_2_17", "2014")]
    done = _pip(
        *board,
        "--python-version=3.11",
        "--implementation=cp",
        "-r",
        str(tmp_path / "wanted.txt"),
        at=tmp_path,
    )
    if (
        done.returncode != 0
        and not os.environ.get("CI")
        and _pip("platformdirs", at=tmp_path).returncode != 0
    ):
        pytest.skip(f"no package index can be reached from here: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr


def test_numpy_alone_is_enough_for_the_leaf() -> None:
    """robot.face, that everybody shares, asks onnxruntime nothing by itself."""
    code = "import sys, animaface.robot.face.providers; print('onnxruntime' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

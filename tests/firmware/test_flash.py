"""`animaface flash`: what it runs, what it checks, and what it says when something is wrong.

The boot loader's programmer is a stand-in script; the board that is asked afterwards is a real one on a
pseudo-terminal (the core on the PC).
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from animaface.app.commands import flash
from animaface.app.main import app
from animaface.robot.face.errors import AnimafaceError
from animaface.sim.process import SimProcess


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    with SimProcess.start("hybrid", plant="first-order") as sim:
        yield sim.ports["tendons"]


@pytest.fixture
def avrdude(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A programmer that writes down what it was asked; `fail` beside it makes it fail."""
    tool = tmp_path / "bin" / "avrdude"
    tool.parent.mkdir()
    tool.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/asked\n'
        f'if [ -e {tmp_path}/fail ]; then echo "stk500v2_getsync(): timeout" >&2; exit 1; fi\n'
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["flash", *arguments])


def test_mega_is_written_and_asked_for_its_version(avrdude: Path, port: str) -> None:
    result = call("mega", "--port", port, "--json")
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["found"] == told["wanted"] == "0.2.0"
    asked = (avrdude / "asked").read_text()
    assert f"-p atmega2560 -c wiring -P {port}" in asked
    assert "flash:w:" in asked
    assert "mega.hex:i" in asked


def test_another_version_on_the_board_is_an_error(
    avrdude: Path, port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(flash.PREBUILT, tmp_path / "prebuilt")
    manifest = tmp_path / "prebuilt" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"0.2.0"', '"9.9.9"'))
    monkeypatch.setattr(flash, "PREBUILT", tmp_path / "prebuilt")
    result = call("mega", "--port", port)
    assert isinstance(result.exception, AnimafaceError)
    assert "wanted firmware 9.9.9" in str(result.exception)
    assert "0.2.0" in str(result.exception)


def test_a_programmer_that_fails_is_quoted(avrdude: Path, port: str) -> None:
    (avrdude / "fail").touch()
    result = call("mega", "--port", port)
    assert isinstance(result.exception, AnimafaceError)
    assert "stk500v2_getsync" in str(result.exception)


def test_a_missing_programmer_names_its_package(
    port: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    result = call("mega", "--port", port)
    assert isinstance(result.exception, AnimafaceError)
    assert "apt-get install avrdude" in str(result.exception)


def test_a_damaged_image_never_reaches_a_board(
    avrdude: Path, port: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(flash.PREBUILT, tmp_path / "prebuilt")
    image = tmp_path / "prebuilt" / "mega.hex"
    image.write_bytes(image.read_bytes()[:-40])
    monkeypatch.setattr(flash, "PREBUILT", tmp_path / "prebuilt")
    result = call("mega", "--port", port)
    assert isinstance(result.exception, AnimafaceError)
    assert "damaged" in str(result.exception)
    assert not (avrdude / "asked").exists()


def test_unknown_board_and_missing_drive(tmp_path: Path) -> None:
    result = call("nano", "--port", "x")
    assert "Valid: mega, rp2040" in str(result.exception)
    result = call("rp2040", "--port", str(tmp_path))
    assert isinstance(result.exception, AnimafaceError)


def test_a_pico_gets_its_uf2(tmp_path: Path) -> None:
    if not (flash.PREBUILT / "rp2040.uf2").exists():
        pytest.skip("no RP2040 image is shipped")
    (tmp_path / "INFO_UF2.TXT").write_text("Model: Raspberry Pi RP2\n")
    result = call("rp2040", "--port", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert (tmp_path / "rp2040.uf2").read_bytes() == (flash.PREBUILT / "rp2040.uf2").read_bytes()

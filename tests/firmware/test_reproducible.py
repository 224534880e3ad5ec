"""`make firmware`: the same sources give the same bytes, and the shipped image is made of these sources."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

FIRMWARE = Path(__file__).parents[2] / "firmware"

MANIFEST = json.loads((FIRMWARE / "prebuilt" / "manifest.json").read_text())


def make(folder: Path, target: str) -> str:
    done = subprocess.run(["make", "-C", str(folder), target], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def compiler(name: str) -> str:
    return subprocess.run(
        [name, "--version"], capture_output=True, text=True, check=True
    ).stdout.splitlines()[0]


def build_copies(tmp_path: Path, target: str, image: str) -> list[bytes]:
    """The image built twice, in folders of different names and depths."""
    images = []
    for name in ("a", "another/folder of quite another length"):
        folder = tmp_path / name / "firmware"
        shutil.copytree(FIRMWARE, folder, ignore=shutil.ignore_patterns("build", "prebuilt"))
        make(folder, target)
        images.append((folder / "build" / image).read_bytes())
    return images


@pytest.mark.parametrize(
    ("target", "gcc", "image"),
    [("mega", "avr-gcc", "mega.hex"), ("rp2040", "arm-none-eabi-gcc", "rp2040.uf2")],
)
def test_the_same_bytes_twice_and_in_the_package(tmp_path: Path, target: str, gcc: str, image: str) -> None:
    if shutil.which(gcc) is None:
        pytest.skip(
            f"{gcc} is not installed: apt-get install gcc-{'avr avr-libc' if gcc == 'avr-gcc' else 'arm-none-eabi'}"
        )
    first, second = build_copies(tmp_path, target, image)
    assert first == second
    entry = MANIFEST["images"][target]
    if compiler(gcc) != entry["compiler"]:
        pytest.skip(f"the shipped image was made by {entry['compiler']}, here is {compiler(gcc)}")
    assert first == (FIRMWARE / "prebuilt" / image).read_bytes(), (
        "run make -C firmware prebuilt and commit it"
    )


def test_manifest_names_the_version_of_the_sources() -> None:
    header = (FIRMWARE / "core" / "board.h").read_text()
    for part, number in zip(("MAJOR", "MINOR", "PATCH"), MANIFEST["version"].split("."), strict=True):
        assert f"#define BOARD_FIRMWARE_{part} {number}u" in header


def test_no_heap_no_float_no_standard_io_in_the_binary(avr_gcc: None, tmp_path: Path) -> None:
    shutil.copytree(FIRMWARE, tmp_path / "firmware", ignore=shutil.ignore_patterns("build"))
    make(tmp_path / "firmware", "mega")
    symbols = subprocess.run(
        ["avr-nm", str(tmp_path / "firmware" / "build" / "mega.elf")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    names = {line.split()[-1] for line in symbols.splitlines()}
    assert "main" in names
    assert "board_tick" in names
    for banned in ("malloc", "free", "__addsf3", "__mulsf3", "__divsf3", "printf", "vfprintf"):
        assert banned not in names


def test_the_arduino_library_compiles_for_avr(avr_gcc: None, tmp_path: Path) -> None:
    shutil.copytree(FIRMWARE, tmp_path / "firmware", ignore=shutil.ignore_patterns("build", "prebuilt"))
    make(tmp_path / "firmware", "arduino-check")
    library = tmp_path / "firmware" / "build" / "AnimafaceBoard"
    assert (library / "src" / "core" / "board.c").exists()
    assert (library / "library.properties").exists()


def test_the_top_level_target_says_what_is_missing(tmp_path: Path) -> None:
    """Without compilers `make` is no error: it says which package is wanted."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("make", "sh", "mkdir", "find", "rm", "cp", "touch", "env", "bash"):
        if path := shutil.which(tool):
            (tools / tool).symlink_to(path)
    folder = tmp_path / "firmware"
    shutil.copytree(FIRMWARE, folder, ignore=shutil.ignore_patterns("build", "prebuilt"))
    done = subprocess.run(
        [str(tools / "make"), "-C", str(folder)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": str(tools)},
    )
    assert done.returncode == 0, done.stderr
    assert "apt-get install gcc-avr avr-libc" in done.stdout

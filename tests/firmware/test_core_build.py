"""The core is C99 without a warning, and pulls in no heap, no input or output and no float."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

CORE = Path(__file__).parents[2] / "firmware" / "core"
SOURCES = sorted(CORE.glob("*.c"))
CC = shutil.which("cc") or shutil.which("gcc")


@pytest.mark.skipif(CC is None, reason="no C compiler here")
@pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.name)
def test_core_compiles_without_a_warning(source: Path, tmp_path: Path) -> None:
    flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Wconversion", "-Wshadow", "-Werror", "-O2"]
    result = subprocess.run(
        [str(CC), *flags, "-c", str(source), "-o", str(tmp_path / "x.o")], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    symbols = subprocess.run(
        ["nm", "-u", str(tmp_path / "x.o")], capture_output=True, text=True
    ).stdout.split()
    wanted = {
        s for s in symbols if s != "U" and not s.startswith(("board_", "frame_", "motion_", "_GLOBAL", "__"))
    }
    assert wanted <= {"memcpy", "memset", "memcmp", "memmove"}


def test_core_has_no_float_and_no_globals() -> None:
    text = "\n".join(p.read_text(encoding="utf-8") for p in (*SOURCES, *CORE.glob("*.h")))
    code = re.sub(r"/\*.*?\*/", "", text, flags=re.S)
    assert not re.search(r"\b(float|double|malloc|free|printf)\b", code)
    assert not re.search(
        r"^static (?!inline|const)[a-z0-9_ *]+ [a-z_0-9]+(\[.*\])?( =.*)?;", code, flags=re.M
    )

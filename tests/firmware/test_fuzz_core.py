"""The core under a fuzzer, shortly; bench/fuzz_core.py runs it for ten million inputs and more."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    if shutil.which("clang") is None and shutil.which("gcc") is None:
        pytest.skip("neither clang nor gcc is installed: apt-get install clang libclang-rt-14-dev")
    spec = importlib.util.spec_from_file_location("fuzz_core", ROOT / "bench" / "fuzz_core.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_few_thousand_inputs_break_nothing(bench: ModuleType) -> None:
    result = bench.run(10_000, seed=7, optimise="-O1")
    assert result["inputs"] >= 10_000


FAULTS = [
    ("motion.c", "c->target_us = t;", "c->target_us = target_us;"),  # beyond the limits
    ("motion.c", "park_speed_us_s : c->config.speed_us_s)", "park_speed_us_s : 65535u)"),  # too fast
    ("motion.c", "limit > low ? limit : low;", "limit;"),  # stops harder than it may
    ("link.c", "b->rx_skip = false;", ""),  # stuck after a frame that is too long
]


@pytest.mark.parametrize(
    ("file", "right", "wrong"), [FAULTS[0], *(pytest.param(*f, marks=pytest.mark.long) for f in FAULTS[1:])]
)
def test_the_harness_sees_a_planted_fault(
    bench: ModuleType, tmp_path: Path, file: str, right: str, wrong: str
) -> None:
    shutil.copytree(ROOT / "firmware" / "core", tmp_path / "core")
    shutil.copytree(ROOT / "firmware" / "fuzz", tmp_path / "fuzz")
    source = tmp_path / "core" / file
    text = source.read_text()
    assert right in text
    text = text.replace(right, wrong)
    if "target_us = target_us" in wrong:
        text = text.replace("    keep_inside(c);\n", "    (void)keep_inside;\n")
    source.write_text(text)
    with pytest.raises(subprocess.CalledProcessError) as broken:
        bench.run(200_000, firmware=tmp_path, optimise="-O1")
    # Which of them an input meets first is libFuzzer's luck, and that isn't the same on every machine: what must
    # hold, said by the harness, or arithmetic that overflows where nothing keeps a pulse inside, said by the sanitizer.
    assert re.search(r"broken: |core/\w+\.c:\d+:\d+: runtime error: ", broken.value.output)

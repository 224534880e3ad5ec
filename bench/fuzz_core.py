"""The firmware's core under libFuzzer with AddressSanitizer and UndefinedBehaviorSanitizer.

    python bench/fuzz_core.py [--runs 10000000] [--jobs 1]

What must hold for every input stands in firmware/fuzz/fuzz_core.c. Needs clang (apt-get install clang
libclang-rt-14-dev); without it the same harness is built by gcc and makes its own random inputs.
"""

import argparse
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FIRMWARE = ROOT / "firmware"
RESULT = ROOT / "bench" / "results" / "fuzz_core.json"


def build(folder: Path, firmware: Path = FIRMWARE, optimise: str = "-O3") -> tuple[Path, str]:
    """The harness as a program, and what drives it."""
    program = folder / "fuzz_core"
    sources = [str(firmware / "fuzz" / "fuzz_core.c"), *map(str, sorted((firmware / "core").glob("*.c")))]
    common = ["-std=gnu99", "-g", optimise, "-Wall", "-Wextra", "-Werror", *sources, "-o", str(program)]
    if shutil.which("clang"):
        sanitize = ["-fsanitize=fuzzer,address,undefined", "-fno-sanitize-recover=all"]
        subprocess.run(["clang", *sanitize, *common], check=True)
        return program, "libFuzzer"
    sanitize = ["-DFUZZ_STANDALONE", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    subprocess.run(["gcc", *sanitize, *common], check=True)
    return program, "random bytes"


def write_seeds(folder: Path) -> None:
    """A session that greets, arms, enables, moves: where interesting inputs begin."""

    def frame(command: int, payload: bytes) -> bytes:
        return bytes(((command - 1) << 4 | 3, len(payload))) + payload

    arm, enable = frame(4, b"\0\0"), frame(6, b"\xff\4\0")
    move = frame(7, struct.pack("<HBHBH", 200, 0, 700, 3, 2000))
    wait, long_wait, estop = b"\x0a\xff", b"\x0d\x80", b"\x0e\x01"
    sessions = {
        "moves": arm + enable + wait + move + wait * 4 + frame(8, b"\0\x14") + frame(9, b""),
        "silence": arm + enable + wait + move + long_wait * 2 + arm + wait + move + wait,
        "stops": arm + enable + wait + estop + wait + b"\x0e\x02" + arm + enable + wait + frame(11, b"") + frame(10, b"\xff"),
        "setup": frame(12, b"\1\x10\x27") + frame(13, b"") + frame(3, b"\0") + frame(12, b"\x07\x88\x13") + arm + b"\xff\x10" * 9,
        "noise": b"\x01\x20" + bytes(range(32)) + b"\x01\xff" + b"\xaa" * 255 + b"\x01\x01\0" + arm,
    }  # fmt: skip
    for name, data in sessions.items():
        (folder / name).write_bytes(b"\x01" + data)


def run(
    runs: int, jobs: int = 1, *, seed: int = 1, firmware: Path = FIRMWARE, optimise: str = "-O3"
) -> dict[str, object]:
    """Returns counts; raises CalledProcessError with the harness' own words when something broke."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, driver = build(folder, firmware, optimise)
        begin_s = time.monotonic()
        children = [_start(program, driver, folder, runs // jobs, seed + k) for k in range(jobs)]
        logs = [child.communicate()[0] for child in children]
        took_s = time.monotonic() - begin_s
    for child, log in zip(children, logs, strict=True):
        if child.returncode:
            raise subprocess.CalledProcessError(child.returncode, "fuzz_core", log[-20000:])
    done = sum(int(m) for log in logs for m in re.findall(r"Done (\d+) runs", log))
    edges = [int(m) for log in logs for m in re.findall(r"cov: (\d+)", log)]
    return {
        "driver": driver,
        "inputs": done,
        "seconds": round(took_s, 1),
        "coverage_edges": max(edges, default=0),
        "crashes": 0,
        "out_of_range_pulses": 0,
        "stuck_parsers": 0,
    }


def _start(program: Path, driver: str, folder: Path, runs: int, seed: int) -> "subprocess.Popen[str]":
    if driver != "libFuzzer":
        return _popen([str(program), str(runs)])
    corpus = folder / f"corpus{seed}"
    corpus.mkdir()
    write_seeds(corpus)
    options = [f"-runs={runs}", f"-seed={seed}", "-max_len=320", "-timeout=60", f"-artifact_prefix={folder}/"]
    return _popen([str(program), *options, str(corpus)])


def _popen(command: list[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )


def main() -> int:
    """Run and write the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10_000_000)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--no-result", action="store_true", help="do not write bench/results/fuzz_core.json")
    options = parser.parse_args()
    try:
        result = run(options.runs, options.jobs)
    except subprocess.CalledProcessError as e:
        print(e.output)
        return 1
    for key, value in result.items():
        print(f"{key:22} {value}")
    if not options.no_result:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(json.dumps(result, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

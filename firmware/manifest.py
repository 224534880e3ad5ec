"""Writes prebuilt/manifest.json: what each image is, so that `animaface flash` can check what it put on a board.

Run by `make prebuilt`; needs nothing but Python.
"""

import hashlib
import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
COMPILERS = {"mega.hex": "avr-gcc", "rp2040.uf2": "arm-none-eabi-gcc"}


def version_of(header: str) -> tuple[str, int]:
    """(firmware version, protocol version) from core/board.h."""
    numbers = dict(re.findall(r"#define BOARD_(PROTOCOL_VERSION|FIRMWARE_\w+) (\d+)u", header))
    version = ".".join(numbers[f"FIRMWARE_{part}"] for part in ("MAJOR", "MINOR", "PATCH"))
    return version, int(numbers["PROTOCOL_VERSION"])


def compiler_of(program: str) -> str:
    """First line of the compiler's own name, or "" where it is not installed."""
    try:
        return subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=True
        ).stdout.splitlines()[0]
    except (OSError, subprocess.CalledProcessError, IndexError):
        return ""


def main() -> int:
    """Describe every image in prebuilt/."""
    version, protocol = version_of((HERE / "core" / "board.h").read_text())
    images = {}
    for file, compiler in COMPILERS.items():
        path = HERE / "prebuilt" / file
        if path.exists():
            images[path.stem] = {
                "file": file,
                "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
                "compiler": compiler_of(compiler),
            }
    manifest = {"version": version, "protocol": protocol, "images": images}
    (HERE / "prebuilt" / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())

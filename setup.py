"""The one compiled piece: the servo board's firmware core for the PC, which is the virtual servo board.

Everything else stands in pyproject.toml. The library is loaded by ctypes, so one build serves every
Python (abi3 tag) and Python's own headers are not needed, only a C compiler.
"""

import sys
from pathlib import Path

from setuptools import Extension, setup

CORE = [*sorted(str(p) for p in Path("firmware/core").glob("*.c")), "firmware/boards/common/pca9685.c"]
HEADERS = [*sorted(str(p) for p in Path("firmware/core").glob("*.h")), "firmware/boards/common/pca9685.h"]
FLAGS = [] if sys.platform == "win32" else ["-std=c99", "-O2", "-Wall", "-Wextra"]

setup(
    ext_modules=[
        Extension(
            "animaface.sim._boardcore",
            sources=["sim/_boardcore.c", *CORE],
            depends=HEADERS,
            extra_compile_args=FLAGS,
            py_limited_api=True,
            optional=True,  # without a compiler everything but the virtual servo board works, and that says so
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)

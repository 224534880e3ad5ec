"""The tests' own hosts stand beside the tests (importlib mode puts no folder on the path)."""

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1] / "firmware"):
    sys.path.insert(0, str(folder))

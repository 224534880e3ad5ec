"""The firmware tests' host stands beside them (no package: importlib mode needs the folder on the path)."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

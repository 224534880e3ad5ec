"""What a person keeps under a name of their own (styles, expressions): small JSON files in the configuration folder."""

import json
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any, Final

import platformdirs

from animaface.robot.face.errors import InputError

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,40}")


def kept_folder(kind: str) -> Path:
    """Where things of this kind (a plural: "styles") are kept."""
    return Path(platformdirs.user_config_dir("animaface")) / kind


def kept_names(folder: Path) -> list[str]:
    """What is there, sorted."""
    return sorted(p.stem for p in folder.glob("*.json")) if folder.is_dir() else []


def keep(content: dict[str, Any], what: str, name: str, folder: Path, taken: Collection[str] = ()) -> Path:
    """Write it and return its file; `what` is a singular for people. Raises InputError for a name that is taken or no name."""
    if not _NAME.fullmatch(name) or name in taken:
        other = f" other than {', '.join(taken)}" if taken else ""
        raise InputError(f"{what}: wanted a name of letters, digits, - and _{other}; found {name!r}")
    path = folder / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path

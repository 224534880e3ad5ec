"""What a Linux system should know of a face: udev rules, real-time rights, a service. Files of this package."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from animaface.robot.face.errors import ConfigError, InputError

RULES, RIGHTS, SERVICE = (
    "etc/udev/rules.d/99-animaface.rules",
    "etc/security/limits.d/animaface.conf",
    "etc/systemd/system/animaface.service",
)


@dataclass(frozen=True)
class SystemFile:
    """`place` below the root of the file system."""

    place: str
    text: str


def system_files(user: str, command: str | None = None) -> list[SystemFile]:
    """Rules and rights, and with a `command` (absolute path of the program first) the service that runs it as `user`.

    Raises ConfigError for a command or user that a unit file can't hold.
    """
    out = [SystemFile(place, _text(place)) for place in (RULES, RIGHTS)]
    if command is not None:
        if not command.startswith("/") or "\n" in command or not user or set(user) & set(" \n:"):
            raise ConfigError(
                f"the service wants a user and a command that begins with /; found {user!r}, {command!r}"
            )
        unit = _text(SERVICE).replace("{user}", user).replace("{command}", command.replace("%", "%%"))
        out.append(SystemFile(SERVICE, unit))
    return out


def write(found: list[SystemFile], root: Path) -> list[Path]:
    """Write them below `root` -> the paths. Raises InputError without the right to."""
    paths = []
    for file in found:
        path = root / file.place
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(file.text, encoding="utf-8")
        except OSError as e:
            raise InputError(
                f"{path} can't be written: {e.strerror}", next_step="sudo animaface setup-linux"
            ) from e
        paths.append(path)
    return paths


def rules_missing(root: Path = Path("/")) -> bool:
    """Whether the udev rules are not in place, or are older ones."""
    path = root / RULES
    try:
        return path.read_text(encoding="utf-8") != _text(RULES)
    except OSError:
        return True


def _text(place: str) -> str:
    return (files("animaface.app") / "system" / Path(place).name).read_text(encoding="utf-8")

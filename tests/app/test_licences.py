"""What a plain `pip install animaface` brings must be permissive; codecs hide inside wheels, so files count too."""

import re
from importlib.metadata import Distribution, PackageNotFoundError, distribution

import pytest
from packaging.markers import default_environment
from packaging.requirements import Requirement

# Weak copyleft that is only linked dynamically and can be replaced by the person, each with the reason it stays.
ACCEPTED_WEAK_COPYLEFT = {
    "soxr": "LGPL-2.1-or-later; python binding to libsoxr, loaded as a shared library",
    "certifi": "MPL-2.0, data only",
}
FORBIDDEN = re.compile(
    r"\b(A?GPL|GNU (Affero )?General Public|non-?commercial|CC[- ]BY[- ]NC|proprietary)", re.I
)
WEAK = re.compile(r"LGPL|Lesser General Public|\bMPL\b|Mozilla Public", re.I)
GPL_CODEC = re.compile(r"x26[45]|xvid|fdk[-_]?aac|libav(codec|format)|libpostproc", re.I)


def default_install(root: str = "animaface") -> dict[str, Distribution]:
    """Every distribution that a plain install of `root` pulls in on this machine."""
    found: dict[str, Distribution] = {}
    todo = [(root, frozenset[str]())]
    while todo:
        name, extras = todo.pop()
        try:
            dist = distribution(name)
        except PackageNotFoundError:
            pytest.fail(f"{name} is required by the default install but not installed here")
        key = dist.metadata["Name"].lower()
        if key in found and not extras:
            continue
        found[key] = dist
        for line in dist.requires or ():
            need = Requirement(line)
            env = [{**default_environment(), "extra": e} for e in (extras or {""})]
            if need.marker is None or any(need.marker.evaluate(e) for e in env):
                todo.append((need.name, frozenset(need.extras)))
    return found


def licence(dist: Distribution) -> str:
    meta = dist.metadata
    named = [meta.get("License-Expression") or "", (meta.get("License") or "").split("\n")[0]]
    named += [c for c in meta.get_all("Classifier") or [] if c.startswith("License ::")]
    return " | ".join(n for n in named if n)


INSTALL = default_install()


def test_the_walk_sees_the_known_dependencies() -> None:
    assert {"numpy", "onnxruntime", "pyserial", "dynamixel-sdk", "cobs"} <= set(INSTALL)
    assert not {"torch", "mujoco"} & set(INSTALL), "torch and mujoco belong to extras"


@pytest.mark.parametrize("name", sorted(INSTALL))
def test_licence_is_permissive(name: str) -> None:
    found = licence(INSTALL[name])
    assert found, f"{name} names no licence"
    if WEAK.search(found):
        assert name in ACCEPTED_WEAK_COPYLEFT, f"{name}: {found}"
        return
    assert not FORBIDDEN.search(found), f"{name}: {found}"


@pytest.mark.parametrize("name", sorted(INSTALL))
def test_no_gpl_codec_hides_inside(name: str) -> None:
    inside = [
        str(f) for f in INSTALL[name].files or () if f.suffix in {".so", ".dll", ".dylib"} or ".so." in f.name
    ]
    assert [f for f in inside if GPL_CODEC.search(f)] == []

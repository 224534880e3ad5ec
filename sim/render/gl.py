"""An offscreen OpenGL context: EGL, else OSMesa. No display, no GPU needed."""

import os
import sys
from importlib import import_module
from typing import Any

from animaface.robot.face.errors import MissingDependencyError

_PACKAGES = "sudo apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri libosmesa6"
_BACKENDS = ("egl", "osmesa")


def open_context(width: int, height: int) -> Any:
    """A current context of one of the backends; `free()` it.

    MUJOCO_GL chooses which is tried first. Raises MissingDependencyError, with what each backend
    said, when none works.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    order = sorted(_BACKENDS, key=lambda b: b != wanted)
    said = []
    for backend in order:
        try:
            return _open(backend, width, height)
        except (ImportError, AttributeError, RuntimeError, OSError, TypeError, ValueError) as e:
            said.append(f"{backend}: {e}")
            _forget()
    raise MissingDependencyError("no way to draw without a display: " + "; ".join(said), next_step=_PACKAGES)


def _open(backend: str, width: int, height: int) -> Any:
    module = import_module(f"mujoco.{backend}")  # chooses PyOpenGL's platform, so it comes first
    gl_error = import_module("OpenGL.error").Error
    try:
        context = module.GLContext(width, height)
        context.make_current()
    except gl_error as e:
        raise RuntimeError(str(e)) from e
    return context


def _forget() -> None:
    """PyOpenGL binds itself to one platform at import; a second try needs a fresh one."""
    os.environ.pop("PYOPENGL_PLATFORM", None)
    for name in [
        m for m in sys.modules if m == "OpenGL" or m.startswith(("OpenGL.", "mujoco.egl", "mujoco.osmesa"))
    ]:
        del sys.modules[name]

"""What runs the networks: TensorRT, CUDA or the processor, as onnxruntime offers them on this machine.

The networks are small (a frame takes a millisecond on one core), so the processor is a good home for them; a
graphics processor is for machines whose cores are busy.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from animaface.robot.face.errors import ConfigError, unknown_name

VARIABLE: Final = "ANIMAFACE_PROVIDER"
NAMES: Final = {
    "tensorrt": "TensorrtExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "cpu": "CPUExecutionProvider",
}
"""What a person asks for -> onnxruntime's name, fastest first."""
CHOICES: Final = ("auto", *NAMES)
Provider = str | tuple[str, dict[str, Any]]


def chosen(available: Sequence[str], wanted: str | None = None, *, auto: str = "") -> str:
    """One of NAMES. `wanted`: one of CHOICES, else what ANIMAFACE_PROVIDER says, else auto.

    auto takes what `auto` says, else CUDA where onnxruntime has it, else the processor; TensorRT only when it is asked for,
    as building its engines takes minutes the first time. Raises ConfigError for a name that there is not.
    """
    wanted = wanted or os.environ.get(VARIABLE, "") or "auto"
    if wanted not in CHOICES:
        raise ConfigError(unknown_name("provider", wanted, CHOICES))
    if wanted == "auto":
        return auto or ("cuda" if NAMES["cuda"] in available else "cpu")
    if NAMES[wanted] not in available:
        raise ConfigError(
            f"onnxruntime has no {wanted} here, only {', '.join(available)}",
            next_step="docs/jetson.md tells which build to install; or --provider auto",
        )
    return wanted


def providers(available: Sequence[str], wanted: str | None = None, *, auto: str = "") -> list[Provider]:
    """For an InferenceSession: the `chosen` one, and those after it for what it can't do."""
    first = chosen(available, wanted, auto=auto)
    order = list(NAMES)[list(NAMES).index(first) :]
    return [_with_options(name) for name in order if NAMES[name] in available]


def _with_options(name: str) -> Provider:
    if name != "tensorrt":
        return NAMES[name]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "animaface" / "tensorrt"
    cache.mkdir(parents=True, exist_ok=True)
    return NAMES[name], {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(cache)}

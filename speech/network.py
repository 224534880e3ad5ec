"""The trained network as onnxruntime runs it on one core: a frame's features in, curves and phone likelihoods out."""

import json
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from animaface.robot.face.arkit import CHANNEL_NAMES, FRAME_RATE_HZ
from animaface.robot.face.errors import ConfigError, unknown_name
from animaface.robot.face.providers import providers
from animaface.speech.features import LOOK_AHEAD_S, N_FEATURES, SAMPLE_RATE_HZ, quiet_features
from animaface.speech.phones import PHONES

FORMAT: Final = "animaface-speech-2"
METADATA_KEY: Final = "animaface"
STATES: Final = ("past1", "past2", "h1", "h2")
OUTPUTS: Final = ("curves", "now", "touch")
"""What a frame gives beside the next state of each of STATES."""
Array = NDArray[np.float32]
_ORT_ERRORS = (ort_errors.Fail, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf, ort_errors.InvalidArgument,
               ort_errors.NotImplemented, ort_errors.RuntimeException, ort_errors.NoSuchFile)  # fmt: skip


def default_weights() -> Path:
    """The weights that ship with the package."""
    return Path(str(resources.files("animaface.speech") / "weights" / "speech.onnx"))


@dataclass(frozen=True)
class NetworkOutput:
    """curves[K, C] in the order of the network's channels; phones now [K, P]; touch[K, 2]: lips, teeth."""

    curves: Array
    now: Array
    touch: Array


class SpeechNetwork:
    """Weights with their metadata. No state: `onestep.OneStep` holds that, so one network serves many streams.

    session: onnxruntime's, of one frame: features[1, F] and STATES in, OUTPUTS and the next state out, all [1, size].
    It runs on the processor unless another is asked for by name: a frame takes some 50 us, less than the way to a
    graphics card.
    """

    def __init__(self, weights: Path | None = None) -> None:
        path = weights or default_weights()
        if not path.is_file():
            raise ConfigError(f"no speech weights at {path}", next_step="animaface train speech")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        try:
            self.session = ort.InferenceSession(
                str(path), options, providers=providers(ort.get_available_providers(), auto="cpu")
            )
        except _ORT_ERRORS as e:
            raise ConfigError(f"{path}: not a readable ONNX file: {e}") from e
        self.path = path
        self.metadata = _metadata(self.session, path)
        self.channels: tuple[str, ...] = tuple(self.metadata["channels"])
        self.columns = np.array([CHANNEL_NAMES.index(c) for c in self.channels])
        self.sizes: dict[str, int] = {
            x.name: x.shape[1] for x in (*self.session.get_inputs(), *self.session.get_outputs())
        }

        self._quiet = self._after_silence()

    def initial_state(self) -> dict[str, Array]:
        """The state before any sound: half a second of silence has been heard.

        A training's rows begin anywhere, so from a state of zeros the mouth stands ajar until it has heard something.
        """
        return {name: x.copy() for name, x in self._quiet.items()}

    def _after_silence(self) -> dict[str, Array]:
        state = {name: np.zeros((1, self.sizes[name]), np.float32) for name in STATES}
        for row in quiet_features():
            told = self.session.run([f"next_{n}" for n in STATES], {"features": row[None], **state})
            state = dict(zip(STATES, told, strict=True))
        return state


def _metadata(session: ort.InferenceSession, path: Path) -> dict[str, Any]:
    found = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if found is None:
        raise ConfigError(
            f"{path}: no {METADATA_KEY!r} metadata: not weights of this project's speech network"
        )
    data: dict[str, Any] = json.loads(found)
    wanted = {
        "format": FORMAT, "phones": list(PHONES), "features": N_FEATURES,
        "sample_rate_hz": SAMPLE_RATE_HZ, "frame_rate_hz": FRAME_RATE_HZ, "look_ahead_s": LOOK_AHEAD_S,
    }  # fmt: skip
    for key, value in wanted.items():
        if data.get(key) != value:
            raise ConfigError(
                f"{path}: {key} must be {value}, found {data.get(key)}", next_step="animaface train speech"
            )
    for name in data["channels"]:
        if name not in CHANNEL_NAMES:
            raise ConfigError(f"{path}: {unknown_name('channel', name, CHANNEL_NAMES)}")
    return data

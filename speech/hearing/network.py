"""The trained classifier of feelings, run by onnxruntime on one core."""

import json
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from animaface.robot.face.errors import ConfigError
from animaface.robot.face.providers import providers
from animaface.speech.hearing.measures import N_MEASURES
from animaface.speech.network import METADATA_KEY

FORMAT: Final = "animaface-feeling-1"
CLASSES: Final = ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "boredom")
INPUTS: Final = ("measures", "usual", "known")
Array = NDArray[np.float64]


def default_weights() -> Path:
    """The weights that ship with the package."""
    return Path(str(resources.files("animaface.speech") / "weights" / "emotion.onnx"))


class FeelingNetwork:
    """Weights with their metadata: `population`[N_MEASURES] is how people sound on average."""

    def __init__(self, weights: Path | None = None) -> None:
        path = weights or default_weights()
        if not path.is_file():
            raise ConfigError(f"no emotion weights at {path}", next_step="animaface train emotion")
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = ort.InferenceSession(
            str(path), options, providers=providers(ort.get_available_providers())
        )
        found = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "{}")
        self.metadata: dict[str, Any] = json.loads(found)
        for key, wanted in (("format", FORMAT), ("classes", list(CLASSES)), ("measures", N_MEASURES)):
            if self.metadata.get(key) != wanted:
                raise ConfigError(
                    f"{path}: {key} must be {wanted}, found {self.metadata.get(key)}",
                    next_step="animaface train emotion",
                )
        self.population: Array = np.array(self.metadata["population"], dtype=np.float64)

    def run(self, measures: Array, usual: Array, known: float) -> Array:
        """[7] likelihoods of CLASSES. usual[N_MEASURES]: how the speaker sounds on average; known 0..1: how
        much of that is the speaker and not the population."""
        row = (measures, usual, np.array([known]))
        feed = {name: x[None].astype(np.float32) for name, x in zip(INPUTS, row, strict=True)}
        return np.asarray(self._session.run(None, feed)[0][0], dtype=np.float64)

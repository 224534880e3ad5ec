"""What is done to the network's curves before anybody sees them: trust in the sound, closures, bounds."""

import numpy as np
from numpy.typing import NDArray

from animaface.robot.face.arkit import N_CHANNELS, N_SHAPES
from animaface.speech.closure import ClosureLayer
from animaface.speech.trust import SpeechTrust

Array = NDArray[np.float32]


class MouthRules:
    """Streaming; columns[C]: where each of the network's curves stands among the 55 channels."""

    def __init__(self, columns: NDArray[np.integer]) -> None:
        self._columns = columns
        self._closure, self._trust = ClosureLayer(), SpeechTrust()

    def apply(self, curves: Array, now: Array, touch: Array) -> Array:
        """curves[K, C], phones now[K, P], touch[K, 2] of lips and teeth -> values[K, 55]."""
        values = np.zeros((len(curves), N_CHANNELS), np.float32)
        values[:, self._columns] = curves
        values[:, :N_SHAPES] *= self._trust.of(now)[:, None]
        values = self._closure.apply(values, now, touch)
        np.minimum(values[:, :N_SHAPES], 1.0, out=values[:, :N_SHAPES])  # the layer keeps them from below
        return values

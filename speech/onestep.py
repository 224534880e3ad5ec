"""The network at work: one frame after another, through buffers that are bound once.

A live stream brings chunks of 10 to 16 ms, so hardly two frames come at once, and what a frame costs beside its
multiplications (arrays made, names looked up, states copied) would be a third of everything. A recording goes the
same way, so that it gives the same curves.
"""

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from animaface.speech.features import N_FEATURES
from animaface.speech.network import OUTPUTS, NetworkOutput, SpeechNetwork

Array = NDArray[np.float32]
_DEVICE = ("cpu", 0)


class OneStep:
    """Holds the state of one stream."""

    def __init__(self, network: SpeechNetwork) -> None:
        self._network = network
        # the state lies twice: a frame reads it here and writes it there
        self._states = (network.initial_state(), network.initial_state())
        self._from = 0
        self._features = np.zeros((1, N_FEATURES), np.float32)
        self._outputs = [np.zeros((1, network.sizes[n]), np.float32) for n in OUTPUTS]
        self._bindings = (self._bound(0), self._bound(1))

    def run(self, features: Array) -> NetworkOutput:
        """features[K, F] of K frames -> their output."""
        rows = [np.empty((len(features), x.shape[1]), np.float32) for x in self._outputs]
        for k in range(len(features)):
            self._features[0] = features[k]
            self._network.session.run_with_iobinding(self._bindings[self._from])
            self._from = 1 - self._from
            for row, output in zip(rows, self._outputs, strict=True):
                row[k] = output[0]
        return NetworkOutput(*rows)

    def _bound(self, source: int) -> ort.IOBinding:
        binding = self._network.session.io_binding()
        before, after = self._states[source], self._states[1 - source]
        for name, array in [("features", self._features), *before.items()]:
            binding.bind_input(name, *_DEVICE, np.float32, array.shape, array.ctypes.data)
        results = dict(zip(OUTPUTS, self._outputs, strict=True)) | {f"next_{n}": x for n, x in after.items()}
        for name, array in results.items():
            binding.bind_output(name, *_DEVICE, np.float32, array.shape, array.ctypes.data)
        return binding

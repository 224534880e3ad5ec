"""The network one frame at a time: its buffers are bound once, so that a frame costs the multiplications and little more.

A live stream brings chunks of 10 to 16 ms, so hardly two frames come at once, and what a frame costs beside its
multiplications (arrays made, names looked up, states copied) would be a third of everything.
"""

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from animaface.speech.features import N_FEATURES
from animaface.speech.network import STATES, NetworkOutput, SpeechNetwork

Array = NDArray[np.float32]
_DEVICE = ("cpu", 0)


class OneStep:
    """Holds the state of one stream. Frames run by it and frames run in longer pieces may alternate."""

    def __init__(self, network: SpeechNetwork) -> None:
        self._network = network
        # the state lies twice: a frame reads it here and writes it there
        self._states = (network.initial_state(), network.initial_state())
        self._from = 0
        named = dict(zip(network.outputs, network.session.get_outputs(), strict=True))
        self._features = np.zeros((1, 1, N_FEATURES), np.float32)
        self._outputs = [np.zeros((1, 1, named[n].shape[2]), np.float32) for n in network.outputs[:3]]
        self._bindings = (self._bound(0), self._bound(1))

    def run(self, features: Array) -> NetworkOutput:
        """features[K, F] of K frames, K >= 1 -> their output."""
        if len(features) > 1:
            output, after = self._network.run(features, self._states[self._from])
            for name in STATES:
                self._states[self._from][name][...] = after[name]
            return output
        self._features[0] = features
        self._network.session.run_with_iobinding(self._bindings[self._from])
        self._from = 1 - self._from
        curves, now, touch = self._outputs
        return NetworkOutput(curves[0].copy(), now[0].copy(), touch[0].copy())

    def _bound(self, source: int) -> ort.IOBinding:
        binding = self._network.session.io_binding()
        before, after = self._states[source], self._states[1 - source]
        for name, array in [("features", self._features), *before.items()]:
            binding.bind_input(name, *_DEVICE, np.float32, array.shape, array.ctypes.data)
        results = dict(zip(self._network.outputs[:3], self._outputs, strict=True))
        results |= dict(zip(self._network.outputs[3:], (after[s] for s in STATES), strict=True))
        for name, array in results.items():
            binding.bind_output(name, *_DEVICE, np.float32, array.shape, array.ctypes.data)
        return binding

"""What blendshapes ask of landmarks, as far as that is known of every face.

mouthClose takes back what jawOpen did at the lips, so of a shut jaw it asks for nothing; the tongue has no
landmark. An inverse that is told the same about both can't move where nothing was asked.
"""

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS

Array = NDArray[np.float64]

_JAW: Final = ARKIT_INDEX["jawOpen"]
_CLOSE: Final = ARKIT_INDEX["mouthClose"]
TONGUE: Final = ARKIT_INDEX["tongueOut"]


def held_closed(values: Array) -> Array:
    """[...] how much of the jaw's opening the lips of values[..., 55] take back."""
    return np.asarray(np.minimum(values[..., _CLOSE], np.maximum(values[..., _JAW], 0.0)))


class Asked(nn.Module):
    """values[B, 55] -> the same without what asks for nothing."""

    counts: Tensor
    closes: Tensor

    def __init__(self) -> None:
        super().__init__()
        counts, closes = torch.ones(N_CHANNELS), torch.zeros(N_CHANNELS)
        counts[TONGUE], closes[_CLOSE] = 0.0, 1.0
        self.register_buffer("counts", counts)
        self.register_buffer("closes", closes)

    def forward(self, values: Tensor) -> Tensor:
        """[B, 55]."""
        jaw, close = values[:, _JAW : _JAW + 1], values[:, _CLOSE : _CLOSE + 1]
        return values * self.counts - torch.relu(close - torch.relu(jaw)) * self.closes

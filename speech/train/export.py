"""The trained network as ONNX: real units out, softmax inside, every fact about it in the metadata."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from animaface.speech.features import N_FEATURES
from animaface.speech.network import METADATA_KEY, STATES
from animaface.speech.phones import N_PHONES
from animaface.speech.train.model import N_TOUCHES, SpeechNet

log = logging.getLogger(__name__)


class _Deployed(nn.Module):
    """Curves in real units, likelihoods instead of logits."""

    def __init__(self, net: SpeechNet) -> None:
        super().__init__()
        self.net = net

    def forward(
        self, features: Tensor, past1: Tensor, past2: Tensor, h1: Tensor, h2: Tensor
    ) -> tuple[Tensor, ...]:
        curves, phones, *state = self.net(features, past1, past2, h1, h2)
        now, _, touch = torch.split(phones, [N_PHONES, N_PHONES, N_TOUCHES], dim=2)
        return (curves, torch.softmax(now, dim=2), torch.sigmoid(touch), *state)


def scale_outputs(net: SpeechNet, offset: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
    """Fold curves = output * scale + offset into the last layer, in place."""
    with torch.no_grad():
        s, o = torch.from_numpy(scale), torch.from_numpy(offset)
        net.curves.weight.mul_(s[:, None])
        net.curves.bias.mul_(s).add_(o)


def export(net: SpeechNet, path: Path, metadata: dict[str, Any]) -> None:
    """Write `path` with the metadata as JSON; the batch is 1, the number of frames is free."""
    net.eval()
    deployed = _Deployed(net).eval()
    example = (torch.zeros(1, 5, N_FEATURES), *net.initial(1))
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.onnx.export(
        deployed,
        example,
        str(path),
        input_names=["features", *STATES],
        output_names=["curves", "now", "touch", *(f"next_{s}" for s in STATES)],
        dynamic_axes={"features": {1: "frames"}, **{n: {1: "frames"} for n in ("curves", "now", "touch")}},
        opset_version=17,
        dynamo=False,
    )
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(metadata)
    onnx.save(model, str(path))
    log.info("%s: %.2f MB", path, path.stat().st_size / 1e6)

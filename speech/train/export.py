"""The trained network as ONNX: one frame a run, real units out, every fact about it in the metadata.

A frame is a dozen products of a vector with a matrix, and what it costs is bringing the matrices to the core: 2 MB
of floats at every frame do not fit beside whatever else the core does. The large ones are kept in 7 bits, each output
with a scale of its own, and the vector is rounded to 8 bits on the way (onnxruntime's DynamicQuantizeMatMul). 7 and
not 8, because processors without VNNI add two products in 16 bits.
"""

import json
import logging
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from animaface.speech.features import N_FEATURES
from animaface.speech.network import METADATA_KEY, STATES
from animaface.speech.phones import N_PHONES
from animaface.speech.train.model import KERNEL, N_TOUCHES, SpeechNet

log = logging.getLogger(__name__)
Array = NDArray[np.float32]
_LARGEST: Final = 63
"""Of 7 bits with their sign."""
_OPSET, _IR = 17, 9
_RUNTIME_DOMAIN: Final = "com.microsoft"


def scale_outputs(net: SpeechNet, offset: NDArray[np.float32], scale: NDArray[np.float32]) -> None:
    """Fold curves = output * scale + offset into the last layer, in place."""
    with torch.no_grad():
        s, o = torch.from_numpy(scale), torch.from_numpy(offset)
        net.curves.weight.mul_(s[:, None])
        net.curves.bias.mul_(s).add_(o)


class _Graph:
    """Nodes and constants of a graph that grows."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: NDArray[Any]) -> str:
        """Its name, to be named as an input."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, op: str, inputs: list[str], *outputs: str, **settings: Any) -> str:
        """Name of the first output of a node more."""
        self.nodes.append(helper.make_node(op, inputs, list(outputs), **settings))
        return outputs[0]

    def exact(self, x: str, name: str, weight: Array, bias: Array) -> str:
        """x[1, I] @ weight[I, O] + bias in floats."""
        constants = [self.constant(f"{name}.weight", weight), self.constant(f"{name}.bias", bias)]
        return self.add("Gemm", [x, *constants], name)

    def rounded(self, x: str, name: str, weight: Array, bias: Array) -> str:
        """The same with the weight in 7 bits."""
        scale = np.maximum(np.abs(weight).max(axis=0), 1e-12) / _LARGEST
        constants = [
            self.constant(f"{name}.weight", np.round(weight / scale).astype(np.int8)),
            self.constant(f"{name}.scale", scale.astype(np.float32)),
            "",
            self.constant(f"{name}.bias", bias),
        ]
        return self.add("DynamicQuantizeMatMul", [x, *constants], name, domain=_RUNTIME_DOMAIN)

    def part(self, x: str, name: str, start: int, end: int) -> str:
        """Columns start to end of x[1, I]."""
        at = [
            self.constant(f"{name}.{what}", np.array([n]))
            for what, n in (("from", start), ("to", end), ("axis", 1))
        ]
        return self.add("Slice", [x, *at], name)


def _convolution(g: _Graph, x: str, k: int, weight: Array, bias: Array) -> str:
    """One step of a causal convolution: the past [1, (KERNEL - 1) * I] and x[1, I] -> [1, O]; keeps the new past."""
    size = weight.shape[1]
    heard = g.add("Concat", [f"past{k}", x], f"heard{k}", axis=1)
    g.part(heard, f"next_past{k}", size, KERNEL * size)
    flat = weight.transpose(2, 1, 0).reshape(KERNEL * size, -1)
    return g.add("Relu", [g.rounded(heard, f"conv{k}", flat, bias)], f"convolved{k}")


def _gru(g: _Graph, x: str, k: int, w: dict[str, Array]) -> str:
    """One step of torch's GRU: gates r, z and the new value n, in this order of rows; keeps the new state."""
    size = w["weight_hh_l0"].shape[1]
    of = {
        side: g.rounded(source, f"gru{k}.{side}", w[f"weight_{side}_l0"].T, w[f"bias_{side}_l0"])
        for side, source in (("ih", x), ("hh", f"h{k}"))
    }
    gates = [g.part(of[side], f"gru{k}.{side}.gates", 0, 2 * size) for side in of]
    new = {side: g.part(of[side], f"gru{k}.{side}.new", 2 * size, 3 * size) for side in of}
    gates_sum = g.add("Add", gates, f"gru{k}.gates")
    open_ = g.add("Sigmoid", [gates_sum], f"gru{k}.open")
    reset, kept = g.part(open_, f"gru{k}.reset", 0, size), g.part(open_, f"gru{k}.kept", size, 2 * size)
    past = g.add("Mul", [reset, new["hh"]], f"gru{k}.past")
    value = g.add("Tanh", [g.add("Add", [new["ih"], past], f"gru{k}.sum")], f"gru{k}.value")
    difference = g.add("Sub", [f"h{k}", value], f"gru{k}.difference")
    share = g.add("Mul", [kept, difference], f"gru{k}.share")
    return g.add("Add", [value, share], f"next_h{k}")


def _graph(net: SpeechNet) -> onnx.GraphProto:
    w = {name: value.detach().numpy() for name, value in net.state_dict().items()}
    g = _Graph()
    x = _convolution(g, "features", 1, w["conv1.weight"], w["conv1.bias"])
    x = _convolution(g, x, 2, w["conv2.weight"], w["conv2.bias"])
    layers = []
    for k in (1, 2):
        prefix = f"gru{k}."
        x = _gru(g, x, k, {n.removeprefix(prefix): v for n, v in w.items() if n.startswith(prefix)})
        layers.append(x)
    both = g.add("Concat", layers, "both", axis=1)
    g.exact(both, "curves", w["curves.weight"].T, w["curves.bias"])
    told = np.r_[0:N_PHONES, 2 * N_PHONES : 2 * N_PHONES + N_TOUCHES]  # the phones ahead only taught
    logits = g.exact(both, "logits", w["phones.weight"][told].T, w["phones.bias"][told])
    g.add("Softmax", [g.part(logits, "now.logits", 0, N_PHONES)], "now", axis=1)
    g.add("Sigmoid", [g.part(logits, "touch.logits", N_PHONES, len(told))], "touch")

    def row(name: str, size: int) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1, size])

    c = net.config
    sizes = ((KERNEL - 1) * N_FEATURES, (KERNEL - 1) * c.conv, c.hidden, c.hidden)
    states = dict(zip(STATES, sizes, strict=True))
    inputs = [row("features", N_FEATURES), *(row(n, size) for n, size in states.items())]
    outputs = [row("curves", c.channels), row("now", N_PHONES), row("touch", N_TOUCHES)]
    outputs += [row(f"next_{n}", size) for n, size in states.items()]
    return helper.make_graph(g.nodes, "speech", inputs, outputs, g.constants)


def export(net: SpeechNet, path: Path, metadata: dict[str, Any]) -> None:
    """Write `path`: features[1, F] of one frame and the state in, rows and the next state out; metadata as JSON."""
    opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(_RUNTIME_DOMAIN, 1)]
    model = helper.make_model(_graph(net), opset_imports=opsets, ir_version=_IR, producer_name="animaface")
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, json.dumps(metadata)
    path.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(model, str(path))
    log.info("%s: %.2f MB", path, path.stat().st_size / 1e6)

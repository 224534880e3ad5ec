"""Trained networks -> ONNX with names, scales, rates and training facts in the metadata; parity is checked."""

import json
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnx
import onnx.numpy_helper
import onnxruntime
import torch
from torch import Tensor, nn

from animaface.robot.face.arkit import CHANNEL_NAMES, FRAME_RATE_HZ
from animaface.robot.face.errors import CalibrationError
from animaface.robot.face.landmarks import N_LANDMARKS
from animaface.selfmodel.distill import DistilledInverse
from animaface.selfmodel.history import History, Response
from animaface.selfmodel.network import HEAD_SCALE_M_PER_RAD, SelfModel, Shape
from animaface.selfmodel.runtime import BROKEN_MODEL
from animaface.selfmodel.window import OFFSETS

PARITY: Final = 1e-5
"""Largest difference between torch and onnxruntime that is let through, m or rad."""
PARITY_U: Final = 5e-5
"""The same of commands, a fifth of the finest servo's step: Gauss-Newton steps multiply what float32 rounds off."""
_LATER = ("stretch", "least")
"""Numbers that self-models of earlier versions don't have."""


class _AsLandmarks(nn.Module):
    def __init__(self, model: SelfModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """inputs[B, F] -> landmarks [B, 478, 3] m, head [B, 3] rad, how far the members stand apart [B, 478] m."""
        members = self.model.members(inputs) * self.model.scale
        mean = members.mean(dim=0)
        y = self.model.decode(mean)
        apart = ((members - mean) @ self.model.basis)[:, :, :-3]
        square = (apart.reshape(len(members), -1, N_LANDMARKS, 3) ** 2).sum(dim=3).mean(dim=0)
        return (
            y[:, :-3].reshape(-1, N_LANDMARKS, 3),
            y[:, -3:] / HEAD_SCALE_M_PER_RAD,
            (square + 1e-14).sqrt(),
        )


def export_self_model(
    model: SelfModel, path: Path, actuators: tuple[str, ...], response: Response, history: History,
    facts: Mapping[str, Any],
) -> None:  # fmt: skip
    """selfmodel.onnx: `inputs`[B, F] -> `landmarks_m`[B, 478, 3], `head_rad`[B, 3], `doubt_m`[B, 478].

    Metadata say how inputs are made from commands: lag, play and creep per History and Response.
    """
    meta = {
        "kind": "self-model", "actuators": actuators, "frame": "head: x to the subject's left, y up, z out, m",
        "delay_s": response.delay_s.tolist(), "tau_s": response.tau_s.tolist(),
        **history.facts(), "shape": vars(model.shape), **facts,
    }  # fmt: skip
    example = torch.rand(3, model.shape.n_inputs)
    _export(
        _AsLandmarks(model).eval(),
        example,
        path,
        "inputs",
        ("landmarks_m", "head_rad", "doubt_m"),
        meta,
        PARITY,
    )


def import_self_model(path: Path) -> tuple[SelfModel, Response, History, dict[str, Any]]:
    """The torch network back from selfmodel.onnx, to solve with: model, response, history, metadata.

    Raises CalibrationError when the file is not one of ours.
    """
    again = "animaface calibrate FACE"
    try:
        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])  # a full check
        facts = json.loads(session.get_modelmeta().custom_metadata_map["animaface"])
        proto = onnx.load(str(path))
        found = {i.name: onnx.numpy_helper.to_array(i) for i in proto.graph.initializer}
        model = SelfModel(Shape(**facts["shape"]))
        state = model.state_dict()
        for k, v in state.items():
            if v.numel() and (k not in _LATER or f"model.{k}" in found):
                state[k] = torch.tensor(found[f"model.{k}"])
        model.load_state_dict(state)
    except BROKEN_MODEL as e:
        raise CalibrationError(f"{path} is no self-model: {e!r}", next_step=again) from e
    response = Response(np.array(facts["delay_s"]), np.array(facts["tau_s"]))
    return model.eval(), response, History.of(facts), facts


def export_inverse(
    net: DistilledInverse, path: Path, actuators: tuple[str, ...], facts: Mapping[str, Any]
) -> None:
    """inverse.onnx: `window`[B, W, 55] -> `u`[B, N] (see window.py and runtime.py)."""
    meta = {
        "kind": "inverse", "actuators": actuators, "channels": CHANNEL_NAMES, "rate_hz": FRAME_RATE_HZ,
        "window_frames": OFFSETS, "shapes_range": [0.0, 1.0], "head_unit": "rad", "u_range": [0.0, 1.0],
        "observed": [bool(b) for b in net.observed > 0.5], "neutral_u": net.neutral_u.tolist(), **facts,
    }  # fmt: skip
    _export(
        net.eval(), torch.rand(3, len(OFFSETS), len(CHANNEL_NAMES)), path, "window", ("u",), meta, PARITY_U
    )


def _export(
    net: nn.Module,
    example: Tensor,
    path: Path,
    input_name: str,
    output_names: tuple[str, ...],
    meta: Mapping[str, Any],
    wanted: float,
) -> None:
    # torch tells of a package that is not needed, and of a name of its own that will change
    logging.getLogger("torch.onnx._internal.exporter._registration").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            net, (example,), dynamo=True, input_names=[input_name], output_names=list(output_names),
            dynamic_shapes=({0: torch.export.Dim("batch")},), verbose=False, optimize=False,
        )  # fmt: skip
    if program is None:
        raise CalibrationError(f"torch made no ONNX program for {path.name}", next_step="report this")
    proto = program.model_proto
    without_traces(proto)
    with_constants_cast(proto.graph)
    proto.metadata_props.append(onnx.StringStringEntryProto(key="animaface", value=json.dumps(meta)))
    onnx.save(proto, str(path))
    worst = parity(net, path, torch.rand(17, *example.shape[1:]), input_name)
    if worst > wanted:
        raise CalibrationError(f"{path.name}: onnxruntime differs from torch by {worst:.1e}, wanted {wanted:.0e}",
                               next_step="report this")  # fmt: skip


def with_constants_cast(graph: onnx.GraphProto) -> None:
    """Constants that torch casts on every run are cast once, here. All that our networks compute with is float32."""
    known = {
        i.name: onnx.numpy_helper.to_array(i) for i in graph.initializer if not i.dims or len(i.dims) < 2
    }
    known |= {n.output[0]: onnx.numpy_helper.to_array(n.attribute[0].t) for n in graph.node
              if n.op_type == "Constant" and n.attribute[0].name == "value"}  # fmt: skip
    kept, spent = [], set[str]()
    for node in graph.node:
        to_float = node.op_type == "CastLike" or (
            node.op_type == "Cast" and node.attribute[0].i == onnx.TensorProto.FLOAT
        )
        if to_float and node.input[0] in known:
            spent.add(node.input[0])
            cast = known[node.input[0]].astype(np.float32)
            graph.initializer.append(onnx.numpy_helper.from_array(cast, node.output[0]))
        else:
            kept.append(node)
    spent -= {
        name for node in kept for name in node.input
    }  # onnxruntime warns of constants that nothing uses
    needed = [i for i in graph.initializer if i.name not in spent]
    kept = [n for n in kept if n.output[0] not in spent]
    del graph.node[:]
    graph.node.extend(kept)
    del graph.initializer[:]
    graph.initializer.extend(needed)


def without_traces(proto: onnx.ModelProto) -> None:
    """Take out what torch notes about its own source: stack traces with paths of the machine that exported."""
    graph = proto.graph
    for piece in (graph, *graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer):
        del piece.metadata_props[:]
        if piece is not graph:
            piece.doc_string = ""


def parity(net: nn.Module, path: Path, x: Tensor, input_name: str) -> float:
    """Largest difference between torch and onnxruntime over all outputs for inputs x."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {input_name: x.numpy()})
    with torch.no_grad():
        wanted = net(x)
    wanted = wanted if isinstance(wanted, tuple) else (wanted,)
    return max(float(np.abs(f - w.numpy()).max()) for f, w in zip(found, wanted, strict=True))

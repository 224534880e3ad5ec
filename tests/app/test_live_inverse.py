"""A calibrated face live: the distilled inverse in pieces gives what it gives for the whole take."""

from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

from animaface.app.live.motor_stream import MotorStream
from animaface.app.motion import motion_of
from animaface.robot.config import load_face
from animaface.robot.face.arkit import N_CHANNELS
from animaface.selfmodel.runtime import FaceInverse

onnx = pytest.importorskip("onnx")
OFFSETS = (-2, 0, 3)


def _inverse(names: tuple[str, ...]) -> FaceInverse:
    """A linear inverse with a window, written as ONNX."""
    weights = (
        np.random.default_rng(0).normal(0, 0.02, (len(OFFSETS) * N_CHANNELS, len(names))).astype(np.float32)
    )
    h = onnx.helper
    graph = h.make_graph(
        [h.make_node("Flatten", ["window"], ["flat"]), h.make_node("MatMul", ["flat", "w"], ["u"])], "inverse",
        [h.make_tensor_value_info("window", onnx.TensorProto.FLOAT, None)],
        [h.make_tensor_value_info("u", onnx.TensorProto.FLOAT, None)], [onnx.numpy_helper.from_array(weights, "w")],
    )  # fmt: skip
    model = h.make_model(graph, opset_imports=[h.make_opsetid("", 17)], ir_version=9)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return FaceInverse(session, {"actuators": names, "rate_hz": 60.0, "window_frames": OFFSETS})


def test_pieces_of_any_size_give_the_commands_of_the_whole_take() -> None:
    config = load_face("bench4")
    motion = replace(motion_of(config, sim=True, use_calibration=False), solver=_inverse(config.names))
    stream = MotorStream(config, motion)
    assert stream.lookahead_s == pytest.approx(3 / 60)
    values = np.random.default_rng(1).uniform(0, 1, (200, N_CHANNELS))
    time_s = np.arange(200) / 60.0
    whole = _inverse(config.names).solve(values)
    first = 0
    for size in (1, 2, 7, 1, 30, 3, 60, 96):
        part = slice(first, first + size)
        stream.push(time_s[part], values[part], np.zeros(size, bool))
        first += size
    assert stream.newest_s == pytest.approx(time_s[-4])
    got = stream.at(time_s[150])
    assert got is not None
    for n, lag_s in enumerate(motion.lag_s):
        assert got[n] == pytest.approx(np.interp(time_s[150] + lag_s, time_s, whole[:, n]), abs=1e-5)


def test_a_hasty_stream_says_at_once_what_it_can_and_the_last_word_is_the_same() -> None:
    """A microphone waits for no frame that the inverse looks ahead to: the newest is held until others come."""
    config = load_face("bench4")
    motion = replace(motion_of(config, sim=True, use_calibration=False), solver=_inverse(config.names))
    stream = MotorStream(config, motion, hasty=True)
    assert stream.lookahead_s == 0.0
    values = np.random.default_rng(2).uniform(0, 1, (80, N_CHANNELS))
    time_s = np.arange(80) / 60.0
    whole = _inverse(config.names).solve(values)
    for k in range(80):
        stream.push(time_s[k : k + 1], values[k : k + 1], np.zeros(1, bool))
        assert stream.newest_s == pytest.approx(time_s[k])
        held = _inverse(config.names).solve(
            np.concatenate([values[: k + 1], np.repeat(values[k : k + 1], 3, axis=0)])
        )
        got = stream.at(time_s[k])
        assert got is not None
        np.testing.assert_allclose(got, held[k], atol=1e-5)
    earlier = stream.at(time_s[40])
    assert earlier is not None
    for n, lag_s in enumerate(motion.lag_s):
        assert earlier[n] == pytest.approx(np.interp(time_s[40] + lag_s, time_s, whole[:, n]), abs=1e-5)

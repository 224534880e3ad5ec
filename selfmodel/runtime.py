"""The inverse at run time: blendshapes in, motor commands out, by onnxruntime on one thread. No torch."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from animaface.robot.face.arkit import CHANNEL_NAMES, N_CHANNELS
from animaface.robot.face.errors import CalibrationError, InputError
from animaface.robot.face.providers import providers
from animaface.selfmodel.window import Numbers, windows

Array = NDArray[np.float64]
T = TypeVar("T")
BROKEN_MODEL: tuple[type[Exception], ...] = (
    ort_errors.InvalidProtobuf, ort_errors.InvalidGraph, ort_errors.InvalidArgument, ort_errors.Fail,
    ort_errors.NotImplemented, ort_errors.RuntimeException, KeyError, ValueError, OSError,
)  # fmt: skip
"""What loading a file that is no network of ours raises."""


def open_model(
    make: Callable[[onnxruntime.InferenceSession, dict[str, Any]], T],
    path: Path,
    what: str,
    run_by: Sequence[Any],
    made_for: tuple[str, tuple[str, ...]],
) -> T:
    """`make` of one of our ONNX files on one core and its facts. `made_for`: (a fact, the names it must tell).

    Raises CalibrationError when the file is missing, broken or made for other names.
    """
    again = "animaface calibrate FACE"
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not path.is_file():
        raise CalibrationError(f"no {what} in {path}", next_step=again)
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=run_by)
        facts: dict[str, Any] = json.loads(session.get_modelmeta().custom_metadata_map["animaface"])
        fact, names = made_for
        if tuple(facts[fact]) != names:
            raise CalibrationError(f"{path} was made for other {fact}", next_step=again)
        return make(session, facts)
    except BROKEN_MODEL as e:
        raise CalibrationError(f"{path} is no {what} of a face: {e}", next_step=again) from e


class FaceInverse:
    """The distilled inverse of one face. `names`: its actuators, in the order of u[N]."""

    def __init__(self, session: onnxruntime.InferenceSession, facts: dict[str, Any]) -> None:
        self._session = session
        self.facts = facts
        self.names: tuple[str, ...] = tuple(facts["actuators"])
        self.rate_hz = float(facts["rate_hz"])
        self._offsets = tuple(int(k) for k in facts["window_frames"])
        self.lookahead_frames = max(*self._offsets, 0)
        self._past = -min(*self._offsets, 0)
        # where, in `_recent`, the oldest frame not yet answered looks
        self._at = self._past + np.array(self._offsets)
        self._recent = np.zeros((0, N_CHANNELS), dtype=np.float32)

    @classmethod
    def load(cls, path: Path) -> Self:
        """From `inverse.onnx` of a calibration folder.

        Raises CalibrationError when the file is missing, broken or made for other channels.
        """
        available = providers(onnxruntime.get_available_providers())
        return open_model(cls, path, "inverse", available, ("channels", CHANNEL_NAMES))

    def solve(self, values: Array) -> Array:
        """values[T, 55] at 60 frames a second -> u[T, N] in 0..1. The take is known whole."""
        v = _checked(values)
        if not len(v):
            return np.zeros((0, len(self.names)))
        return self._run(windows(v, self._offsets))

    def push(self, values: Array) -> Array:
        """The same in pieces: new frames[K, 55] -> commands of the frames that are ripe, [R, N].

        Frame t is answered once frame t + lookahead_frames is there; `flush` answers the rest.
        """
        v = _checked(values)
        if not len(v):
            return np.zeros((0, len(self.names)))
        if not len(self._recent):
            self._recent = np.repeat(v[:1], self._past, axis=0)
        self._recent = np.concatenate([self._recent, v], dtype=np.float32)
        ripe = len(self._recent) - self._past - self.lookahead_frames
        if ripe <= 0:
            return np.zeros((0, len(self.names)))
        u = self._run(self._recent[self._at + np.arange(ripe)[:, None]])
        self._recent = self._recent[ripe:]
        return u

    def held_back(self) -> Array:
        """Commands [R, N] of the frames that are not ripe, as if the newest stayed: a first word, to be followed by
        that of `push`."""
        if not len(self._recent):
            return np.zeros((0, len(self.names)))
        return self._run(windows(self._recent, self._offsets)[self._past :])

    def flush(self) -> Array:
        """Commands [R, N] of the frames still held back; then ready for a new take."""
        u = self.held_back()
        self._recent = self._recent[:0]
        return u

    def _run(self, window: Numbers) -> Array:
        if not len(window):
            return np.zeros((0, len(self.names)))
        (u,) = self._session.run(["u"], {"window": np.ascontiguousarray(window, dtype=np.float32)})
        return np.asarray(u, dtype=np.float64)


def _checked(values: Array) -> Array:
    v = np.asarray(values, dtype=np.float64)
    if v.ndim != 2 or v.shape[1] != N_CHANNELS:
        raise InputError(f"wanted blendshapes[T, {N_CHANNELS}], found shape {v.shape}")
    if not np.isfinite(v).all():
        raise InputError("blendshapes hold NaN or infinity")
    return v

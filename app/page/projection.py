"""From motor commands to the face that is drawn: by the self-model of the calibration, else by the ARKit rig."""

from collections import deque
from pathlib import Path
from typing import Any, Final, Protocol, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.face.arkit import HEAD_SLICE, N_SHAPES
from animaface.robot.face.errors import CalibrationError
from animaface.robot.handmap import HandMap
from animaface.selfmodel.history import History
from animaface.selfmodel.rig import default_rig
from animaface.selfmodel.runtime import open_model

Array = NDArray[np.float64]
TICK_S: Final = 0.01
_SAME_U, _OTHER_U = 0.05, 0.15
"""A servo that says it stands further than this from where it should is drawn where it says."""


class Projection(Protocol):
    """Follows the commands tick by tick; draws when asked. `kind`: how, for a person."""

    kind: str

    def follow(self, u: Array, position_u: Array) -> None:
        """One tick of 10 ms: applied u[N], measured position_u[N] (NaN: nobody knows)."""
        ...

    def landmarks(self) -> tuple[Array, Array]:
        """(landmarks[478, 3] in the head frame, m; yaw, pitch, roll [3], rad) as of the last tick."""
        ...


class ByRig:
    """No calibration: the hand map read backwards gives blendshapes, the rig draws them."""

    kind = "ARKit rig through the hand map"

    def __init__(self, config: FaceConfig) -> None:
        hand = HandMap(config)
        self._neutral_u, shares = hand.neutral_u, hand.shares  # [N], [55, N]
        self._back = np.linalg.solve(shares.T @ shares + 1e-3 * np.eye(shares.shape[1]), shares.T).T
        self._u = self._neutral_u.copy()

    def follow(self, u: Array, position_u: Array) -> None:
        """Where each servo says it is; the command where it can't tell."""
        self._u = np.where(np.isfinite(position_u), position_u, u)

    def landmarks(self) -> tuple[Array, Array]:
        """By the rig."""
        away = self._u - self._neutral_u
        room = np.where(away > 0.0, 1.0 - self._neutral_u, self._neutral_u)
        values = self._back @ (away / np.maximum(room, 1e-6))
        values[:N_SHAPES] = np.clip(values[:N_SHAPES], 0.0, 1.0)
        return default_rig().landmarks_m(values[None], lips_meet=True)[0], values[HEAD_SLICE]


class BySelfModel:
    """The network motors -> landmarks of the calibration, by onnxruntime on one thread, streaming.

    What it must remember between ticks (lag, play, creep) is told by its metadata, see selfmodel.history.
    """

    kind = "self-model of the calibration"

    def __init__(self, session: onnxruntime.InferenceSession, facts: dict[str, Any]) -> None:
        self._session = session
        self._delay = np.asarray(facts["delay_s"]) / TICK_S
        self._gain = 1.0 - np.exp(-TICK_S / np.maximum(np.asarray(facts["tau_s"]), 1e-6))
        self._history = History.of(facts)
        self._past: deque[Array] = deque(maxlen=int(np.ceil(self._delay.max())) + 2)
        self._q = self._shown = np.zeros(0)
        self._play: list[Array] = []
        self._creep: list[Array] = []

    @classmethod
    def load(cls, path: Path, names: tuple[str, ...]) -> Self:
        """From `selfmodel.onnx`. Raises CalibrationError when it is missing, broken or for other actuators."""
        return open_model(cls, path, "self-model", ["CPUExecutionProvider"], ("actuators", names))

    def follow(self, u: Array, position_u: Array) -> None:
        """The command through lag, play and creep; a servo that doesn't follow is believed."""
        if not len(self._q):
            self._start(u)
        self._past.appendleft(np.array(u, dtype=np.float64))
        past = np.stack(list(self._past))
        low = np.minimum(self._delay.astype(int), len(past) - 1)
        high, column = np.minimum(low + 1, len(past) - 1), np.arange(len(u))
        share = self._delay - np.floor(self._delay)
        late = (1.0 - share) * past[low, column] + share * past[high, column]
        self._q = self._q + self._gain * (late - self._q)
        off = np.where(np.isfinite(position_u), position_u - self._q, 0.0)
        trust = np.clip((np.abs(off) - _SAME_U) / (_OTHER_U - _SAME_U), 0.0, 1.0)
        q = self._shown = self._q + trust * off
        self._play = [np.clip(s, q - r, q + r) for s, r in zip(self._play, self._history.play, strict=True)]
        gains = [1.0 - np.exp(-TICK_S / max(t, 1e-6)) for t in self._history.creep_s]
        drawn = self._history.drawn(q)
        self._creep = [s + g * (drawn - s) for s, g in zip(self._creep, gains, strict=True)]

    def landmarks(self) -> tuple[Array, Array]:
        """By the network."""
        q, drawn = self._shown, self._history.drawn(self._shown)
        parts = [q, *((q - s) / r for s, r in zip(self._play, self._history.play, strict=True))]
        inputs = np.concatenate(parts + [drawn - s for s in self._creep])[None].astype(np.float32)
        landmarks, head = self._session.run(["landmarks_m", "head_rad"], {"inputs": inputs})
        return landmarks[0].astype(np.float64), head[0].astype(np.float64)

    def _start(self, u: Array) -> None:
        self._q = self._shown = np.array(u, dtype=np.float64)
        self._play = [self._q.copy() for _ in self._history.play]
        self._creep = [self._history.drawn(self._q) for _ in self._history.creep_s]


def projection_of(config: FaceConfig, calibration: Path | None) -> Projection:
    """By the self-model of `calibration` where it fits this face, else by the rig."""
    if calibration is not None:
        try:
            return BySelfModel.load(calibration / "selfmodel.onnx", config.names)
        except CalibrationError:
            return ByRig(config)
    return ByRig(config)

"""Babbling where the self-model does not know: a small ensemble's disagreement chooses the next piece of path.

Query by committee (Seung, Opper, Sompolinsky 1992) over whole pieces of smooth path, so that every photo is taken in
motion, with its history, as in use: many pieces are imagined, the ensemble says on which its members stand farthest
apart, and that piece is driven. Members are trained on from one round to the next. Needs torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from animaface.calibration.learn import history_of
from animaface.calibration.paths import Body, babbling_path
from animaface.calibration.recording import Recording
from animaface.selfmodel.history import TICK_S, History, Response
from animaface.selfmodel.network import SelfModel
from animaface.selfmodel.train import TrainOptions, train_self_model

Array = NDArray[np.float64]

_IMAGINED: Final = 12
"""Pieces that are thought through for each one that is driven."""
_FEWEST_POSES: Final = 50
"""Before that an ensemble has nothing to disagree about."""
_CALM_EVERY: Final = 4
_CALM, _BUSY = 1.0, 0.1
"""Every so many pieces one stays near rest all the time, the others less than babbling does. That is not left to the members:
near rest, where a face is mostly, they differ little and err together (docs/selfmodel.md)."""


@dataclass
class Curiosity:
    """Chooses pieces of path for one face; keeps its ensemble from round to round."""

    body: Body
    response: Response
    seed: int = 0
    history: History = field(default_factory=History)
    model: SelfModel | None = None

    def next_path(self, recordings: Sequence[Recording], seconds: float, frame_hz: float) -> Array:
        """[T, N] the piece to drive next, given what was recorded so far (next to nothing: any smooth piece)."""
        known = sum(len(r.frame_s) for r in recordings)
        calm = _CALM if len(recordings) % _CALM_EVERY == 1 else _BUSY
        pieces = [
            babbling_path(
                self.body, seconds, 104_729 + 1000 * self.seed + _IMAGINED * len(recordings) + k, calm
            )
            for k in range(_IMAGINED if known >= _FEWEST_POSES else 1)
        ]
        if len(pieces) == 1:
            return pieces[0]
        self.model = self._learn(recordings)
        return pieces[int(np.argmax([self.disagreement(p, frame_hz) for p in pieces]))]

    def disagreement(self, path: Array, frame_hz: float) -> float:
        """How far the members stand apart at the photos of path[T, N]: variance in units of each block's motion."""
        if self.model is None:
            return 0.0
        inputs = self.history.inputs(self.response.follow(path))[:: max(1, round(1.0 / (frame_hz * TICK_S)))]
        with torch.no_grad():
            members = self.model.members(torch.as_tensor(inputs, dtype=torch.float32))
        apart = (
            ((members - members.mean(dim=0)) ** 2)
            .mean(dim=0)
            .view(len(inputs), self.model.shape.n_blocks, -1)
        )
        # Photos like each other teach once: the root counts a few wild ones less than many new ones.
        return float(apart.sum(dim=2).sqrt().mean())

    def _learn(self, recordings: Sequence[Recording]) -> SelfModel:
        self.history = replace(self.history, skin=history_of(recordings, self.response).skin)
        inputs = [r.at_frames(self.history.inputs(self.response.follow(r.u))) for r in recordings]
        landmarks = np.concatenate([r.landmarks_m for r in recordings])
        head = np.concatenate([r.head_rad for r in recordings])
        options = TrainOptions(seed=self.seed, steps=200 if self.model else 400, members=3, hidden=32)
        return train_self_model(np.concatenate(inputs), landmarks, head, len(self.body.neutral_u), self.history,
                                options, start=self.model)  # fmt: skip

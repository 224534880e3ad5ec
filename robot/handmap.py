"""The hand map: what a face does before anybody has calibrated it."""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.face.arkit import CHANNEL_NAMES, N_CHANNELS
from animaface.robot.face.errors import InputError


class HandMap:
    """Blendshapes to motor commands by the `moves` of the face config, linear on each side of neutral.

    For an actuator du = sum(share * value); u = neutral + du * (room above or below neutral), kept in
    0..1. Members of a group that must be equal get their mean.
    """

    def __init__(self, config: FaceConfig) -> None:
        index = {name: i for i, name in enumerate(CHANNEL_NAMES)}
        self.names = config.names
        self.neutral_u = np.array([a.neutral_u for a in config.actuators.values()])  # [N]
        self.shares = np.zeros((N_CHANNELS, len(self.names)))  # [55, N]
        for n, actuator in enumerate(config.actuators.values()):
            for channel, share in actuator.effective_moves.items():
                self.shares[index[channel], n] = share
        self._equal = [
            [self.names.index(m) for m in g.members] for g in config.groups.values() if g.agree == "equal"
        ]

    def __call__(self, values: ArrayLike) -> NDArray[np.float64]:
        """values[..., 55] (ARKit shapes 0..1, head in rad) -> u[..., N]. Raises InputError on a wrong shape."""
        v = np.asarray(values, dtype=np.float64)
        if v.shape[-1:] != (N_CHANNELS,):
            raise InputError(f"wanted blendshapes[..., {N_CHANNELS}], found shape {v.shape}")
        du = v @ self.shares
        room = np.where(du > 0.0, 1.0 - self.neutral_u, self.neutral_u)
        u = np.clip(self.neutral_u + du * room, 0.0, 1.0)
        for members in self._equal:
            u[..., members] = u[..., members].mean(axis=-1, keepdims=True)
        return np.asarray(u, dtype=np.float64)

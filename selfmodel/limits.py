"""What a command may be, as plain arrays: neutral, groups that agree, collisions, speed, acceleration."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def _none() -> Array:
    return np.zeros(0)


@dataclass(frozen=True)
class CommandLimits:
    """Commands u[N] are in 0..1; `equal` index groups share one u; collision_rows[C, N] @ u <= at_most[C].

    speed_per_s[N] in ranges/s and acceleration_per_s2[N]; empty = no such limit.
    """

    neutral_u: Array
    equal: Sequence[Sequence[int]] = ()
    collision_rows: Array = field(default_factory=_none)
    collision_at_most: Array = field(default_factory=_none)
    speed_per_s: Array = field(default_factory=_none)
    acceleration_per_s2: Array = field(default_factory=_none)

    @property
    def n(self) -> int:
        """Number of actuators."""
        return len(self.neutral_u)

    @property
    def rows(self) -> Array:
        """[C, N] collision rows, C may be 0."""
        return self.collision_rows.reshape(-1, self.n)

    def ties(self) -> Array:
        """[M, N] of 0 and 1: free numbers z[M] -> u[N] = z @ ties, one z per group of equals."""
        tied = {i for members in self.equal for i in members}
        groups = [list(m) for m in self.equal] + [[i] for i in range(self.n) if i not in tied]
        out = np.zeros((len(groups), self.n))
        for row, members in zip(out, groups, strict=True):
            row[members] = 1.0
        return out

    def made_legal(self, u: Array) -> Array:
        """u[T, N] clipped, groups agreeing, and drawn back towards neutral where parts would collide."""
        u = np.clip(u, 0.0, 1.0)
        for members in self.equal:
            u[:, members] = u[:, members].mean(axis=1, keepdims=True)
        for row, most in zip(self.rows, self.collision_at_most, strict=True):
            here, rest = u @ row, float(self.neutral_u @ row)
            room = np.where(
                here > most, np.clip((most - rest) / np.maximum(here - rest, 1e-9), 0.0, 1.0), 1.0
            )
            touched = np.flatnonzero(row)
            u[:, touched] = self.neutral_u[touched] + room[:, None] * (
                u[:, touched] - self.neutral_u[touched]
            )
        return u

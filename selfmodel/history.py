"""What a face's shape depends on beside the present command: the servo's lag, play, and creep.

A command u reaches the skin through three things that remember. The servo answers after a dead time and
then like a first-order lag. Cables, gears and skin answer with hysteresis, written as play operators (the
elementary hysteron of Prandtl and Ishlinskii: a block pushed by a rod with play r on both sides). Silicone
creeps, written as the difference to a slow first-order filter of where the skin is, not of the command: a slack
cable moves nothing that could creep. Each is a few numbers per actuator, so the network behind it
stays a plain function and learns from few poses.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

TICK_S: Final = 0.01
"""Grid of command logs, s."""


@dataclass(frozen=True)
class Response:
    """How N actuators answer a command: dead time, then a first-order lag, both in s."""

    delay_s: Array
    tau_s: Array

    @classmethod
    def uniform(cls, n: int, delay_s: float = 0.02, tau_s: float = 0.02) -> Self:
        """The same guess for every actuator, to begin with."""
        return cls(np.full(n, delay_s), np.full(n, tau_s))

    @property
    def lag_s(self) -> Array:
        """[N] by how much a steadily moving actuator trails its command."""
        return self.delay_s + self.tau_s

    def follow(self, u: Array, tick_s: float = TICK_S) -> Array:
        """Commands u[T, N] on an even grid -> where the actuators are, q[T, N]; starts at rest at u[0]."""
        return _low_pass(shifted(u, self.delay_s / tick_s), self.tau_s, tick_s)


@dataclass(frozen=True)
class History:
    """Which memories the network sees beside q: play radii (in ranges) and creep time constants (s).

    `skin`: per power of a Chebyshev series without its constant, one coefficient per actuator: how far the skin goes with
    each, in its own range (skin.py finds them). Empty: as far as the actuator itself.
    """

    play: tuple[float, ...] = (0.03,)
    creep_s: tuple[float, ...] = (0.03, 0.9)
    skin: tuple[tuple[float, ...], ...] = ()

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """From what `facts` wrote; calibrations made before the skin was asked know none."""
        skin = tuple(tuple(row) for row in facts.get("skin", ()))
        return cls(tuple(facts["play"]), tuple(facts["creep_s"]), skin)

    def facts(self) -> dict[str, Any]:
        """For JSON."""
        return {"play": self.play, "creep_s": self.creep_s, "skin": self.skin}

    @property
    def per_actuator(self) -> int:
        """Numbers per actuator: q, one per play, one per time constant."""
        return 1 + len(self.play) + len(self.creep_s)

    def inputs(self, q: Array, tick_s: float = TICK_S) -> Array:
        """q[T, N] on an even grid -> network inputs [T, N * per_actuator], memory first at rest."""
        n, play, creep = q.shape[1], len(self.play), len(self.creep_s)
        radii, taus_s = np.repeat(self.play, n), np.repeat(self.creep_s, n)
        played = (np.tile(q, play) - _play(np.tile(q, play), radii)) / radii
        drawn = np.tile(self.drawn(q), creep)
        crept = drawn - _low_pass(drawn, taus_s, tick_s)
        return np.concatenate([q, played, crept], axis=1)

    def drawn(self, q: Array) -> Array:
        """q[..., N] -> how far the skin has gone with each actuator, in ranges; its zero means nothing."""
        return np.asarray(along_skin(q, [np.array(row) for row in self.skin]))


def along_skin(q: Any, skin: Sequence[Any]) -> Any:
    """History.drawn for arrays or tensors q[..., N] and coefficients [N] of the Chebyshev polynomials T1, T2 ..."""
    if not skin:
        return q
    t = 2.0 * q - 1.0
    before, now, out = 1.0, t, skin[0] * t
    for row in skin[1:]:
        before, now = now, 2.0 * t * now - before
        out = out + row * now
    return out


def straight_from(rest: Any, u: Any, play: Sequence[float], skin: Sequence[Any]) -> tuple[list[Any], Any]:
    """Memory of tensors u[..., N] that came straight from rest[N]: where they stand in each play, -1..1, and how far
    the skin was drawn."""
    off = u - rest
    plays = [(off * (1.0 / r)).clip(-1.0, 1.0) for r in play]
    return plays, along_skin(u, skin) - along_skin(rest, skin)


def shifted(u: Array, frames: Array) -> Array:
    """u[T, N] delayed by frames[N] (may be a fraction, may be negative), held at both ends."""
    at = np.arange(len(u))[:, None] - frames[None, :]
    low = np.clip(np.floor(at).astype(np.int64), 0, len(u) - 1)
    high = np.minimum(low + 1, len(u) - 1)
    share = np.clip(at - low, 0.0, 1.0)
    column = np.arange(u.shape[1])
    return np.asarray((1.0 - share) * u[low, column] + share * u[high, column])


def _low_pass(x: Array, tau_s: Array, tick_s: float) -> Array:
    gain = 1.0 - np.exp(-tick_s / np.maximum(tau_s, 1e-6))
    out = np.empty_like(x)
    state = x[0].copy()
    for i, row in enumerate(x):
        state += gain * (row - state)
        out[i] = state
    return out


def _play(x: Array, radius: Array) -> Array:
    out = np.empty_like(x)
    state = x[0].copy()
    for i, row in enumerate(x):
        np.clip(state, row - radius, row + radius, out=state)
        out[i] = state
    return out

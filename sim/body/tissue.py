"""What soft tissue does beside elasticity: it stiffens, drags, creeps; tendons rub and go slack."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STIFFEN_M = 0.0105
_STIFFEN_SHARE = 0.16
_NEIGHBOUR_SHARE = 0.10
_NEIGHBOUR_M = 0.010

LIP_DEPTH_M = 0.0100
_CORNER_CHORD_M = 0.0492


def stiffen(place: Array, neighbours: Array) -> Array:
    """[H, 3] places of skin glued to links once the glue has given way to skin that stiffens.

    neighbours: [E, H] rows with +1 and -1; skin between two links that part resists with the cube
    of the stretch.
    """
    r2 = (place * place).sum(axis=1, keepdims=True) / _STIFFEN_M**2
    out = place / (1.0 + _STIFFEN_SHARE * r2)
    if len(neighbours):
        apart = neighbours @ out
        d2 = (apart * apart).sum(axis=1, keepdims=True) / _NEIGHBOUR_M**2
        out = out - neighbours.T @ (apart * (_NEIGHBOUR_SHARE * d2 / (1.0 + d2)))
    return np.asarray(out, dtype=np.float64)


def lip_bulge_m(inward_m: float) -> float:
    """How far lips bulge forward when the corners come together by `inward_m` (negative: apart), m.

    The lips keep their length: a parabola of given arc over a shorter chord is deeper. Stretched
    lips lie flat on the teeth.
    """
    slack = 8.0 / 3.0 * LIP_DEPTH_M**2 / _CORNER_CHORD_M + inward_m
    flat = 0.0016
    slack = flat * float(np.logaddexp(0.0, slack / flat))
    chord = max(_CORNER_CHORD_M - inward_m, 0.015)
    return 0.8 * (float(np.sqrt(0.375 * chord * slack)) - LIP_DEPTH_M)


class Drag:
    """Skin that rubs on what it slides over (a play of +-width) and creeps after its link."""

    def __init__(self, n: int, width_m: Array, creep_share: Array, creep_tau_s: float) -> None:
        self.held = np.zeros((n, 3))
        self.crept = np.zeros((n, 3))
        self._width, self._share, self._tau = width_m[:, None], creep_share[:, None], creep_tau_s

    def follow(self, place: Array, dt_s: float) -> Array:
        """[n, 3] places of the skin after dt_s."""
        lag = place - self.held
        size = np.sqrt((lag * lag).sum(axis=1, keepdims=True))
        self.held += lag * np.maximum(1.0 - self._width / np.maximum(size, 1e-12), 0.0)
        self.crept += (self.held - self.crept) * (dt_s / self._tau)
        return np.asarray(self.held + self._share * (self.crept - self.held), dtype=np.float64)


class Tendons:
    """Cables that pull skin over guides: slack, stretch, capstan friction, dry friction, creep.

    One coordinate per cable: how far its end has been drawn from where the passive skin would be, m.
    """

    STRETCH_N_PER_M = 1100.0
    SLACK_M = 0.0006
    VISCOSITY = 14.0  # N s/m
    STIFFEN_M = 0.009
    CREEP_TAU_S = 0.9
    CREEP_SHARE = 0.3

    def __init__(self, stiffness: Array, dry_n: Array, wrap_friction: Array) -> None:
        n = len(dry_n)
        self.drawn = np.zeros(n)
        self.crept = np.zeros(n)
        self._k = np.asarray(stiffness, float)
        self._diagonal = np.diagonal(self._k).copy()
        self._dry = dry_n
        self._up, self._down = np.exp(-wrap_friction), np.exp(wrap_friction)
        # Semi-implicit in the stiffest linear terms, so that 5 ms steps do not ring.
        self._implicit = self._diagonal + self.STRETCH_N_PER_M

    def step(self, wound_m: Array, passive_m: Array, dt_s: float) -> Array:
        """Advance; returns [T] tension at the horn, N. wound_m: cable taken in; passive_m: how far
        the rest of the face has already carried the end along the cable."""
        x = self.drawn
        self.crept += (self.CREEP_SHARE * x - self.crept) * (dt_s / self.CREEP_TAU_S)
        tension = self.STRETCH_N_PER_M * np.maximum(wound_m - self.SLACK_M - passive_m - x, 0.0)
        skin = self._k @ (x - self.crept) + self._diagonal * x * (x / self.STIFFEN_M) ** 2
        rise = np.maximum(tension * self._up - skin - self._dry, 0.0)
        fall = np.minimum(tension * self._down - skin + self._dry, 0.0)
        gain = dt_s / (
            self.VISCOSITY + dt_s * (self._implicit + 2.0 * self._diagonal * (x / self.STIFFEN_M) ** 2)
        )
        self.drawn = x + gain * (rise + fall)
        return np.asarray(tension, dtype=np.float64)

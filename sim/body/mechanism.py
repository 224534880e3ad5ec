"""From horn angles to places: every linkage of a face as a table over u, exact at the nodes.

u is the share of the actuator's calibrated range; tables reach past both ends up to the hard stops.
"""

from dataclasses import dataclass
from math import radians

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import ActuatorConfig, FaceConfig
from animaface.sim.body import anatomy
from animaface.sim.body.linkage import FiveBar, four_bar, stroke

Array = NDArray[np.float64]

U_STOP = (-0.12, 1.12)
"""Where the hard stops of the linkages stand, in u."""
_NODES = 401


def tip_path_m(part: str, u: Array, neutral_u: float) -> Array:
    """[..., 3] displacement of a crank-driven tip from its place at neutral; first entry only for joints.

    Joints (lids, eyes, jaw, neck, tongue, tendons) come back as (value, 0, 0), value relative to
    neutral in rad or m.
    """
    crank = anatomy.crank_of(part)
    if crank is None:
        return np.zeros((*np.shape(u), 3))
    phase = (radians(crank.phase_deg[0]), radians(crank.phase_deg[1]))
    share, share0 = (
        _share(crank, np.asarray(u, float), phase),
        _share(crank, np.asarray(neutral_u, float), phase),
    )
    if crank.arc is None:
        value = crank.stroke * (share - share0)
        return np.stack([value, np.zeros_like(value), np.zeros_like(value)], axis=-1)
    side = anatomy.side_sign(part) or 1.0
    out = np.array(crank.out) * [side, 1.0, 1.0]
    bend = np.array(crank.bend) * [side, 1.0, 1.0]
    out /= np.linalg.norm(out)
    bend /= np.linalg.norm(bend)
    at = crank.stroke * (share - 0.5) / crank.arc + radians(crank.tilt_deg)
    at0 = crank.stroke * (share0 - 0.5) / crank.arc + radians(crank.tilt_deg)
    along = crank.arc * (np.sin(at) - np.sin(at0))
    bulge = crank.arc * (np.cos(at) - np.cos(at0))
    return np.asarray(along[..., None] * out + bulge[..., None] * bend, dtype=np.float64)


def _share(crank: anatomy.Crank, u: Array, phase: tuple[float, float]) -> Array:
    """Share of the stroke, 0..1 over the range."""
    if crank.bars is None:
        return stroke(u, phase, rod=crank.rod, offset=crank.offset)
    ground, short, coupler, rocker = crank.bars
    turn = np.concatenate([np.atleast_1d(phase[0] + u * (phase[1] - phase[0])), phase])
    at = four_bar(turn, ground=ground, crank=short, coupler=coupler, rocker=rocker)
    return np.asarray((at[:-2] - at[-2]) / (at[-1] - at[-2]), dtype=np.float64).reshape(np.shape(u))


@dataclass(frozen=True)
class CornerDrive:
    """One mouth corner: which actuators (or None) turn its two cranks."""

    side: str
    a: int | None
    b: int | None
    rest_u: tuple[float, float]
    linkage: FiveBar

    def point(self, u: Array) -> tuple[float, float]:
        """(outwards, up) displacement in m for all actuators' horn positions u."""
        return self._at(*self._pair(u))

    def nudged(self, u: Array, by: float) -> list[tuple[int, tuple[float, float]]]:
        """[(actuator, point when it alone moves on by `by`)]."""
        a, b = self._pair(u)
        out = []
        if self.a is not None:
            out.append((self.a, self._at(a + by, b)))
        if self.b is not None:
            out.append((self.b, self._at(a, b + by)))
        return out

    def _pair(self, u: Array) -> tuple[float, float]:
        return (
            self.rest_u[0] if self.a is None else float(u[self.a]),
            self.rest_u[1] if self.b is None else float(u[self.b]),
        )

    def _at(self, ua: float, ub: float) -> tuple[float, float]:
        return self.linkage.point(
            _phase(anatomy.FIVE_BAR_PHASE_A_DEG, ua), _phase(anatomy.FIVE_BAR_PHASE_B_DEG, ub)
        )


def _phase(ends_deg: tuple[float, float], u: float) -> float:
    return radians(ends_deg[0] + (ends_deg[1] - ends_deg[0]) * u)


def corner_drives(config: FaceConfig) -> list[CornerDrive]:
    """The five-bars of a face, left first; a side without any servo has none."""
    acts = list(config.actuators.values())
    out = []
    for side in ("left", "right"):
        a, b = (_first(acts, f"corner_{k}_{side}") for k in "ab")
        if a is None and b is None:
            continue
        rest = (0.5 if a is None else acts[a].neutral_u, 0.5 if b is None else acts[b].neutral_u)
        linkage = FiveBar(
            anatomy.FIVE_BAR_BASE_A, anatomy.FIVE_BAR_BASE_B, anatomy.FIVE_BAR_CRANKS,
            (_phase(anatomy.FIVE_BAR_PHASE_A_DEG, rest[0]), _phase(anatomy.FIVE_BAR_PHASE_B_DEG, rest[1])),
        )  # fmt: skip
        out.append(CornerDrive(side, a, b, rest, linkage))
    return out


def _first(acts: list[ActuatorConfig], part: str) -> int | None:
    return next((k for k, a in enumerate(acts) if a.part == part), None)


class Tables:
    """All crank-driven tips of a face at once: u[N] -> place [N, 3] and its slope d place / d u."""

    def __init__(self, actuators: list[ActuatorConfig], strokes: Array | None = None) -> None:
        """strokes: [N] factors on what each tip travels, 1 unless told."""
        low, high = U_STOP[0] - 0.05, U_STOP[1] + 0.05
        grid = np.linspace(low, high, _NODES)
        self._place = np.stack([tip_path_m(a.part, grid, a.neutral_u) for a in actuators])
        if strokes is not None:
            self._place *= strokes[:, None, None]
        self._low, self._per_u = low, (_NODES - 1) / (high - low)
        self._rows = np.arange(len(actuators))

    def steepest(self) -> Array:
        """[N] largest slope of each place per u."""
        step = np.linalg.norm(np.diff(self._place, axis=1), axis=2)
        return np.asarray(step.max(axis=1) * self._per_u, dtype=np.float64)

    def look_up(self, u: Array) -> tuple[Array, Array]:
        """([N, 3] places, [N, 3] slopes per u)."""
        x = np.minimum(np.maximum((u - self._low) * self._per_u, 0.0), _NODES - 1.001)
        cell = x.astype(np.int64)
        a = self._place[self._rows, cell]
        step = self._place[self._rows, cell + 1] - a
        return a + step * (x - cell)[:, None], step * self._per_u

"""The soft side of a face: where links hold the skin, how skin follows, and the load that comes back."""

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.sim.body import anatomy
from animaface.sim.body.ageing import Ageing
from animaface.sim.body.mechanism import corner_drives
from animaface.sim.body.pose import Shape
from animaface.sim.body.skin import build_skin, rides_on_jaw
from animaface.sim.body.tissue import Drag, Tendons, lip_bulge_m, stiffen

Array = NDArray[np.float64]
Rows = NDArray[np.int64]

_SKIN_PARTS = ("brow_", "lip_")
_TENDON_PARTS = ("nose_wing_", "cheek_")
_CREEP_TAU_S = 0.7
_NUDGE_U = 1e-3

_NEIGHBOURS = (
    ("brow_inner_left", "brow_outer_left"), ("brow_inner_right", "brow_outer_right"),
    ("corner_left", "lip_upper_left"), ("lip_upper_left", "lip_upper_middle"),
    ("lip_upper_middle", "lip_upper_right"), ("lip_upper_right", "corner_right"),
    ("corner_left", "lip_lower_left"), ("lip_lower_left", "lip_lower_middle"),
    ("lip_lower_middle", "lip_lower_right"), ("lip_lower_right", "corner_right"),
)  # fmt: skip


def rows_of(parts: list[str], *wanted: str) -> Rows:
    """Numbers of the actuators that drive one of the wanted parts."""
    return np.array([k for k, p in enumerate(parts) if p in wanted], dtype=np.int64)


def mean_matrix(rows: list[Rows], n: int) -> Array:
    """[R, N] averages over the actuators of each row; a row nobody drives is zero."""
    out = np.zeros((len(rows), n))
    for r, members in enumerate(rows):
        if len(members):
            out[r, members] = 1.0 / len(members)
    return out


class SoftTissue:
    """Skin, lips and tendons of one face, quasi-static but for drag, creep and the tendons' friction."""

    def __init__(
        self,
        config: FaceConfig,
        rng: np.random.Generator,
        ageing: Ageing | None = None,
        stiffness: float = 1.0,
    ) -> None:
        aged, actuators = ageing or Ageing(), list(config.actuators.values())
        parts = [a.part for a in actuators]
        self._corners = corner_drives(config)
        driven = sorted({p for p in parts if p.startswith(_SKIN_PARTS)})
        handles = (*driven, *(f"corner_{c.side}" for c in self._corners))
        tendons = tuple(sorted({p for p in parts if p.startswith(_TENDON_PARTS)}))
        skin = build_skin(handles, tendons).softened(stiffness * aged.stiffness)
        self.shape = Shape(skin, np.array([_pull(t) for t in tendons]).reshape(-1, 3))
        self._to_handle = mean_matrix([rows_of(parts, h) for h in handles], len(parts))
        self._to_tendon = mean_matrix([rows_of(parts, t) for t in tendons], len(parts))
        self._slack_m = self._to_tendon @ aged.slack_m(actuators)
        self._corner_rows = [handles.index(f"corner_{c.side}") for c in self._corners]
        self._on_jaw = np.array([rides_on_jaw(h) for h in handles], dtype=bool)
        self._bulge = np.array([_bulge_share(h) for h in handles])
        self._neighbours = _neighbour_matrix(handles)
        h, t = len(handles), len(tendons)
        width = np.array([1.5e-4 if name.startswith("brow") else 1.3e-4 for name in handles])
        self._drag = Drag(h, width * rng.uniform(0.7, 1.3, h), 0.038 * rng.uniform(0.8, 1.2, h), _CREEP_TAU_S)
        self._cables = Tendons(
            skin.tendon_stiffness, 0.09 * rng.uniform(0.8, 1.2, t), 0.052 * rng.uniform(0.8, 1.2, t)
        )
        self.handles = np.zeros((h, 3))
        """[H, 3] where the skin is at its links, head frame, m."""

    @property
    def drawn_m(self) -> Array:
        """[T] how far each tendon has drawn its skin, m."""
        return self._cables.drawn

    def settle(self, u: Array, place: Array, jaw: Array) -> None:
        """Put the skin where the links are, rested."""
        raw, _ = self._held(u, place, jaw)
        self._drag.held[:], self._drag.crept[:], self.handles = raw, raw, raw

    def step(self, u: Array, place: Array, slope: Array, jaw: Array, dt_s: float) -> Array:
        """Follow the links for dt_s; returns [N] load on the actuators as dE/du, N m per unit of u.

        u [N] horn positions, place and slope [N, 3] from the linkage tables, jaw [3, 4] its motion.
        """
        raw, corners = self._held(u, place, jaw)
        self.handles = self._drag.follow(raw, dt_s)
        force = self._force(jaw)
        load = ((self._to_handle.T @ force) * slope).sum(axis=1)
        self._corner_loads(load, u, corners, force)
        k, pull = self.shape.skin, self.shape.pull
        if len(pull):
            passive = ((k.tendon_by_handle @ self.handles + k.tendon_by_jaw @ jaw.T) * pull).sum(axis=1)
            tension = self._cables.step(self._to_tendon @ place[:, 0] - self._slack_m, passive, dt_s)
            load -= (self._to_tendon.T @ tension) * slope[:, 0]
        return np.asarray(load, dtype=np.float64)

    def _held(self, u: Array, place: Array, jaw: Array) -> tuple[Array, list[tuple[float, float]]]:
        """([H, 3] where the links hold the skin, in the head frame; corners' (outwards, up))."""
        raw = self._to_handle @ place
        corners = [c.point(u) for c in self._corners]
        inward = 0.0
        for row, drive, (x, y) in zip(self._corner_rows, self._corners, corners, strict=True):
            raw[row] = ((x if drive.side == "left" else -x), y, _arch_z(x))
            inward -= x
        raw = stiffen(raw, self._neighbours)
        raw[:, 2] += self._bulge * lip_bulge_m(inward)
        raw[self._on_jaw] += raw[self._on_jaw] @ jaw[:, :3].T
        return raw, corners

    def _force(self, jaw: Array) -> Array:
        """[H, 3] forces of skin and lip contact on the links, N."""
        k = self.shape.skin
        force = -(k.handle_stiffness @ self.handles + k.handle_jaw @ jaw.T)
        press = self.shape.lip_press_n(self.handles, jaw)
        lips = self.shape.lip_by_handle
        force[:, 1] += lips[:9].T @ press - lips[9:].T @ press
        return np.asarray(force, dtype=np.float64)

    def _corner_loads(self, load: Array, u: Array, corners: list[tuple[float, float]], force: Array) -> None:
        """Adds the five-bars' share by virtual work."""
        for row, drive, (x, y) in zip(self._corner_rows, self._corners, corners, strict=True):
            out = force[row, 0] if drive.side == "left" else -force[row, 0]
            out -= force[row, 2]  # the arch turns a push from the front into one to the side
            for k, (x1, y1) in drive.nudged(u, _NUDGE_U):
                load[k] += (out * (x1 - x) + force[row, 1] * (y1 - y)) / _NUDGE_U


def _bulge_share(handle: str) -> float:
    if not handle.startswith("lip_"):
        return 0.0
    return 1.0 if handle.endswith("middle") else 0.7


def _arch_z(outwards_m: float) -> float:
    """The corner runs on the arch of the teeth: outwards is backwards, ever more."""
    return -0.95 * outwards_m - 9.0 * outwards_m * outwards_m


def _pull(tendon: str) -> Array:
    stem, side = tendon.rpartition("_")[0], anatomy.side_sign(tendon)
    v = np.array(anatomy.PULL_DIRECTION[stem]) * [side, 1.0, 1.0]
    return np.asarray(v / np.linalg.norm(v), dtype=np.float64)


def _neighbour_matrix(handles: tuple[str, ...]) -> Array:
    """[E, H] differences between handles that share a strip of skin."""
    pairs = [(a, b) for a, b in _NEIGHBOURS if a in handles and b in handles]
    out = np.zeros((len(pairs), len(handles)))
    for e, (a, b) in enumerate(pairs):
        out[e, handles.index(a)], out[e, handles.index(b)] = 1.0, -1.0
    return out

"""What a body really did, period by period: for tests and endurance runs that judge the face, not the command."""

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.sim.plant import Drive, Plant, ShaftState
from animaface.sim.shafts import shaft_rad_to_u

Array = NDArray[np.float64]
WINDOW = 5
"""Periods over which a speed is taken, 20 ms: below it the steps of a 100 Hz loop would show."""


class Witness:
    """A Plant around another that notes where every shaft is at every `advance`.

    Kept in constant memory: `low_u`, `high_u` [N] ends of the way, `top_speed` [N] in ranges/s and
    `top_head_rad_s` over WINDOW periods. With `trail` also everything: `time_s` [T], `u` [T, N], `on` [T, N],
    `head_rad_trail` [T, 3].
    """

    def __init__(self, plant: Plant, config: FaceConfig, *, trail: bool = False) -> None:
        self._plant = plant
        self._row = {name: k for k, name in enumerate(plant.names)}
        actuators = config.actuators.values()
        self._u_at_zero = np.array([shaft_rad_to_u(a, 0.0) for a in actuators])
        self._u_per_rad = np.array([shaft_rad_to_u(a, 1.0) for a in actuators]) - self._u_at_zero
        self._driven = np.zeros(len(self._row), dtype=bool)
        self._trail: list[tuple[float, Array, NDArray[np.bool_], Array]] | None = [] if trail else None
        self._recent: list[tuple[float, Array, Array]] = []
        self.forget()

    def forget(self) -> None:
        """Extremes anew from here, as after arming."""
        n = len(self._row)
        self.low_u, self.high_u = np.full(n, np.inf), np.full(n, -np.inf)
        self.top_speed, self.top_head_rad_s = np.zeros(n), np.zeros(3)
        self._recent.clear()

    # --- Plant ---

    @property
    def names(self) -> tuple[str, ...]:
        """Actuators, in the order of the face config."""
        return self._plant.names

    def set_drive(self, name: str, drive: Drive) -> None:
        """Passed on."""
        self._driven[self._row[name]] = drive.goal_rad is not None
        self._plant.set_drive(name, drive)

    def shaft(self, name: str) -> ShaftState:
        """Passed on."""
        return self._plant.shaft(name)

    def angles_rad(self) -> Array:
        """Passed on."""
        return self._plant.angles_rad()

    def advance(self, to_s: float) -> None:
        """Step the body and look."""
        self._plant.advance(to_s)
        u = self._u_at_zero + self._u_per_rad * self._plant.angles_rad()
        self._note(to_s, u, self._plant.head_rad())

    def landmarks_m(self) -> Array:
        """Passed on."""
        return self._plant.landmarks_m()

    def head_rad(self) -> Array:
        """Passed on."""
        return self._plant.head_rad()

    # --- what was seen ---

    def _note(self, now_s: float, u: Array, head_rad: Array) -> None:
        self.low_u, self.high_u = np.minimum(self.low_u, u), np.maximum(self.high_u, u)
        self._recent.append((now_s, u, head_rad))
        if len(self._recent) > WINDOW:
            then_s, then_u, then_head = self._recent.pop(0)
            passed_s = now_s - then_s
            self.top_speed = np.maximum(self.top_speed, np.abs(u - then_u) / passed_s)
            self.top_head_rad_s = np.maximum(self.top_head_rad_s, np.abs(head_rad - then_head) / passed_s)
        if self._trail is not None:
            self._trail.append((now_s, u, self._driven.copy(), head_rad.copy()))

    @property
    def time_s(self) -> Array:
        """[T] of the trail."""
        return np.array([row[0] for row in self._trail or []])

    @property
    def u(self) -> Array:
        """[T, N] where the shafts were, in ranges; outside 0..1 beyond the limits."""
        return np.array([row[1] for row in self._trail or []])

    @property
    def on(self) -> NDArray[np.bool_]:
        """[T, N] whether the motors were driven."""
        return np.array([row[2] for row in self._trail or []])

    @property
    def head_rad_trail(self) -> Array:
        """[T, 3] yaw, pitch, roll."""
        return np.array([row[3] for row in self._trail or []])

"""The simplest body: each shaft follows its goal like a first-order lag; landmarks are linear in u.

For endurance runs and for tests of drivers and protocols, where MuJoCo would only cost time. It
teaches a self-model nothing: see sim/body for the face that does.
"""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig
from animaface.robot.face.errors import ConfigError, unknown_name
from animaface.robot.face.landmarks import neutral_m, regions
from animaface.sim.plant import Drive, ShaftState
from animaface.sim.shafts import rad_per_raw, raw_middle, u_to_shaft_rad

Array = NDArray[np.float64]

_LAG_S: Final = 0.02
_FRICTION_SHARE: Final = 0.02

# part without its side -> (landmark on the subject's left, reach m, motion at u = 1 in m)
_EFFECTS: Final[dict[str, tuple[int, float, tuple[float, float, float]]]] = {
    "jaw_open": (152, 0.055, (0.0, -0.035, -0.008)), "jaw_slide": (152, 0.05, (0.010, 0.0, 0.0)),
    "lip_upper_middle": (13, 0.012, (0.0, 0.008, 0.001)), "lip_lower_middle": (14, 0.012, (0.0, -0.010, 0.001)),
    "lip_upper": (310, 0.012, (0.0, 0.008, 0.001)), "lip_lower": (318, 0.012, (0.0, -0.010, 0.001)),
    "corner_a": (291, 0.018, (0.006, 0.010, -0.004)), "corner_b": (291, 0.018, (0.010, -0.004, -0.004)),
    "lid_upper": (386, 0.010, (0.0, 0.010, 0.0)), "lid_lower": (374, 0.010, (0.0, -0.006, 0.0)),
    "brow_inner": (285, 0.018, (0.0, 0.010, 0.0)), "brow_outer": (334, 0.018, (0.0, 0.010, 0.0)),
    "nose_wing": (358, 0.014, (0.001, 0.006, 0.0)), "cheek": (280, 0.025, (0.0, 0.006, 0.002)),
    "eyes_yaw": (473, 0.007, (0.005, 0.0, 0.0)), "eyes_pitch": (473, 0.007, (0.0, 0.005, 0.0)),
    "eye_yaw": (473, 0.007, (0.005, 0.0, 0.0)), "eye_pitch": (473, 0.007, (0.0, 0.005, 0.0)),
}  # fmt: skip
# The lips are sealed at neutral: near is not together.
_SPARED: Final = {
    "jaw_open": ("upper_lip",), "jaw_slide": ("upper_lip",),
    "lip_lower": ("upper_lip",), "lip_lower_middle": ("upper_lip",),
    "lip_upper": ("lower_lip",), "lip_upper_middle": ("lower_lip",),
}  # fmt: skip
_HEAD: Final[dict[str, tuple[float, float, float]]] = {  # yaw, pitch, roll at u = 1 against neutral
    "neck_yaw": (0.5, 0.0, 0.0), "neck_left": (0.0, 0.2, 0.2), "neck_right": (0.0, 0.2, -0.2),
}  # fmt: skip


class FirstOrderPlant:
    """Plant without mechanics. Starts with every shaft at neutral and the motors off."""

    def __init__(self, config: FaceConfig, *, seed: int = 0, timestep_s: float = 0.004) -> None:
        del seed  # nothing is random here
        self._actuators = tuple(config.actuators.values())
        self._row = {name: k for k, name in enumerate(config.names)}
        self._names = config.names
        self.timestep_s = timestep_s
        self._steps = 0
        n = len(self._names)
        self._neutral_rad = np.array([u_to_shaft_rad(a, a.neutral_u) for a in self._actuators])
        self._angle = self._neutral_rad.copy()
        self._velocity = np.zeros(n)
        self._goal = self._angle.copy()
        self._on = np.zeros(n, bool)
        self._speed = np.array([math.radians(a.servo.speed_deg_s) for a in self._actuators])
        self._top_speed = self._speed.copy()
        self._stall_nm = np.array([a.servo.torque_nm for a in self._actuators])
        self._effect, self._head_effect = _effects(config)
        self._u_per_rad, self._u_at_zero = _u_map(config)
        self._neutral_u = np.array([a.neutral_u for a in self._actuators])
        self._neutral_landmarks_m = neutral_m()

    @property
    def names(self) -> tuple[str, ...]:
        """Actuators, in the order of the face config."""
        return self._names

    def set_drive(self, name: str, drive: Drive) -> None:
        """Takes effect from the next step."""
        if name not in self._row:
            raise ConfigError(unknown_name("actuator", name, self._names))
        k = self._row[name]
        self._on[k] = drive.goal_rad is not None
        self._goal[k] = self._angle[k] if drive.goal_rad is None else drive.goal_rad
        self._speed[k] = min(drive.max_speed_rad_s, self._top_speed[k])

    def shaft(self, name: str) -> ShaftState:
        """Present state of a shaft."""
        k = self._row[name]
        velocity = float(self._velocity[k])
        torque = (
            _FRICTION_SHARE * float(self._stall_nm[k]) * math.copysign(1.0, velocity) if velocity else 0.0
        )
        return ShaftState(float(self._angle[k]), velocity, torque)

    def angles_rad(self) -> Array:
        """[N] present angles of all shafts."""
        return self._angle.copy()

    def advance(self, to_s: float) -> None:
        """Step to the last whole step at or before `to_s`; time starts at 0."""
        target = math.floor(to_s / self.timestep_s + 1e-6)
        share = -math.expm1(-self.timestep_s / _LAG_S)
        while self._steps < target:
            limit = self._speed * self.timestep_s
            step = np.clip((self._goal - self._angle) * share, -limit, limit) * self._on
            self._angle += step
            self._velocity = step / self.timestep_s
            self._steps += 1

    def u(self) -> Array:
        """[N] where the shafts are, in ranges."""
        u: Array = self._u_at_zero + self._u_per_rad * self._angle
        return u

    def landmarks_m(self) -> Array:
        """[478, 3] landmarks in the head frame, m."""
        away: Array = (self.u() - self._neutral_u) @ self._effect
        return self._neutral_landmarks_m + away.reshape(-1, 3)

    def head_rad(self) -> Array:
        """[3] head yaw, pitch, roll, rad."""
        away: Array = (self.u() - self._neutral_u) @ self._head_effect
        return away

    def snapshot(self) -> Array:
        """[N] shaft angles: all there is."""
        return self.angles_rad()


def _u_map(config: FaceConfig) -> tuple[Array, Array]:
    """(u per rad, u at shaft angle 0), each [N]."""
    actuators = config.actuators.values()
    zero = np.array([a.raw_to_u(raw_middle(a)) for a in actuators])
    per_rad = np.array([a.raw_to_u(raw_middle(a) + 1.0 / rad_per_raw(a)) for a in actuators]) - zero
    return per_rad, zero


def _effects(config: FaceConfig) -> tuple[Array, Array]:
    """([N, 478 * 3] motion of the landmarks for u = 0 -> 1, [N, 3] of the head)."""
    xyz = neutral_m()
    effect = np.zeros((len(config.names), xyz.size))
    head = np.zeros((len(config.names), 3))
    shared = {p: sum(a.part == p for a in config.actuators.values()) for p in _HEAD | _EFFECTS}
    for k, a in enumerate(config.actuators.values()):
        side = a.part.rsplit("_", 1)[-1]
        part = a.part.removesuffix("_left").removesuffix("_right")
        if a.part in _HEAD:
            head[k] = _HEAD[a.part]
        elif part in _EFFECTS:
            landmark, reach_m, motion = _EFFECTS[part]
            centre, move = xyz[landmark].copy(), np.array(motion)
            if side == "right":
                centre[0], move[0] = -centre[0], -move[0]
            weight = np.exp(-0.5 * (np.linalg.norm(xyz - centre, axis=1) / reach_m) ** 2)
            weight[[i for name in _SPARED.get(part, ()) for i in regions()[name]]] = 0.0
            span = 1.0 - min(a.neutral_u, 0.5)
            effect[k] = np.outer(weight, move / span / max(1, shared.get(a.part, 1))).ravel()
    return effect, head

"""Jaw, neck, lids, eyes and tongue: rods with some give between horns and joints, and their loads."""

import numpy as np
from numpy.typing import NDArray

from animaface.sim.body.soft import Rows, mean_matrix, rows_of

Array = NDArray[np.float64]

_JAW_ROD = (9.0, 2500.0)  # N m/rad of the opening rods, N/m of the slide's
_JAW_ROD_DAMPING = (0.08, 14.0)
_JAW_REST = (0.9, 500.0)  # a jaw without servos hangs in its joint's springs
_TEETH, _BITE_RAD = 40.0, -0.012  # N m/rad of the rows of teeth, where they meet
_NECK_ROD, _NECK_ROD_DAMPING = 45.0, 0.9
_HEAD_INERTIA, _JAW_INERTIA, _SLIDE_MASS = 0.016, 8e-4, 0.17  # kg m^2, kg m^2, kg, about
_LARGEST_STEP_S = 0.005
_LIGHT_SPRING = np.array([0.03] * 4 + [0.02] * 4)  # N m/rad of lids and eyes


class Bones:
    """Which actuators move which joint of one face.

    felt_inertia [N]: a servo's inertia seen from what it moves (kg m^2 or kg). A servo too light for
    its load gets softer rods: explicit springs that it could shake itself apart on would ring.
    """

    def __init__(self, parts: list[str], felt_inertia: Array) -> None:
        def eye(axis: str, side: str) -> Rows:
            own = rows_of(parts, f"eye_{axis}_{side}")
            return own if len(own) else rows_of(parts, f"eyes_{axis}")

        sides = ("right", "left")
        light = [
            *(rows_of(parts, f"lid_{row}_{side}") for side in sides for row in ("upper", "lower")),
            *(eye(axis, side) for side in sides for axis in ("yaw", "pitch")),
            rows_of(parts, "tongue_out"), rows_of(parts, "tongue_up"),
        ]  # fmt: skip
        self._to_light = mean_matrix(light, len(parts))
        # Springs of lids and eyes, as they come back to the actuators.
        self._springs = self._to_light[:8].T @ (_LIGHT_SPRING[:, None] * self._to_light[:8])
        neck = [rows_of(parts, "neck_left"), rows_of(parts, "neck_right"), rows_of(parts, "neck_yaw")]
        self._to_neck = mean_matrix(neck, len(parts))
        self._jaw = (rows_of(parts, "jaw_open"), rows_of(parts, "jaw_slide"))
        lightest = min((float(felt_inertia[rows].min()) for rows in neck if len(rows)), default=1.0)
        self._neck_rod = _rod(_NECK_ROD, _NECK_ROD_DAMPING, 0.5 * lightest, _HEAD_INERTIA)
        self._jaw_rod = [
            _rod(_JAW_ROD[k], _JAW_ROD_DAMPING[k], len(rows) * float(felt_inertia[rows].min()), body)
            if len(rows)
            else (0.0, 0.0)
            for k, (rows, body) in enumerate(zip(self._jaw, (_JAW_INERTIA, _SLIDE_MASS), strict=True))
        ]

    def light(self, place: Array) -> Array:
        """[10] lids (upper right, lower right, upper left, lower left), eyes (yaw and pitch, right and
        left) in rad, tongue (out, up) in m: joints too light to have dynamics of their own."""
        return np.asarray(self._to_light @ place, dtype=np.float64)

    def rest(self, place: Array) -> Array:
        """[5] neck and jaw joints where the rods hold them without load."""
        jaw = [place[rows].mean() if len(rows) else 0.0 for rows in self._jaw]
        return np.concatenate([_head_rad(self._to_neck @ place), jaw])

    def step(self, load: Array, place: Array, slope: Array, rate: Array, q: Array, v: Array) -> Array:
        """[5] forces on neck and jaw joints; adds what comes back to `load` [N] (per unit of u).

        place, slope and rate [N]: value of each linkage, its slope per u, its speed; q, v [5] joints.
        """
        out = np.empty(5)
        light = self._springs @ place
        left, right, yaw = (self._to_neck @ place).tolist()
        left_v, right_v, yaw_v = (self._to_neck @ rate).tolist()
        stiffness, damping = self._neck_rod
        torque = [
            stiffness * (target - at) + damping * (speed - v_at)
            for target, at, speed, v_at in zip(
                (yaw, 0.5 * (left + right), 0.5 * (left - right)), q[:3].tolist(),
                (yaw_v, 0.5 * (left_v + right_v), 0.5 * (left_v - right_v)), v[:3].tolist(), strict=True,
            )
        ]  # fmt: skip
        out[:3] = torque
        rods = np.array([0.5 * (torque[1] + torque[2]), 0.5 * (torque[1] - torque[2]), torque[0]])
        load -= (light + rods @ self._to_neck) * slope
        for k, rows in enumerate(self._jaw):
            out[3 + k] = self._jaw_joint(k, rows, load, place, slope, rate, float(q[3 + k]), float(v[3 + k]))
        return out

    def _jaw_joint(
        self, k: int, rows: Rows, load: Array, place: Array, slope: Array, rate: Array, q: float, v: float
    ) -> float:
        skin = 60.0 * q if k else 0.12 * q + 1.2 * q**3 - _TEETH * max(0.0, _BITE_RAD - q)
        if not len(rows):
            return -_JAW_REST[k] * q - _JAW_ROD_DAMPING[k] * v - skin
        stiffness, damping = self._jaw_rod[k]
        rods = (stiffness * (place[rows] - q) + damping * (rate[rows] - v)) / len(rows)
        load[rows] -= rods * slope[rows]
        return float(rods.sum()) - skin


def _rod(stiffness: float, damping: float, servo: float, body: float) -> tuple[float, float]:
    """Stiffness and damping of a rod between two inertias, no more than the largest step carries."""
    both = servo * body / (servo + body)
    return min(stiffness, both * (0.6 / _LARGEST_STEP_S) ** 2), min(damping, 0.5 * both / _LARGEST_STEP_S)


def _head_rad(rods: Array) -> Array:
    """(yaw, pitch, roll) of (left, right, yaw) neck rods: both nod, their difference tilts."""
    left, right, yaw = rods
    return np.array([yaw, 0.5 * (left + right), 0.5 * (left - right)])

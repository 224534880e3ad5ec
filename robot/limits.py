"""What the gate may not break, as arrays made once from the face config."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import FaceConfig

Array = NDArray[np.float64]

HEAT_TAU_S = 90.0
"""A 9 g servo's case follows its winding in one to two minutes."""
HOLD_POWER = 1.25
"""Heat that holding against skin and spring at the end of the range tends to (1 = too hot)."""
MOVE_POWER = 1.5
"""Heat that moving at full speed without rest tends to."""


@dataclass(frozen=True)
class GateLimits:
    """Speed in ranges/s [N], acceleration in ranges/s^2 [N], neutral u [N], groups, collisions, heat.

    `equal`: index arrays of actuators that must be at the same u. `collisions` [C, N] and `at_most`
    [C]: collisions @ u <= at_most. `models_heat` [N]: this servo can't tell its temperature, so the
    gate keeps a budget for it; of the others the heat is set from outside.
    """

    names: tuple[str, ...]
    speed: Array
    acceleration: Array
    neutral: Array
    equal: tuple[NDArray[np.intp], ...]
    collisions: Array
    at_most: Array
    models_heat: NDArray[np.bool_]
    # made from the above by `build`
    half_brake: Array  # [N] 1 / (2 acceleration)
    pushes_up: Array  # [C, N] max(collisions, 0)
    pushes_down: Array  # [C, N] max(-collisions, 0)
    reach: Array  # [N] the longer way from neutral to an end
    linked: tuple[NDArray[np.bool_], ...]  # per collision: actuators that must brake with it

    @classmethod
    def build(
        cls,
        names: tuple[str, ...],
        speed: Array,
        acceleration: Array,
        neutral: Array,
        *,
        equal: tuple[NDArray[np.intp], ...] = (),
        collisions: Array | None = None,
        at_most: Array | None = None,
        models_heat: NDArray[np.bool_] | None = None,
    ) -> "GateLimits":
        """Limits from arrays; members of an `equal` group share the smallest speed and acceleration."""
        n = len(names)
        speed, acceleration = speed.astype(float), acceleration.astype(float)
        for members in equal:
            speed[members] = speed[members].min()
            acceleration[members] = acceleration[members].min()
        a = np.zeros((0, n)) if collisions is None else collisions.astype(float)
        return cls(
            names=names,
            speed=speed,
            acceleration=acceleration,
            neutral=neutral.astype(float),
            equal=equal,
            collisions=a,
            at_most=np.zeros(0) if at_most is None else at_most.astype(float),
            models_heat=np.zeros(n, dtype=bool) if models_heat is None else models_heat,
            half_brake=0.5 / acceleration,
            pushes_up=np.maximum(a, 0.0),
            pushes_down=np.maximum(-a, 0.0),
            reach=np.maximum(np.maximum(neutral, 1.0 - neutral), 1e-6),
            linked=_linked(a, equal),
        )

    @classmethod
    def of(cls, config: FaceConfig) -> "GateLimits":
        """The limits a person wrote in the face config."""
        actuators = list(config.actuators.values())
        index = {name: i for i, name in enumerate(config.names)}
        rows = np.zeros((len(config.collisions), len(actuators)))
        for row, collision in zip(rows, config.collisions.values(), strict=True):
            for name, factor in collision.terms.items():
                row[index[name]] = factor
        return cls.build(
            config.names,
            np.array([a.speed_per_s for a in actuators]),
            np.array([a.acceleration_per_s2 for a in actuators]),
            np.array([a.neutral_u for a in actuators]),
            equal=tuple(
                np.array([index[m] for m in g.members]) for g in config.groups.values() if g.agree == "equal"
            ),
            collisions=rows,
            at_most=np.array([c.at_most for c in config.collisions.values()]),
            models_heat=np.array([a.servo.bus_kind == "servo_board" for a in actuators]),
        )


def _linked(collisions: Array, equal: tuple[NDArray[np.intp], ...]) -> tuple[NDArray[np.bool_], ...]:
    """Per collision, the actuators it is tied to through groups and other collisions."""
    ties = [row != 0.0 for row in collisions]
    for members in equal:
        tie = np.zeros(collisions.shape[1], dtype=bool)
        tie[members] = True
        ties.append(tie)
    out = []
    for row in collisions:
        reached = row != 0.0
        while True:
            wider = reached.copy()
            for tie in ties:
                if (tie & wider).any():
                    wider |= tie
            if (wider == reached).all():
                break
            reached = wider
        out.append(reached)
    return tuple(out)

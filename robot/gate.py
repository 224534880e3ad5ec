"""The safety gate: one pure function between what is asked and what the servos get.

Whatever is asked, in whatever order, what comes out stays in its range, below its speed and
acceleration, keeps groups equal and collisions away, and lets no servo overheat. The proof is by
invariance. A state is safe when braking at full acceleration from it breaks nothing: with x the
position, v the speed, a the acceleration limit, for every inequality sum(c x) <= b

    F(x, v) = sum(c x) + sum over actuators that move towards it of |c| v^2 / (2 a)  <=  b.

Braking keeps F from growing, for any length of a step, and F is convex in the next speed: between
braking (always safe) and what was asked there is a largest safe share. The ends of the range are the
same inequality for one actuator, solved in closed form.
"""

from dataclasses import dataclass, replace
from enum import IntFlag

import numpy as np
from numpy.typing import ArrayLike, NDArray

from animaface.robot.limits import HEAT_TAU_S, HOLD_POWER, MOVE_POWER, Array, GateLimits

WARM, HOT = 0.8, 0.95
"""Above WARM the allowed way from neutral shrinks; at HOT the actuator is at neutral. 1 is too hot."""
_SAME = 1e-6
_SWEEPS = 4


class Reason(IntFlag):
    """Why what was applied is not what was asked. The last three are set by the robot, not the gate."""

    NONE = 0
    NOT_FINITE = 1
    RANGE = 2
    SPEED = 4
    ACCELERATION = 8
    GROUP = 16
    COLLISION = 32
    HEAT = 64
    ABSENT = 128
    FAULT = 256
    RAMP = 512


Reasons = NDArray[np.uint16]
_BIT = {reason: np.uint16(int(reason)) for reason in Reason}


@dataclass(frozen=True)
class GateState:
    """What was last applied: position u [N], speed in ranges/s [N], heat 0..1 [N], goal then asked [N]."""

    position: Array
    speed: Array
    heat: Array
    request: Array

    @classmethod
    def at(cls, position: ArrayLike, heat: ArrayLike | None = None) -> "GateState":
        """At rest at `position` u [N]."""
        x = np.array(position, dtype=np.float64)
        h = np.zeros_like(x) if heat is None else np.array(heat, dtype=np.float64)
        return cls(x, np.zeros_like(x), h, x.copy())


def gate(
    state: GateState, request_u: ArrayLike, limits: GateLimits, dt_s: float
) -> tuple[GateState, Array, Reasons]:
    """One step of `dt_s`: (state', applied u[N], why they differ [N] as bits of Reason).

    A request that isn't finite keeps the last goal. A smooth request within the limits passes
    unchanged. From a state outside the range or inside a collision the way leads back only.
    """
    why = np.zeros(len(limits.names), dtype=np.uint16)
    if not 0.0 < dt_s < np.inf:
        return state, state.position.copy(), why
    goal = _admissible(state, request_u, limits, why)
    x, v, a = state.position, state.speed, limits.acceleration
    step = a * dt_s
    # Follow a moving goal without lag, and stop at a resting one without passing it.
    goal_speed = np.clip((goal - state.request) / dt_s, -limits.speed, limits.speed)
    behind = goal - x - goal_speed * dt_s
    wanted = goal_speed + np.copysign(a * (np.sqrt(dt_s * dt_s + 2.0 * np.abs(behind) / a) - dt_s), behind)
    up = np.minimum(np.minimum(v + step, limits.speed), _brakable(1.0 - x, a, dt_s))
    down = np.maximum(np.maximum(v - step, -limits.speed), -_brakable(x, a, dt_s))
    new_speed = np.minimum(np.maximum(wanted, down), up)
    if len(limits.at_most):
        new_speed = _clear_of_collisions(x, v, new_speed, limits, dt_s, why)
    new_x = np.minimum(np.maximum(x + new_speed * dt_s, np.minimum(x, 0.0)), np.maximum(x, 1.0))
    new_speed = (new_x - x) / dt_s
    short = np.abs(new_x - goal) > _SAME
    if short.any():
        fast = short & (np.abs(goal - x) > limits.speed * dt_s)
        why[fast] |= _BIT[Reason.SPEED]
        why[short & ~fast] |= _BIT[Reason.ACCELERATION]
    heat = _heat(state.heat, new_x, new_speed, limits, dt_s)
    return GateState(new_x, new_speed, heat, goal), new_x.copy(), why


def describe(why: Reasons, names: tuple[str, ...]) -> dict[str, str]:
    """Actuator -> reasons in words, for those that differ."""
    out = {}
    for i in np.flatnonzero(why):
        flags = Reason(int(why[i]))
        out[names[i]] = ", ".join(str(f.name).lower().replace("_", " ") for f in flags)
    return out


def _brakable(room: Array, a: Array, dt_s: float) -> Array:
    """[N] the largest speed for one step after which braking still ends within `room`."""
    return np.asarray(a * (np.sqrt(dt_s * dt_s + 2.0 * np.maximum(room, 0.0) / a) - dt_s))


def _admissible(state: GateState, request_u: ArrayLike, limits: GateLimits, why: Reasons) -> Array:
    """[N] the nearest goal that may be asked for: finite, in range, groups equal, cool, clear."""
    r = np.asarray(request_u, dtype=np.float64)
    finite = np.isfinite(r)
    if not finite.all():
        why[~finite] |= _BIT[Reason.NOT_FINITE]
        r = np.where(finite, r, state.request)
    goal = np.minimum(np.maximum(r, 0.0), 1.0)
    outside = np.abs(goal - r) > _SAME
    if outside.any():
        why[outside & finite] |= _BIT[Reason.RANGE]
    for members in limits.equal:
        mean = goal[members].mean()
        if np.abs(goal[members] - mean).max() > _SAME:
            why[members] |= _BIT[Reason.GROUP]
        goal[members] = mean
    if (state.heat > WARM).any():
        goal = _cooled(goal, state.heat, limits, why)
    if len(limits.at_most) and (limits.collisions @ goal > limits.at_most).any():
        before = goal
        goal = _projected(goal, limits)
        why[np.abs(goal - before) > _SAME] |= _BIT[Reason.COLLISION]
    return goal


def _cooled(goal: Array, heat: Array, limits: GateLimits, why: Reasons) -> Array:
    share = np.clip((HOT - heat) / (HOT - WARM), 0.0, 1.0)
    for members in limits.equal:
        share[members] = share[members].min()
    cooled = limits.neutral + np.clip(goal - limits.neutral, -limits.reach * share, limits.reach * share)
    for members in limits.equal:
        cooled[members] = cooled[members].mean()
    why[np.abs(cooled - goal) > _SAME] |= _BIT[Reason.HEAT]
    return np.asarray(cooled)


def _projected(goal: Array, limits: GateLimits) -> Array:
    """The goal moved out of the collisions by projecting on one after the other, groups as one."""
    rows = limits.collisions.copy()
    for members in limits.equal:
        rows[:, members] = rows[:, members].mean(axis=1, keepdims=True)
    size = np.maximum((rows * rows).sum(axis=1), 1e-12)
    out = goal.copy()
    for _ in range(8):
        excess = rows @ out - limits.at_most
        if (excess <= 1e-12).all():
            break
        for c in np.flatnonzero(excess > 0.0):
            over = rows[c] @ out - limits.at_most[c]
            if over > 0.0:
                out = np.clip(out - rows[c] * (over / size[c]), 0.0, 1.0)
    return out


def _terms(x: Array, speed: Array, limits: GateLimits, dt_s: float) -> Array:
    """[C, N] what each actuator adds to F after a step at `speed`."""
    ahead = np.maximum(speed, 0.0) ** 2 * limits.half_brake
    back = np.minimum(speed, 0.0) ** 2 * limits.half_brake
    return np.asarray(
        limits.collisions * (x + speed * dt_s) + limits.pushes_up * ahead + limits.pushes_down * back
    )


def _clear_of_collisions(
    x: Array, v: Array, wanted: Array, limits: GateLimits, dt_s: float, why: Reasons
) -> Array:
    """[N] the speeds nearest to `wanted` on the way from full braking that keep every F <= b."""
    if (_terms(x, wanted, limits, dt_s).sum(axis=1) <= limits.at_most).all():
        return wanted
    step = limits.acceleration * dt_s
    braking = v - np.clip(v, -step, step)
    safe = _terms(x, braking, limits, dt_s)
    bound = np.maximum(limits.at_most, safe.sum(axis=1))  # already inside: at least no deeper
    share = np.ones(len(x))
    for _ in range(_SWEEPS):
        terms = _terms(x, braking + share * (wanted - braking), limits, dt_s)
        total = terms.sum(axis=1)
        worse = np.flatnonzero(total > bound + 1e-12)
        if not len(worse):
            break
        for c in worse:  # those that push give way, those that make room keep moving
            push = np.maximum(terms[c] - safe[c], 0.0)
            keep = 1.0 - (total[c] - bound[c]) / push.sum()
            share = np.where(push > 0.0, share * max(keep, 0.0), share)
        for members in limits.equal:
            share[members] = share[members].min()
    else:
        terms = _terms(x, braking + share * (wanted - braking), limits, dt_s)
        for c in np.flatnonzero(terms.sum(axis=1) > bound + 1e-12):
            share[limits.linked[c]] = 0.0
    why[share < 1.0] |= _BIT[Reason.COLLISION]
    return np.asarray(braking + share * (wanted - braking))


def _heat(heat: Array, x: Array, speed: Array, limits: GateLimits, dt_s: float) -> Array:
    """i2t: load by holding away from neutral and by moving, through a lag of first order."""
    hold = (x - limits.neutral) / limits.reach
    move = speed / limits.speed
    power = HOLD_POWER * hold * hold + MOVE_POWER * move * move
    warmed = heat + (power - heat) * min(dt_s / HEAT_TAU_S, 1.0)
    return np.asarray(np.where(limits.models_heat, warmed, heat))


def with_heat(state: GateState, heat: Array) -> GateState:
    """The state with heat measured by the servos: NaN keeps what was there."""
    return replace(state, heat=np.where(np.isfinite(heat), heat, state.heat))

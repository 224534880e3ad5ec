"""Servo electronics and gears, for all servos of a face at once: profile, dead band, quantisation, play."""

from math import radians

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import ActuatorConfig
from animaface.sim.body.chassis import MotorBank
from animaface.sim.body.mechanism import U_STOP

Array = NDArray[np.float64]

_FULL_TORQUE_AT_RAD = 0.06  # error at which the position loop asks for all its torque
_SPIN_UP_S = 0.025  # from rest to full speed at stall torque
_DAMPING_RATIO = 0.85
_FASTEST_LOOP_RAD_S = 120.0  # what 5 ms steps carry without ringing
_PLAY_DEG = {"xl330-m288": 0.45, "xl330-m077": 0.45, "xm430-w350": 0.25, "pwm-20kg": 0.6}
_PLAY_HOBBY_DEG = 0.9


def shaft_line(a: ActuatorConfig) -> tuple[float, float]:
    """(u at shaft angle 0, u per rad) of one actuator."""
    if a.servo.bus_kind == "dynamixel":
        middle, per_rad = 180.0, 180.0 / np.pi
    else:
        low, high = a.servo.pulse_us
        middle, per_rad = 0.5 * (low + high), (high - low) / radians(a.servo.travel_deg)
    at_zero = a.raw_to_u(middle)
    return at_zero, a.raw_to_u(middle + per_rad) - at_zero


class Servos:
    """Vectorised servo electronics. Tolerances come from the face's one random generator."""

    def __init__(self, actuators: list[ActuatorConfig], rng: np.random.Generator) -> None:
        n = len(actuators)
        lines = np.array([shaft_line(a) for a in actuators])
        self.u_at_zero, self.u_per_rad = lines[:, 0], lines[:, 1]
        stall = np.array([a.servo.torque_nm for a in actuators]) * rng.uniform(0.9, 1.1, n)
        self.no_load_rad_s = np.array([radians(a.servo.speed_deg_s) for a in actuators]) * rng.uniform(
            0.95, 1.03, n
        )
        self.dead_band_rad = np.array([radians(a.servo.dead_band_deg) for a in actuators]) * rng.uniform(
            0.8, 1.2, n
        )
        play = np.array([radians(_PLAY_DEG.get(a.model, _PLAY_HOBBY_DEG)) for a in actuators])
        self.half_play_rad = 0.5 * play * rng.uniform(0.6, 1.4, n)
        friction = 0.02 * stall * rng.uniform(0.7, 1.3, n)
        stiffness = stall / _FULL_TORQUE_AT_RAD
        spin_up_s = np.maximum(
            _SPIN_UP_S, self.no_load_rad_s / (_FULL_TORQUE_AT_RAD * _FASTEST_LOOP_RAD_S**2)
        )
        inertia = stall * spin_up_s / self.no_load_rad_s
        self.quantum_rad = np.array(
            [2 * np.pi / 4096 if a.servo.bus_kind == "dynamixel" else 0.5 * radians(a.servo.travel_deg) / 2000.0 for a in actuators]
        )  # fmt: skip
        start_u = _start_u(actuators, rng)
        stops = (np.array(U_STOP)[None, :] - self.u_at_zero[:, None]) / self.u_per_rad[:, None]
        self.motors = MotorBank(
            stiffness, 2 * _DAMPING_RATIO * np.sqrt(stiffness * inertia), inertia, friction, stall,
            np.sort(stops, axis=1), (start_u - self.u_at_zero) / self.u_per_rad,
        )  # fmt: skip
        self.goal = np.full(n, np.nan)
        self.max_speed = self.no_load_rad_s.copy()
        self._ref = self.motors.start_rad.copy()
        self.horn = self.motors.start_rad.copy()

    def drive(self, k: int, goal_rad: float | None, max_speed_rad_s: float) -> None:
        """New goal for servo k; a servo that is off forgets its profile."""
        if goal_rad is None:
            self.goal[k] = np.nan
            return
        q = self.quantum_rad[k]
        self.goal[k] = round(goal_rad / q) * q
        self.max_speed[k] = min(max(max_speed_rad_s, 0.0), self.no_load_rad_s[k])

    def control(self, angle: Array, dt_s: float) -> Array:
        """[N] set points for the motors' position loops: slewed goals; own angle where off or content."""
        on = np.isfinite(self.goal)
        step = self.max_speed * dt_s
        self._ref = np.where(on, self._ref + np.clip(self.goal - self._ref, -step, step), angle)
        content = np.abs(self._ref - angle) <= self.dead_band_rad
        return np.where(on & ~content, self._ref, angle)

    def take_up_play(self, angle: Array, load_nm: Array, dt_s: float) -> Array:
        """[N] horn angles: gears carry the horn at the ends of their play, inside it the load moves it."""
        pushed = np.sign(load_nm) * np.maximum(np.abs(load_nm) - 0.003, 0.0)
        drift = np.clip(pushed * 60.0, -1.0, 1.0) * dt_s
        self.horn = np.clip(self.horn + drift, angle - self.half_play_rad, angle + self.half_play_rad)
        return self.horn


def _start_u(actuators: list[ActuatorConfig], rng: np.random.Generator) -> Array:
    """Where shafts stand at power-up: hobby servos anywhere near rest, the others where they were left.

    Servos of one part are bolted together and stand together.
    """
    out = np.empty(len(actuators))
    parts: dict[str, float] = {}
    for k, a in enumerate(actuators):
        spread = 0.12 if a.servo.bus_kind == "servo_board" else 0.01
        drawn = a.neutral_u + float(rng.uniform(-spread, spread))
        out[k] = parts.setdefault(a.part, float(np.clip(drawn, 0.0, 1.0)))
    return out

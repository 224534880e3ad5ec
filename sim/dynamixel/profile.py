"""Trajectory of a position goal: trapezoid by velocity and acceleration, or by time (Drive Mode(10) bit 2)."""

import math


class Profile:
    """Where the servo's trajectory is on its way to the goal, rad of the shaft."""

    def __init__(self) -> None:
        self.position_rad = 0.0
        self.velocity_rad_s = 0.0
        self.goal_rad = 0.0
        self.speed_rad_s = math.inf
        self.acceleration_rad_s2 = math.inf
        self.moving = False
        """Not yet at the goal."""

    def start(self, goal_rad: float, speed_rad_s: float, acceleration_rad_s2: float) -> None:
        """New goal from where the trajectory is; infinite speed and acceleration: at once."""
        self.goal_rad = goal_rad
        self.speed_rad_s = speed_rad_s
        self.acceleration_rad_s2 = acceleration_rad_s2
        self.moving = True
        if speed_rad_s == acceleration_rad_s2 == math.inf:
            self.stand(goal_rad)

    def start_timed(self, goal_rad: float, span_s: float, ramp_s: float) -> None:
        """New goal to be reached in `span_s`, speeding up and slowing down for `ramp_s` each."""
        way = abs(goal_rad - self.position_rad)
        ramp_s = min(ramp_s, 0.5 * span_s)
        speed = way / max(span_s - ramp_s, 1e-3)
        self.start(goal_rad, max(speed, 1e-6), speed / ramp_s if ramp_s > 0.0 and speed > 0.0 else math.inf)

    def stand(self, at_rad: float) -> None:
        """Be at `at_rad`, at rest."""
        self.position_rad = self.goal_rad = at_rad
        self.velocity_rad_s = 0.0
        self.moving = False

    def advance(self, dt_s: float) -> None:
        """One control period."""
        way = self.goal_rad - self.position_rad
        speed = abs(way) / dt_s
        if speed > self.speed_rad_s:
            speed = self.speed_rad_s
        a = self.acceleration_rad_s2
        if a == math.inf:
            velocity = speed if way >= 0.0 else -speed
            at_rest_after = True
        else:
            # Speed from which it can still stop, one period of reaction included.
            half, change = 0.5 * a * dt_s, a * dt_s
            speed = min(speed, math.sqrt(half * half + 2.0 * a * abs(way)) - half)
            velocity = speed if way >= 0.0 else -speed
            velocity = min(self.velocity_rad_s + change, max(self.velocity_rad_s - change, velocity))
            at_rest_after = abs(velocity) <= 2.0 * change
        step = velocity * dt_s
        if at_rest_after and abs(way - step) < 1e-5:
            self.stand(self.goal_rad)
        else:
            self.position_rad += step
            self.velocity_rad_s = velocity

"""Shapes of single movements."""

import math


def min_jerk(share: float) -> float:
    """0 -> 1 for share 0 -> 1 with the least jerk (Flash & Hogan, J. Neurosci. 5, 1985); held outside."""
    s = min(1.0, max(0.0, share))
    return s * s * s * (10.0 + s * (6.0 * s - 15.0))


def stroke(since_s: float, rise_s: float, hold_s: float, fall_s: float) -> float:
    """0 -> 1 -> 0: a rise, a hold and a fall of minimum jerk; 0 before and after."""
    if since_s <= rise_s + hold_s:
        return min_jerk(since_s / rise_s)
    return 1.0 - min_jerk((since_s - rise_s - hold_s) / fall_s)


def lag_share(dt_s: float, tau_s: float) -> float:
    """How much of the way a first-order lag goes in one step."""
    return 1.0 - math.exp(-dt_s / tau_s)

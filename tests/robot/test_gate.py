"""The gate: for any sequence of requests no limit is broken, and what is allowed passes unchanged."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from animaface.robot.config import load_face
from animaface.robot.gate import HOT, GateState, Reason, describe, gate, with_heat
from animaface.robot.limits import GateLimits

N = 6
TOL = 1e-7


def small_limits(*, heats: bool = False) -> GateLimits:
    """Six actuators, a group of three, two collisions that share an actuator, one of them of the group."""
    rows = np.array([[-1.0, -1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.7, 0.0, 0.0, 0.0]])
    return GateLimits.build(
        tuple("abcdef"),
        np.array([2.0, 8.0, 1.0, 5.0, 3.0, 6.0]),
        np.array([20.0, 300.0, 8.0, 60.0, 75.0, 10.0]),
        np.array([0.5, 0.4, 0.2, 0.2, 0.2, 0.0]),
        equal=(np.array([2, 3, 4]),),
        collisions=rows,
        at_most=np.array([-0.5, 1.1]),
        models_heat=np.full(N, heats),
    )


def check(before: GateState, after: GateState, limits: GateLimits, dt_s: float) -> None:
    """Every limit, measured on the positions alone."""
    x0, x1 = before.position, after.position
    speed = (x1 - x0) / dt_s
    assert np.isfinite(x1).all()
    assert (x1 >= -TOL).all()
    assert (x1 <= 1.0 + TOL).all()
    assert (np.abs(speed) <= limits.speed + TOL).all()
    assert (np.abs(speed - before.speed) <= limits.acceleration * dt_s + TOL).all()
    assert (limits.collisions @ x1 <= limits.at_most + TOL).all()
    for members in limits.equal:
        assert np.ptp(x1[members]) <= TOL
    assert (after.heat <= 1.0).all()


anything = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True, width=64),
    st.floats(-0.2, 1.2),
    st.sampled_from([0.0, 1.0, float("nan"), float("inf"), -1e300]),
)
requests = st.lists(
    st.tuples(st.lists(anything, min_size=N, max_size=N), st.integers(1, 12)), min_size=1, max_size=25
)


@settings(max_examples=100, deadline=None)
@given(requests, st.lists(st.floats(0.0005, 0.06), min_size=1, max_size=5))
def test_no_sequence_of_requests_breaks_a_limit(
    steps: list[tuple[list[float], int]], periods: list[float]
) -> None:
    limits = small_limits()
    state = GateState.at(limits.neutral)
    k = 0
    for request, hold in steps:
        for _ in range(hold):
            dt_s = periods[k % len(periods)]
            k += 1
            new, applied, _ = gate(state, np.array(request), limits, dt_s)
            check(state, new, limits, dt_s)
            assert (applied == new.position).all()
            state = new


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.sampled_from(["hybrid", "morpheus", "bench4"]), st.booleans())
def test_shipped_faces_under_bang_bang(seed: int, face: str, extreme: bool) -> None:
    limits = GateLimits.of(load_face(face))
    rng = np.random.default_rng(seed)
    state = GateState.at(limits.neutral)
    for _ in range(60):
        shape = len(limits.names)
        u = rng.integers(0, 2, shape).astype(float) if extreme else rng.uniform(-1, 2, shape)
        for _ in range(int(rng.integers(1, 8))):
            new, _, _ = gate(state, u, limits, 0.01)
            check(state, new, limits, 0.01)
            state = new


def test_a_smooth_request_passes_unchanged() -> None:
    limits = GateLimits.of(load_face("hybrid"))
    middle = np.clip(limits.neutral, 0.3, 0.7)
    state = GateState.at(middle)
    for k in range(400):
        u = middle + 0.2 * (1 - np.cos(2 * np.pi * 1.5 * k * 0.01)) / 2
        state, applied, why = gate(state, u, limits, 0.01)
        np.testing.assert_allclose(applied, u, atol=1e-9)
        assert not why.any()


def test_a_step_arrives_in_the_least_time_and_does_not_overshoot() -> None:
    limits = GateLimits.build(("a",), np.array([4.0]), np.array([100.0]), np.array([0.2]))
    state = GateState.at([0.2])
    path = []
    for _ in range(40):
        state, applied, _ = gate(state, [0.8], limits, 0.01)
        path.append(applied[0])
    assert max(path) <= 0.8 + 1e-9
    # .6 at 4/s, plus 40 ms to come to speed and to brake: .19 s by continuous time
    assert next(i for i, u in enumerate(path) if u > 0.799) * 0.01 < 0.24
    assert path[-1] == pytest.approx(0.8, abs=1e-6)


def test_a_full_speed_ramp_into_the_end_of_the_range_brakes_in_time() -> None:
    limits = GateLimits.build(("a",), np.array([4.0]), np.array([50.0]), np.array([0.5]))
    state = GateState.at([0.2])
    for k in range(200):
        new, _, _ = gate(state, [0.2 + 0.04 * k], limits, 0.01)
        check(state, new, limits, 0.01)
        state = new
    assert state.position[0] == pytest.approx(1.0, abs=1e-9)


def test_a_collision_is_slid_along_and_not_stuck_to() -> None:
    """A fast actuator that pushes waits for a slow one that makes room, and both arrive."""
    limits = GateLimits.build(
        ("fast", "slow"),
        np.array([10.0, 0.5]),
        np.array([400.0, 5.0]),
        np.array([0.5, 0.5]),
        collisions=np.array([[1.0, -1.0]]),
        at_most=np.array([0.0]),
    )
    state = GateState.at([0.5, 0.5])
    for _ in range(200):
        new, _, why = gate(state, [0.9, 0.9], limits, 0.01)
        check(state, new, limits, 0.01)
        state = new
    np.testing.assert_allclose(state.position, [0.9, 0.9], atol=1e-4)
    _, _, why = gate(state, [1.0, 0.5], limits, 0.01)
    assert why[0] & Reason.COLLISION


def test_from_outside_the_only_way_is_back() -> None:
    """A servo found outside its range, or lips found inside each other, are brought back gently."""
    limits = small_limits()
    start = np.array([0.1, 0.1, 1.3, 1.3, 1.3, -0.2])
    state = GateState.at(start)
    worst = limits.collisions @ start - limits.at_most
    for _ in range(400):
        new, _, _ = gate(state, limits.neutral, limits, 0.01)
        excess = limits.collisions @ new.position - limits.at_most
        assert (excess <= np.maximum(worst, 0.0) + TOL).all()
        assert (np.abs(new.speed - state.speed) <= limits.acceleration * 0.01 + TOL).all()
        worst, state = excess, new
    np.testing.assert_allclose(state.position, limits.neutral, atol=1e-4)


def test_not_a_number_holds_the_last_goal_and_says_so() -> None:
    limits = small_limits()
    state = GateState.at(limits.neutral)
    u = limits.neutral.copy()
    u[0] = 0.6
    state, _, _ = gate(state, u, limits, 0.01)
    u[0] = np.nan
    for _ in range(100):
        state, applied, why = gate(state, u, limits, 0.01)
        assert why[0] & Reason.NOT_FINITE
    assert applied[0] == pytest.approx(0.6, abs=1e-4)
    assert describe(why, limits.names) == {"a": "not finite"}


def test_contradiction_in_a_group_goes_to_the_mean() -> None:
    limits = small_limits()
    state = GateState.at(limits.neutral)
    u = limits.neutral.copy()
    u[2], u[3], u[4] = 0.0, 0.3, 0.6
    for _ in range(300):
        state, applied, why = gate(state, u, limits, 0.01)
    np.testing.assert_allclose(applied[2:5], 0.3, atol=1e-4)
    assert (why[2:5] & Reason.GROUP).all()


def test_heat_of_a_servo_that_cannot_tell_stays_below_too_hot() -> None:
    limits = small_limits(heats=True)
    state = GateState.at(limits.neutral)
    hottest, told = 0.0, False
    for k in range(5_000):  # ten minutes of banging from end to end
        u = np.full(N, float(k // 4 % 2))
        state, _, why = gate(state, u, limits, 0.12)
        hottest = max(hottest, state.heat.max())
        told |= bool((why & Reason.HEAT).any())
    assert HOT - 0.2 < hottest < 1.0
    assert told


def test_measured_heat_sends_an_actuator_home() -> None:
    limits = small_limits()
    state = with_heat(GateState.at(limits.neutral), np.array([1.0, *[np.nan] * 5]))
    for _ in range(100):
        state, applied, _ = gate(state, np.array([1.0, 1.0, 0.2, 0.2, 0.2, 0.0]), limits, 0.01)
    assert applied[0] == pytest.approx(limits.neutral[0], abs=1e-4)
    assert applied[1] > 0.8


def test_no_time_no_motion() -> None:
    limits = small_limits()
    state = GateState.at(limits.neutral)
    for dt_s in (0.0, -1.0, float("nan")):
        new, applied, _ = gate(state, np.ones(N), limits, dt_s)
        assert new is state
        np.testing.assert_array_equal(applied, limits.neutral)


@pytest.mark.realtime
def test_fast_enough_for_a_hundred_hertz() -> None:
    limits = GateLimits.of(load_face("morpheus"))
    rng = np.random.default_rng(0)
    state, took = GateState.at(limits.neutral), []
    for _ in range(1500):
        u = rng.uniform(0, 1, len(limits.names))
        start = time.perf_counter()
        state, _, _ = gate(state, u, limits, 0.01)
        took.append(time.perf_counter() - start)
    assert np.median(took) < 3 * 150e-6

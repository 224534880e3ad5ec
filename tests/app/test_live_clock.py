"""The sound card's clock: drift is followed, nonsense is not believed."""

import math

import numpy as np
import pytest

from animaface.app.live.sample_clock import SampleClock, card_time_s

RATE_HZ = 48_000


def _run(minutes: float, ppm: float, jitter_s: float, *, block: int = 480, seed: int = 0) -> np.ndarray:
    """Errors [K] of the clock against the truth, once a block, for a card that is `ppm` slow."""
    rng = np.random.default_rng(seed)
    clock, errors = SampleClock(RATE_HZ), []
    seconds_per_sample = (1.0 + 1e-6 * ppm) / RATE_HZ
    for k in range(int(minutes * 60 * RATE_HZ / block)):
        position = k * block
        true_s = 100.0 + position * seconds_per_sample
        clock.observe(position, true_s + float(rng.normal(0.0, jitter_s)))
        errors.append(clock.at_s(position) - true_s)
    return np.array(errors)


@pytest.mark.parametrize("ppm", [-100.0, 100.0])
def test_thirty_minutes_with_a_clock_off_by_100_ppm_drift_less_than_5_ms(ppm: float) -> None:
    errors = _run(30.0, ppm, 0.002, block=4800)
    after = errors[10 * 30 :]
    assert np.abs(after).max() < 0.005
    assert np.abs(errors[len(errors) // 2 :]).max() < 0.002


def test_the_drift_itself_is_told() -> None:
    clock = SampleClock(RATE_HZ)
    for k in range(20_000):
        clock.observe(480 * k, 480 * k / RATE_HZ * (1.0 + 80e-6))
    assert clock.drift_ppm == pytest.approx(80.0, abs=5.0)


def test_there_and_back() -> None:
    clock = SampleClock(RATE_HZ)
    for k in range(1000):
        clock.observe(480 * k, 5.0 + 480 * k / RATE_HZ * 1.0001)
    assert clock.position_at(clock.at_s(123_456.0)) == pytest.approx(123_456.0, abs=1e-3)


def test_one_wrong_reading_is_ignored_and_a_real_break_is_followed() -> None:
    clock = SampleClock(RATE_HZ)
    for k in range(200):
        clock.observe(480 * k, 0.01 * k)
    clock.observe(480 * 200, 17.0)
    assert clock.at_s(480 * 200) == pytest.approx(2.0, abs=1e-3)
    for k in range(201, 300):  # the stream stood still for three seconds
        clock.observe(480 * k, 0.01 * k + 3.0)
    assert clock.restarts == 1
    assert clock.at_s(480 * 300) == pytest.approx(6.0, abs=1e-3)


@pytest.mark.parametrize("step_s", [0.02, 0.075])
def test_a_card_that_ran_dry_without_telling_is_followed_at_once(step_s: float) -> None:
    """On a busy machine a card once played the rest of its sound 75 ms later; the clock took half a minute to believe it,
    thought that the card had slowed down, and the lips were early all that time."""
    rng, clock, errors = np.random.default_rng(2), SampleClock(RATE_HZ), []
    for k in range(6000):
        true_s = 480 * k / RATE_HZ * (1.0 + 40e-6) + step_s * (k >= 3000)
        late_s = float(rng.exponential(0.02)) if rng.random() < 0.1 else 0.0  # readings of a busy machine
        clock.observe(480 * k, true_s + late_s + float(rng.normal(0.0, 0.001)))
        errors.append(clock.at_s(480 * k) - true_s)
    assert np.abs(errors[1000:3000]).max() < 0.005
    assert np.abs(errors[3050:]).max() < 0.006
    assert abs(clock.drift_ppm - 40.0) < 150.0


def test_what_is_not_a_number_or_goes_backwards_does_nothing() -> None:
    clock = SampleClock(RATE_HZ)
    clock.observe(math.nan, 1.0)
    clock.observe(0.0, math.inf)
    assert not clock.known
    assert math.isnan(clock.at_s(0.0))
    clock.observe(100.0, 1.0)
    clock.observe(50.0, 9.0)
    assert clock.at_s(100.0) == 1.0


@pytest.mark.parametrize("ahead_s", [0.0, math.nan, 3.0, -0.02])
def test_implausible_times_of_a_card_give_way_to_its_stored_latency(ahead_s: float) -> None:
    at_s, plausible = card_time_s(10.0, ahead_s, math.nan, 0.015)
    assert (at_s, plausible) == (pytest.approx(10.015), False)


def test_a_plausible_time_is_taken_and_one_far_from_the_count_is_not() -> None:
    assert card_time_s(10.0, 0.02, 10.021, 0.015) == (pytest.approx(10.02), True)
    assert card_time_s(10.0, 0.3, 10.021, 0.015) == (pytest.approx(10.015), False)

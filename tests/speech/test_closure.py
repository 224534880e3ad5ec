"""The closure layer: sealed at m b p, lip on the teeth at f v, open elsewhere, smooth, causal."""

import numpy as np

from animaface.robot.face.arkit import ARKIT_INDEX, N_CHANNELS
from animaface.speech.closure import ClosureLayer
from animaface.speech.phones import BILABIAL, LABIODENTAL, N_PHONES, PHONE_INDEX
from animaface.speech.train.dataset import touches


def spoken(phones: list[tuple[str, int]], jaw: float = 0.3) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(values, now, touch) of certain phones of so many frames each, over a mouth that stands open."""
    track = [PHONE_INDEX[p] for p, n in phones for _ in range(n)]
    now = np.eye(N_PHONES, dtype=np.float32)[track]
    touch = np.array([[p in BILABIAL, p in LABIODENTAL] for p, n in phones for _ in range(n)], np.float32)
    values = np.zeros((len(track), N_CHANNELS), np.float32)
    values[:, ARKIT_INDEX["jawOpen"]] = jaw
    for name in ("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight"):
        values[:, ARKIT_INDEX[name]] = 0.2
    return values, now, touch


def gap(values: np.ndarray) -> np.ndarray:
    return values[:, ARKIT_INDEX["jawOpen"]] - values[:, ARKIT_INDEX["mouthClose"]]


def lifts(values: np.ndarray) -> np.ndarray:
    names = ("mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight")
    return values[:, [ARKIT_INDEX[n] for n in names]].max(axis=1)


def test_bilabials_seal_for_40_ms_even_when_short() -> None:
    for phone in ("M", "B", "P"):
        values, now, _ = spoken([("AA", 20), (phone, 3), ("AA", 20)])
        touch = touches(now.argmax(axis=1)[None])[0]  # what the network is taught of a sound of 50 ms
        out = ClosureLayer().apply(values, now, touch)
        shut = (gap(out) <= 0.03) & (lifts(out) <= 0.03)
        fine = np.interp(np.arange(0, 42, 0.05), np.arange(43), np.maximum(gap(out), lifts(out)))
        assert (fine <= 0.03).sum() * 0.05 / 60 >= 0.040
        assert not shut[:17].any()
        assert not shut[30:].any()


def test_the_layer_sees_no_further_than_it_is_given() -> None:
    """Cut into single frames it gives the same curves: the state is all it keeps."""
    values, now, touch = spoken([("AA", 9), ("B", 5), ("IY", 9), ("F", 5), ("AA", 9)])
    whole = ClosureLayer().apply(values, now, touch)
    layer = ClosureLayer()
    parts = [layer.apply(values[i : i + 1], now[i : i + 1], touch[i : i + 1]) for i in range(len(values))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-6)


def test_closing_is_fast_but_no_jump() -> None:
    out = ClosureLayer().apply(*spoken([("AA", 20), ("P", 6), ("AA", 20)]))
    assert np.abs(np.diff(gap(out))).max() < 0.9 * 0.3, (
        "evidence of one frame to the next, as no network has it"
    )


def test_labiodentals_bring_the_lip_to_the_teeth_but_do_not_seal() -> None:
    out = ClosureLayer().apply(*spoken([("AA", 20), ("F", 8), ("AA", 20)]))
    at = 24
    assert 0.01 < gap(out)[at] <= 0.05
    assert out[at, ARKIT_INDEX["mouthShrugLower"]] > 0.15
    assert out[at, ARKIT_INDEX["mouthLowerDownLeft"]] < 0.05


def test_open_vowels_are_opened_when_the_curves_would_swallow_them() -> None:
    out = ClosureLayer().apply(*spoken([("AA", 30)], jaw=0.01))
    assert gap(out)[10:].min() > 0.03


def test_silence_and_head_are_left_alone() -> None:
    values, now, touch = spoken([("SIL", 30)], jaw=0.03)
    values[:, -3:] = -0.1
    out = ClosureLayer().apply(values, now, touch)
    np.testing.assert_allclose(out, values, atol=1e-6)


def test_a_seal_leaves_no_more_lift_than_a_sealed_lip_may_have() -> None:
    """Pulled all the way down the lips moved further than a real man's, which cost aperture r and sealed nothing."""
    out = ClosureLayer().apply(*spoken([("AA", 20), ("B", 6), ("AA", 20)]))
    assert 0.0 < lifts(out)[23] <= 0.015
    values, now, touch = spoken([("AA", 20), ("B", 6), ("AA", 20)])
    values[:, ARKIT_INDEX["mouthUpperUpLeft"]] = 0.004
    assert ClosureLayer().apply(values, now, touch)[23, ARKIT_INDEX["mouthUpperUpLeft"]] <= 0.004 + 1e-6


def test_a_doubtful_closure_narrows_the_lips_evenly() -> None:
    """The old layer was a switch: an m at its threshold sealed or did not, as the phase of the frames fell."""
    smallest = []
    for likelihood in np.linspace(0.0, 1.0, 201):
        values, now, touch = spoken([("AA", 10), ("M", 6), ("AA", 10)])
        smallest.append(gap(ClosureLayer().apply(values, now, touch * np.float32(likelihood))).min())
    steps = np.diff(smallest)
    assert (steps <= 1e-6).all(), "surer is narrower"
    assert np.abs(steps).max() < 0.06, "nowhere a switch"
    assert smallest[-1] <= 0.03 < smallest[0]


def test_a_clear_closure_ends_with_its_sound() -> None:
    """Espeak's vowels were shut in .12 of all cases: what a clear b left behind would have sealed a doubtful one."""
    values, now, touch = spoken([("AA", 20), ("B", 5), ("AA", 20)])
    touch[25:30, 0] = 0.13  # as much as shuts the lips of a stranger whose m is hardly heard
    after_clear = gap(ClosureLayer().apply(values, now, touch))
    touch[20:25, 0] = 0.0
    alone = gap(ClosureLayer().apply(values, now, touch))
    assert alone[27] < 0.1 < after_clear[29]


def test_the_jaw_shares_in_a_seal() -> None:
    values, now, touch = spoken([("AA", 20), ("B", 6), ("AA", 20)])
    sealed = ClosureLayer().apply(values, now, touch)[24]
    assert 0.0 < sealed[ARKIT_INDEX["mouthClose"]] < sealed[ARKIT_INDEX["jawOpen"]] + 1e-6 < 0.12


def test_long_closures_part_on_time_and_short_ones_last() -> None:
    """Every seal used to be held a frame longer and let go slowly: lips parted 31 ms late after b m of 80 ms."""

    def shut(*phones: tuple[str, int]) -> np.ndarray:
        values, now, _ = spoken([("AA", 20), *phones, ("AA", 20)])
        out = ClosureLayer().apply(values, now, touches(now.argmax(axis=1)[None])[0])
        return np.flatnonzero(gap(out) <= 0.03)

    long = shut(("B", 8))
    assert 20 <= long[0] <= 22
    assert 25 <= long[-1] <= 28, "parts as its sound ends"
    for phones in ([("M", 2)], [("M", 2), ("AA", 6), ("P", 2)]):
        places = np.split(s := shut(*phones), np.flatnonzero(np.diff(s) > 1) + 1)
        assert [len(p) >= 3 for p in places] == [True] * (len(phones) + 1 >> 1), "each its 40 ms"

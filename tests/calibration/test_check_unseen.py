"""Expressions that a camera cannot see: the check goes on without them, and says so."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from animaface.calibration import check
from animaface.robot.face.errors import CalibrationError
from animaface.selfmodel.retarget import Retarget
from animaface.selfmodel.rig import default_rig

Array = NDArray[np.float64]


class Eye:
    """Sees every pose but those whose numbers are given."""

    def __init__(self, *hidden: int) -> None:
        self._hidden, self._looks = hidden, 0

    def go(self, u: Array, seconds: float) -> None:
        """Anywhere."""

    def look(self, u: Array, count: int, *, settle_s: float) -> tuple[Array, Array, float]:
        """As Recorder.look."""
        self._looks += 1
        if self._looks - 1 in self._hidden:
            raise CalibrationError("saw no face in 10 s", next_step="check light and distance")
        return default_rig().landmarks_m(check.expressions(("jawOpen",))[1])[0], np.zeros(3), 0.0


def tried(count: int, *hidden: int) -> Array:
    """What `try_expressions` brings home of so many."""
    recorder: Any = Eye(*hidden)
    return check.try_expressions(recorder, np.zeros((count, 4)), np.zeros(4), lambda done, total: None)


def test_what_was_not_seen_has_no_numbers() -> None:
    """One of four missing: three are told whole, the fourth with what was asked and what is within reach."""
    names, values = check.expressions(("jawOpen", "mouthPucker", "mouthSmileLeft", "browInnerUp"))
    done = tried(4, 1)
    assert np.isnan(done[1]).all()
    rig = default_rig()
    rows = check.shape_table(
        names, values, Retarget(rig, rig.neutral_m), done, rig.landmarks_m(values), tried(4)
    )
    assert ["done" in row for row in rows] == [True, False, True, True]
    assert rows[1]["reachable"] == pytest.approx(1.0, abs=0.02)
    assert rows[0]["done"] == pytest.approx(1.0, abs=0.02)


def test_a_camera_that_fell_out_is_an_error() -> None:
    """Three in a row are no strange expressions any more."""
    with pytest.raises(CalibrationError, match="no face"):
        tried(8, 2, 3, 4)
    assert np.isnan(tried(8, 2, 3, 5, 6)).any(axis=(1, 2)).sum() == 4

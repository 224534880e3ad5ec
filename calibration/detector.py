"""The boundary to whatever sees the face: a camera with a landmark network, printed dots, a simulated eye."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class LandmarkFrame:
    """One look at the face. landmarks_m[478, 3] in the head frame, head_rad[3] yaw, pitch, roll.

    `time_s`: when the light fell on the sensor, as well as it is known, on the session's clock.
    `valid[478]`: False where a landmark was not seen; its value is then NaN.
    """

    time_s: float
    landmarks_m: NDArray[np.float64]
    head_rad: NDArray[np.float64]
    valid: NDArray[np.bool_]


@dataclass(frozen=True)
class Grab:
    """One frame, not yet looked at: when the light fell, as well as it is known, and what the detector needs."""

    time_s: float
    data: Any


class LandmarkDetector(Protocol):
    """Something that sees landmarks.

    `delay_s`: how long after the light a frame arrives, taken off its time of arrival. Where it is not
    known beforehand (`delay_known`) the session measures it and sets it.
    """

    delay_s: float

    @property
    def delay_known(self) -> bool:
        """Nobody has to measure the delay."""
        ...

    @property
    def name(self) -> str:
        """Named in the calibration and its report."""
        ...

    @property
    def plane(self) -> bool:
        """Only x and y of a landmark mean something, z carries no movement; and the head must be still while
        the face is looked at closely."""
        ...

    def grab(self, not_before_s: float = -np.inf) -> Grab | None:
        """The oldest frame that came in and was not yet returned, without waiting; None when there is none.

        Frames whose light fell before `not_before_s` are thrown away. Cheap: fit for a control loop.
        """
        ...

    def see(self, grab: Grab) -> LandmarkFrame | None:
        """Look at a frame: a tenth of a second, perhaps. None when it is of no use (no face, blurred)."""
        ...

    def glance(self, grab: Grab) -> NDArray[np.float64]:
        """[k] numbers that change as the face moves (gray values of a small picture): all that is needed to
        see when something moves, a hundred times cheaper than landmarks."""
        ...

    def learn_rest(self, count: int) -> dict[str, NDArray[Any]]:
        """Take the last `count` frames as the face at rest: later ones are measured against it.

        -> what `recall_rest` needs, to go on another day. Raises CalibrationError: too few frames.
        """
        ...

    def recall_rest(self, kept: Mapping[str, NDArray[Any]]) -> None:
        """Go on with what `learn_rest` gave."""
        ...

    def facts(self) -> dict[str, Any]:
        """For the report: frames seen, rejected and why."""
        ...

    def close(self) -> None:
        """Let the camera go."""
        ...

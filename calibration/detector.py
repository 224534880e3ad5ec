"""The boundary to whatever sees the face: a camera with a landmark network, printed dots, a simulated eye."""

from dataclasses import dataclass
from typing import Protocol

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


class LandmarkDetector(Protocol):
    """Something that sees landmarks."""

    @property
    def name(self) -> str:
        """Named in the calibration and its report."""
        ...

    def capture(self) -> LandmarkFrame:
        """Wait for the next frame and return it. Raises CalibrationError when no face is found."""
        ...

    def poll(self) -> LandmarkFrame | None:
        """The oldest frame that came in and was not yet returned, without waiting; None when there is none."""
        ...

    def close(self) -> None:
        """Let the camera go."""
        ...

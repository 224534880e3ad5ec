"""What detectors that look at pictures share: the source, the camera's delay, and the glance at a picture."""

from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.model import need_opencv
from animaface.calibration.camera.sources import Picture, PictureSource
from animaface.calibration.detector import Grab

Gray = NDArray[np.float32]
_GLANCE_PX: Final = (128, 96)


class PictureDetector:
    """Half of a LandmarkDetector: pictures at the time at which they were taken; `see` is left to the heir."""

    def __init__(self, source: PictureSource, *, delay_s: float = 0.0) -> None:
        """`delay_s`: from light to arrival. Raises MissingDependencyError without OpenCV."""
        self.delay_s = delay_s
        self._source = source
        self._cv2 = need_opencv()

    @property
    def delay_known(self) -> bool:
        """A camera does not tell."""
        return False

    @property
    def plane(self) -> bool:
        """Depth is guessed or not measured at all, so only the image plane counts."""
        return True

    def grab(self, not_before_s: float = -np.inf) -> Grab | None:
        """See LandmarkDetector."""
        found = self._source.poll(not_before_s + self.delay_s)
        return None if found is None else Grab(found[0] - self.delay_s, found[1])

    def glance(self, grab: Grab) -> NDArray[np.float64]:
        """See LandmarkDetector: a small gray picture."""
        small = self._cv2.resize(self._gray(grab.data), _GLANCE_PX, interpolation=self._cv2.INTER_AREA)
        return np.asarray(small, dtype=np.float64).ravel()

    def close(self) -> None:
        """Let the camera go."""
        self._source.close()

    def _gray(self, picture: Picture) -> Gray:
        out: Gray = self._cv2.cvtColor(picture, self._cv2.COLOR_RGB2GRAY).astype(np.float32)
        return out

"""What of a picture belongs to the skin and travels with it: its colour, and strong contrast.

Shade does not travel: light falls on a cheek from where it fell before, and skin slides through the light. Colour
as shares of the whole (R. Gershon, A. Jepson, J. Tsotsos, From [R,G,B] to surface reflectance, 1987) is
nearly free of it; brightness counts only as it changes within two or three pixels: pores and hairs do, shade doesn't.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.model import need_opencv

Image = NDArray[np.float32]

_DARK: Final = 30.0
"""Added to the sum of red, green and blue (0..765): in the dark, colour is noise."""
_WEAK: Final = 8.0
"""Contrast of brightness (0..255) that counts half: several times the noise of a small camera."""
_COLOUR: Final = 0.03
"""A difference of colour shares that counts as one: twenty times the noise of a small camera."""
_CONTRAST: Final = 1.5
CHANNELS: Final = 3
OUTLIER: Final = np.array([1.0, 2.0, 2.0])
"""Differences of the channels that count half."""


def colour_shares(picture: Image) -> Image:
    """[h, w, 2] red over green and green over blue, as shares of brightness, of RGB [h, w, 3] 0..255."""
    total = picture.sum(axis=2) + np.float32(_DARK)
    return np.stack(
        [(picture[..., 0] - picture[..., 1]) / total, (picture[..., 1] - picture[..., 2]) / total], axis=-1
    )


@dataclass(frozen=True)
class Appearance:
    """How a picture is looked at in one size: `scale` of its pixels, radius (px) within which contrast counts, 0 where
    only colour does."""

    scale: float
    contrast_px: float

    def of(self, picture: Image) -> Image:
        """[h, w, CHANNELS] of an RGB picture."""
        cv2 = need_opencv()
        small = cv2.resize(picture, None, fx=self.scale, fy=self.scale, interpolation=cv2.INTER_AREA)
        colour = colour_shares(cv2.GaussianBlur(small, (0, 0), 0.8 if self.scale > 0.6 else 0.5))
        contrast = self._contrast(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY))
        return np.concatenate([contrast[..., None], colour / np.float32(_COLOUR)], axis=-1, dtype=np.float32)

    def _contrast(self, gray: Image) -> Image:
        if self.contrast_px <= 0.0:
            return np.zeros_like(gray)
        cv2 = need_opencv()
        detail = gray - cv2.GaussianBlur(gray, (0, 0), self.contrast_px)
        size = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * self.contrast_px))
        out: Image = detail * (_CONTRAST / (size + _WEAK))
        return out

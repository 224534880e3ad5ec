"""What of a picture belongs to the skin and travels with it: its colour, and strong contrast.

Shade does not travel: light falls on a cheek from where it fell before, and skin slides through the light. Colour
as shares of the whole (R. Gershon, A. Jepson, J. Tsotsos, From [R,G,B] to surface reflectance, 1987) is
nearly free of it; brightness counts only as it changes within two or three pixels: pores and hairs do, shade doesn't.
"""

from dataclasses import dataclass
from typing import Final, Self

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
OUTLIER: Final = np.array([1.0, 2.0, 2.0], dtype=np.float32)
"""Differences of the channels that count half."""


def colour_shares(picture: Image) -> Image:
    """[h, w, 2] red over green and green over blue, as shares of brightness, of RGB [h, w, 3] 0..255."""
    total = picture.sum(axis=2) + np.float32(_DARK)
    return np.stack(
        [(picture[..., 0] - picture[..., 1]) / total, (picture[..., 1] - picture[..., 2]) / total], axis=-1
    )


@dataclass(frozen=True)
class Colours:
    """A picture in one size: its brightness [h, w] and its colour shares [h, w, 2] in units of what counts as one."""

    brightness: Image
    shares: Image

    @classmethod
    def of(cls, picture: Image, scale: float) -> Self:
        """Of RGB [h, w, 3], a pixel of which becomes `scale` pixels."""
        cv2 = need_opencv()
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        soft = cv2.GaussianBlur(small, (0, 0), 0.8 if scale > 0.6 else 0.5)
        return cls(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), colour_shares(soft) / np.float32(_COLOUR))

    def seen(self, contrast_px: float) -> Image:
        """[h, w, CHANNELS]: contrast within that radius (px; 0: only colour counts), and colour."""
        contrast = self._contrast(contrast_px) if contrast_px > 0.0 else np.zeros_like(self.brightness)
        return np.concatenate([contrast[..., None], self.shares], axis=-1, dtype=np.float32)

    def _contrast(self, radius_px: float) -> Image:
        cv2 = need_opencv()
        detail = self.brightness - cv2.GaussianBlur(self.brightness, (0, 0), radius_px)
        size = np.sqrt(cv2.GaussianBlur(detail * detail, (0, 0), 1.5 * radius_px))
        out: Image = detail * (_CONTRAST / (size + _WEAK))
        return out

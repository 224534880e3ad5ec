"""A camera's pictures as what the person in them does, and words for what is wrong with them."""

import time
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.calibration.camera.face_mesh import FaceMesh
from animaface.calibration.camera.person import Person
from animaface.calibration.camera.sources import Picture, PictureSource
from animaface.robot.face.errors import DeviceError, InputError

Array = NDArray[np.float64]

_SILENT_S: Final = 5.0
_ALONE_S: Final = 2.0


class Watcher:
    """The newest picture of a camera as values[55], the person's rest subtracted."""

    def __init__(
        self, source: PictureSource, mesh: FaceMesh, *, neutral_s: float, on_warning: Callable[[str], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        """on_warning: told once when nobody is seen for a while, and again after somebody was. Times of pictures are
        on the clock `now_s`."""
        self.pictures = self.no_face = 0
        self._source, self._mesh, self._now_s, self._on_warning = source, mesh, now_s, on_warning
        self._person = Person(neutral_s=neutral_s)
        self._heard_s = self._met_s = now_s()
        self._warned = False

    @property
    def ready(self) -> bool:
        """How the person looks at rest is known."""
        return self._person.ready

    def look(self) -> tuple[float, Array] | None:
        """(arrival s, values[55]) when a new picture shows a face. Raises DeviceError when no pictures come."""
        found = self._newest()
        if found is None:
            if self._now_s() - self._heard_s > _SILENT_S:
                raise DeviceError(f"{self._source.name} has given no picture for {_SILENT_S:.0f} s",
                                  next_step="close other programs that use it, check its cable, or --camera 1")  # fmt: skip
            return None
        self.pictures += 1
        self._heard_s = self._now_s()
        sighting = self._mesh.see(found[1])
        if sighting is None:
            self.no_face += 1
            if not self._warned and self._heard_s - self._met_s > _ALONE_S:
                self._warned = True
                self._on_warning(f"{self._source.name} shows no face: come nearer, look at it, more light")
            return None
        self._met_s, self._warned = self._heard_s, False
        return found[0], self._person.push(found[0], sighting)

    def end(self) -> None:
        """Raises InputError when all this time nobody was seen at rest."""
        if not self.ready:
            raise InputError(
                f"{self._source.name}: a face in {self.pictures - self.no_face} of {self.pictures} pictures, "
                "too few to see how it looks at rest", next_step="come nearer, look at the camera, more light")  # fmt: skip

    def _newest(self) -> tuple[float, Picture] | None:
        """Of the pictures that wait: a machine that looks slower than the camera must not fall behind."""
        found = None
        while (later := self._source.poll()) is not None:
            found = later
        return found

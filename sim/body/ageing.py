"""What years and accidents do to a face: cables stretch, a horn slips on its spline, skin grows soft."""

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from animaface.robot.config import ActuatorConfig
from animaface.robot.face.errors import ConfigError, unknown_name
from animaface.sim.body.anatomy import crank_of

Array = NDArray[np.float64]

TOOTH_RAD: Final = 2.0 * np.pi / 25.0
"""Small servos carry their horn on 25 teeth."""


@dataclass(frozen=True)
class Ageing:
    """How a face differs from its youth. The default is a face as built.

    tendon_stretch: share of a cable's whole travel by which it has grown longer; horn_teeth: actuator ->
    teeth by which its horn sits wrong (positive as the maker counts angles); skin_softening: share of the
    skin's stiffness that is gone.
    """

    tendon_stretch: float = 0.0
    horn_teeth: dict[str, int] = field(default_factory=dict)
    skin_softening: float = 0.0

    def horn_rad(self, names: tuple[str, ...]) -> Array:
        """[N] by how much each horn has slipped, rad. Raises ConfigError for an actuator that is not there."""
        for name in self.horn_teeth:
            if name not in names:
                raise ConfigError(unknown_name("actuator", name, names))
        return np.array([TOOTH_RAD * self.horn_teeth.get(n, 0) for n in names])

    def slack_m(self, actuators: list[ActuatorConfig]) -> Array:
        """[N] cable that has come on top, m; 0 for what is no tendon."""
        strokes = [crank.stroke if (crank := crank_of(a.part)) else 0.0 for a in actuators]
        tendon = np.array([a.drive == "tendon" for a in actuators])
        return np.asarray(self.tendon_stretch * np.array(strokes) * tendon)

    @property
    def stiffness(self) -> float:
        """Share of the skin's stiffness that is left."""
        return 1.0 - self.skin_softening

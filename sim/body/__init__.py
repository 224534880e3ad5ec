"""The simulated face's body: linkages, skin, lips, lids, tendons and servos under one `Plant`."""

from animaface.sim.body.face import SimFace

__all__ = ["SimFace"]

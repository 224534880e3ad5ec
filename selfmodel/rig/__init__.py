"""ARKit rig: blendshapes -> landmarks."""

from animaface.selfmodel.rig.arkit_rig import ArkitRig, FaceRig, default_rig

__all__ = ["ArkitRig", "FaceRig", "default_rig"]

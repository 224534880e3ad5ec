"""ARKit rig: blendshapes -> landmarks, on our own head or a user's."""

from animaface.selfmodel.rig.arkit_rig import ArkitRig, FaceRig, default_rig
from animaface.selfmodel.rig.gltf import UserHead, load_head

__all__ = ["ArkitRig", "FaceRig", "UserHead", "default_rig", "load_head"]

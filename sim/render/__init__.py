"""Pictures and videos of the simulated face, drawn after the run from snapshots."""

from animaface.sim.render.video import render_image, render_video

__all__ = ["render_image", "render_video"]

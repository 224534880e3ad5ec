"""ARKit rig, the network motors -> landmarks, its gradient inverse, the distilled inverse."""

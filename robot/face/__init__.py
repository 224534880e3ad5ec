"""The leaf everybody shares, numpy only: ARKit names, takes, landmark topology, clock, errors."""

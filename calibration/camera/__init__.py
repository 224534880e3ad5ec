"""Landmarks from a camera: pictures in, LandmarkFrames out. Needs the extra `vision`; imports are lazy."""

"""Animaface: sound comes in, an animatronic face speaks, with feeling, on real motors."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("animaface")
except PackageNotFoundError:  # run from a tree that was never installed
    __version__ = "0.0.0"

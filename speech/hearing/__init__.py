"""What a voice tells beside its words: how its speaker feels, relative to how that speaker usually sounds."""

from animaface.speech.hearing.listener import CLASSES, Feeling, FeelingListener

__all__ = ["CLASSES", "Feeling", "FeelingListener"]

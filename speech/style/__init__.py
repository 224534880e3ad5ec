"""How a speaker articulates: heard in the voice, kept, named, mixed, and put on the recalled motion."""

from animaface.speech.style.listener import StyleListener
from animaface.speech.style.style import AUTO, NAMED, Style, find_style, mixed, save_style, styled

__all__ = ["AUTO", "NAMED", "Style", "StyleListener", "find_style", "mixed", "save_style", "styled"]

"""stub"""

NAME = "simulate"
EXAMPLE = "animaface simulate"


def run() -> None:
    """stub"""

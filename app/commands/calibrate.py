"""stub"""

NAME = "calibrate"
EXAMPLE = "animaface calibrate"


def run() -> None:
    """stub"""

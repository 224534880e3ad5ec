"""stub"""

NAME = "play"
EXAMPLE = "animaface play"


def run() -> None:
    """stub"""

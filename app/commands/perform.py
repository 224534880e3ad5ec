"""stub"""

NAME = "perform"
EXAMPLE = "animaface perform"


def run() -> None:
    """stub"""

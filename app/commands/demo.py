"""stub"""

NAME = "demo"
EXAMPLE = "animaface demo"


def run() -> None:
    """stub"""

"""stub"""

NAME = "report"
EXAMPLE = "animaface report"


def run() -> None:
    """stub"""

def clean() -> None:
    """clean"""


def restore() -> None:
    """restore"""

def run() -> None:
    """run"""

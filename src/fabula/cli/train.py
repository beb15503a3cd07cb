def train() -> None:
    """train"""

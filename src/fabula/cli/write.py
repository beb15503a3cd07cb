def write() -> None:
    """write"""

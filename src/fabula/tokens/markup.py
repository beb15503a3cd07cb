"""How a story is written for the model."""

import numpy as np

SEED_START, SEED_NEWLINE, SEED_END = "<sos> ", " <nl> ", " <eos>"


def render(text: str, markup: str) -> str:
    """A story's text as the model sees it: as it is ("newline"), or with the seed notebook's markers as text."""
    if markup == "newline":
        return text
    return SEED_START + SEED_NEWLINE.join(text.split("\n")) + SEED_END


def story_characters(text: str, markup: str) -> np.ndarray:
    """bool [len(render(text, markup))]: which characters are story, not markers or newlines."""
    if markup == "newline":
        return np.array([character != "\n" for character in text], dtype=bool)
    parts: list[bool] = [False] * len(SEED_START)
    for i, line in enumerate(text.split("\n")):
        parts += [False] * (len(SEED_NEWLINE) if i else 0) + [True] * len(line)
    return np.array(parts + [False] * len(SEED_END), dtype=bool)

"""How a story is written for the model."""

import numpy as np

from fabula.baseline.markers import add_markers, story_mask


def render(text: str, markup: str) -> str:
    """A story's text as the model sees it: as it is ("newline"), or with the notebook's markers ("notebook")."""
    return text if markup == "newline" else add_markers(text)


def story_characters(text: str, markup: str) -> np.ndarray:
    """bool [len(render(text, markup))]: which characters are story, not markers or newlines."""
    mask = [character != "\n" for character in text] if markup == "newline" else story_mask(text)
    return np.array(mask, dtype=bool)

"""The copy guard: keeps a story from repeating a passage of `limit` characters from a training story.

A token is drawn again if it would complete such a passage. A token that begins a word is drawn again `MARGIN`
characters earlier, so that the story departs from the passage between two words and not within one. The guard does not
cover what the base model itself memorised.
"""

from fabula.corpus.copies import CopyIndex

MARGIN = 12
"""Distance in characters from the limit within which a copied passage may not begin another word: most words are
shorter."""


class CopyGuard:
    """Args:
    index: the training stories.
    limit: length of the shortest forbidden passage in characters; at least 20.
    """

    def __init__(self, index: CopyIndex, limit: int) -> None:
        self.index, self.limit = index, limit

    def forbids(self, before: str, piece: str) -> bool:
        """Whether `piece` must not follow `before`, of which the last `limit` characters count."""
        text = before + piece
        begins_word = not (before[-1:].isalnum() and piece[:1].isalnum())
        soft = self.limit - MARGIN
        if begins_word and len(text) >= soft and self.index.holds(text[-soft:]):
            return True
        # All passages that end within the piece begin with these characters.
        shared = before[-max(self.limit - len(piece), 1) :]
        if len(text) < self.limit or not self.index.holds(shared):
            return False
        first = max(self.limit, len(before) + 1)
        return any(self.index.holds(text[end - self.limit : end]) for end in range(first, len(text) + 1))

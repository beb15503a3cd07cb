"""The copy guard: while a story is drawn, no passage of it becomes as long as in a training story.

A token is drawn again where it would complete a passage of `limit` characters that a training story has. A token that begins a word
is drawn again `MARGIN` characters earlier, so that the story turns away between two words and not within one. What the base
model itself memorised is not among the training stories, and not guarded against.
"""

from fabula.corpus.copies import CopyIndex

MARGIN = 12
"""Characters before the limit at which no further word of a copied passage begins: most words end within them."""


class CopyGuard:
    """Args:
    index: the training stories.
    limit: characters of the shortest passage that is not written; at least 20.
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
        # Each passage that ends within the piece begins with what they share.
        shared = before[-max(self.limit - len(piece), 1) :]
        if len(text) < self.limit or not self.index.holds(shared):
            return False
        first = max(self.limit, len(before) + 1)
        return any(self.index.holds(text[end - self.limit : end]) for end in range(first, len(text) + 1))

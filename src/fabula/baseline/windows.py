"""The notebook's windows: truncated and padded."""

from collections.abc import Sequence

import numpy as np

from fabula.tokens.cache import TokenisedStories
from fabula.tokens.windows import WindowBatch


class TruncatedWindows:
    """One window for each story: the story is truncated after `context_length` tokens or padded to that length, and the
    loss counts the padding like text."""

    def __init__(self, stories: TokenisedStories, context_length: int, pad_id: int) -> None:
        self.stories = stories
        self.context_length = context_length
        self.pad_id = pad_id
        self._lengths = np.minimum(np.diff(stories.offsets), context_length)
        self.num_targets = len(self) * (context_length - 1)

    def __len__(self) -> int:
        return self.stories.num_stories

    @property
    def padding(self) -> float:
        """Fraction of all tokens that are padding."""
        size = len(self) * self.context_length
        return 1.0 - float(self._lengths.sum()) / size if size else 0.0

    def targets(self, windows: Sequence[int]) -> int:
        return len(windows) * (self.context_length - 1)

    def batch(self, windows: Sequence[int], pad_id: int) -> WindowBatch:
        tokens = np.full((len(windows), self.context_length), self.pad_id, dtype=np.int64)
        segment_ids = np.zeros((len(windows), self.context_length - 1), dtype=np.int64)
        for i, window in enumerate(windows):
            begin, length = int(self.stories.offsets[window]), int(self._lengths[window])
            tokens[i, :length] = self.stories.tokens[begin : begin + length]
            segment_ids[i, :length] = 1
        position_ids = np.broadcast_to(np.arange(self.context_length - 1), segment_ids.shape).copy()
        return WindowBatch(tokens[:, :-1], tokens[:, 1:].copy(), position_ids, segment_ids)

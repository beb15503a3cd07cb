"""The notebook's windows are truncated, padded, and count their padding."""

import numpy as np

from fabula.baseline.windows import TruncatedWindows
from fabula.tokens.cache import TokenisedStories


def test_the_notebooks_windows_are_truncated_and_count_their_padding():
    tokens = np.arange(1, 18, dtype=np.uint16)
    stories = TokenisedStories(tokens, np.array([0, 5, 17]))
    windows = TruncatedWindows(stories, 8, pad_id=0)
    batch = windows.batch([0, 1], pad_id=0)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 5, 0, 0], [6, 7, 8, 9, 10, 11, 12]]
    assert batch.labels.tolist() == [[2, 3, 4, 5, 0, 0, 0], [7, 8, 9, 10, 11, 12, 13]]
    assert batch.num_targets == windows.num_targets == 14
    assert windows.padding == 3 / 16

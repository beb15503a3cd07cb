"""Whether stories hold together, without a judge: how much likelier a model finds the second half of a story after the first
half than alone. Stories whose sentences have nothing to do with each other gain little, and stories that go round in
circles gain more than people's."""

from collections.abc import Sequence

import numpy as np

from fabula.evaluation.likelihood import ScoredText
from fabula.evaluation.models import Scorer
from fabula.generation.sentences import sentence_ends


def middle_of(text: str) -> int:
    """The end of the sentence that ends nearest to the middle of a text; 0 where none ends before the text does."""
    ends = [end for end in sentence_ends(text) if text[end:].strip()]
    return min(ends, key=lambda end: abs(end - len(text) / 2), default=0)


def coherence_bits(scorer: Scorer, whole: Sequence[ScoredText]) -> np.ndarray:
    """[S, 2]: the bits that the second half of each of S texts loses by the first half before it, and the half's bytes.

    Args:
        whole: the texts as `scorer` scored them.
    """
    middles = [middle_of(each.text) for each in whole]
    halves = scorer.score([each.text[middle:].lstrip() for each, middle in zip(whole, middles, strict=True)])
    after = [
        each.nats[each.is_text & (each.ends > len(each.text[:middle].replace("\n", "")))].sum()
        for each, middle in zip(whole, middles, strict=True)
    ]
    bits = np.where(np.array(middles) > 0, (halves.nats - np.array(after)) / np.log(2), 0.0)
    return np.stack([bits, np.where(np.array(middles) > 0, halves.num_bytes, 0)], axis=1)

"""Parts of a corpus: nested samples of its training stories, with all of its held-out stories."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from fabula.corpus.store import STAGE, Corpus, CorpusWriter, open_corpus
from fabula.files import atomic_folder, fingerprint, hash_file
from fabula.story import Story


def draw_clusters(corpus: Corpus, share: float, seed: int) -> frozenset[str]:
    """Whole clusters of training stories with about `share` of the stories, at least one; a larger share contains every
    smaller one with the same seed."""
    sizes: dict[str, int] = {}
    for story in corpus.stories("train"):
        sizes[cluster_of(story)] = sizes.get(cluster_of(story), 0) + 1
    names = sorted(sizes)
    order = [names[index] for index in np.random.default_rng(seed).permutation(len(names))]
    ends = np.cumsum([sizes[name] for name in order])
    count = 1 + int(np.argmin(np.abs(ends - share * ends[-1])))
    return frozenset(order[:count])


def write_part(corpus: Corpus, clusters: frozenset[str], folder: Path) -> Corpus:
    """Write a corpus with the training stories of these clusters and all stories of the other splits, unless `folder`
    holds it."""
    mark = fingerprint([corpus.fingerprint, sorted(clusters)])
    if folder.is_dir() and (found := open_corpus(folder)).manifest.fingerprint == mark:
        return found
    with atomic_folder(folder) as partial:
        splits = dict.fromkeys(corpus.splits, 0)
        with CorpusWriter(partial) as writer:
            for story in _part(corpus, clusters):
                writer.keep(story, [], story.num_words)
                splits[story.split] += 1
        shards = sorted((partial / "data").iterdir())
        counts = corpus.manifest.counts.model_copy(
            update={
                "splits": splits,
                "shards": {shard.name: shard.stat().st_size for shard in shards},
                "content": fingerprint([[shard.name, hash_file(shard)] for shard in shards]),
            }
        )
        manifest = corpus.manifest.model_copy(
            update={
                "stage": STAGE,
                "fingerprint": mark,
                "inputs": {"corpus": corpus.fingerprint},
                "config": {},
                "counts": counts,
            }
        )
        manifest.write(partial)
    return open_corpus(folder)


def _part(corpus: Corpus, clusters: frozenset[str]) -> Iterator[Story]:
    for split in corpus.splits:
        for story in corpus.stories(split):
            if split != "train" or cluster_of(story) in clusters:
                yield story


def cluster_of(story: Story) -> str:
    """The cluster of near-duplicates that a story belongs to: itself, if it has none."""
    return story.cluster or story.id

"""Parts of a corpus: nested, of whole clusters, the same for the same seed."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.corpus import subset
from fabula.corpus.store import Corpus, open_corpus
from fabula.corpus.subset import draw_clusters, write_part
from fabula.story import Story


class MadeCorpus:
    """Training stories in these clusters."""

    def __init__(self, clusters: list[int]) -> None:
        self.made = [
            Story(str(number), "A fox.", cluster=f"c{cluster}") for number, cluster in enumerate(clusters)
        ]

    def stories(self, split: str) -> list[Story]:
        assert split == "train"
        return self.made


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(0, 5))
def test_parts_are_nested_and_of_about_the_wanted_size(clusters: list[int], seed: int):
    corpus = MadeCorpus(clusters)
    largest = max(clusters.count(each) for each in clusters)
    parts = [draw_clusters(corpus, share, seed) for share in (0.25, 0.5, 1.0)]  # pyright: ignore[reportArgumentType]
    assert parts[0] <= parts[1] <= parts[2] == {f"c{each}" for each in clusters}
    assert parts[0]
    for share, part in zip((0.25, 0.5), parts, strict=False):
        size = sum(f"c{each}" in part for each in clusters)
        assert abs(size - share * len(clusters)) <= largest


def test_the_seed_decides_which(tiny_corpus_dir: Path):
    corpus = open_corpus(tiny_corpus_dir)
    assert draw_clusters(corpus, 0.25, 1) == draw_clusters(corpus, 0.25, 1)
    assert draw_clusters(corpus, 0.25, 1) != draw_clusters(corpus, 0.25, 2)


def test_a_part_is_a_corpus_with_the_same_held_out_stories(
    tiny_corpus_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    corpus = open_corpus(tiny_corpus_dir)
    clusters = draw_clusters(corpus, 0.25, 42)
    part = write_part(corpus, clusters, tmp_path / "part")
    assert {story.id for story in part.stories("train")} == clusters
    assert part.num_stories("train") == 8
    assert list(part.stories("validation")) == list(corpus.stories("validation"))
    assert part.fingerprint != corpus.fingerprint
    again = write_part(corpus, clusters, tmp_path / "again")
    assert _bytes(again) == _bytes(part)
    monkeypatch.setattr(subset, "CorpusWriter", None)  # what is there is not written again
    assert write_part(corpus, clusters, tmp_path / "part").fingerprint == part.fingerprint


def _bytes(corpus: Corpus) -> list[bytes]:
    return [file.read_bytes() for file in [*corpus.shards(), corpus.path / "manifest.json"]]


def test_a_story_without_a_cluster_is_its_own():
    story = Story("a", "A fox.")
    assert subset.cluster_of(story) == "a"
    assert subset.cluster_of(replace(story, cluster="b")) == "b"

"""Votes on passages without names: who was preferred, and whether people were told from the model."""

from fabula.evaluation.votes import describe_guesses, share_of_votes
from fabula.results import Vote


def votes(question: str, chosen: list[int | None], *authors: str) -> list[Vote]:
    row = {"question": question, "authors": list(authors), "passages": ["1", "2"], "fingerprint": "f"}
    return [Vote.of({**row, "chosen": each}) for each in chosen]


def test_the_share_of_votes_leaves_out_pairs_without_a_difference():
    found = votes("better", [0, 0, 0, 1, None, None], "a", "b")
    share = share_of_votes(found, "a")
    assert share is not None
    assert share.low is not None
    assert share.high is not None
    assert share.value == 0.75
    assert share.low < 0.5 < share.high  # four votes settle nothing
    assert share_of_votes(found, "c") is None
    assert share_of_votes(votes("better", [None], "a", "b"), "a") is None


def test_guesses_are_told_in_a_sentence():
    found = votes("person", [0] * 31 + [1] * 19 + [None], "people", "tuned")
    said = describe_guesses([*found, *votes("better", [0], "people", "tuned")])
    assert said is not None
    assert said.startswith("The person's passage was recognised in 31 of 50 pairs (62.0\u00a0% (")
    assert describe_guesses(found[:0]) is None

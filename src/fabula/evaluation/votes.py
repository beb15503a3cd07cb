"""Votes on passages shown without names, and what they say."""

from collections.abc import Sequence

from fabula.evaluation.intervals import share_estimate
from fabula.formatting import format_estimate, format_number
from fabula.results import PEOPLE, Estimate, Vote


def share_of_votes(votes: Sequence[Vote], author: str) -> Estimate | None:
    """How often passages by `author` were chosen, of the votes that had one and saw a difference; None without any.

    The interval is Wilson's, which takes the votes as independent.
    """
    cases = [
        vote.authors[vote.chosen] == author
        for vote in votes
        if vote.chosen is not None and author in vote.authors
    ]
    return share_estimate(cases) if cases else None


def describe_guesses(votes: Sequence[Vote]) -> str | None:
    """A sentence about the votes on which passage a person wrote; None where there are none."""
    votes = [vote for vote in votes if vote.question == "person"]
    decided = sum(vote.chosen is not None for vote in votes)
    share = share_of_votes(votes, PEOPLE)
    if share is None:
        return None
    right = round(share.value * decided)
    return (
        f"The person's passage was recognised in {format_number(right)} of {format_number(decided)} pairs"
        f" ({format_estimate(share, percent=True)}); chance is half."
    )

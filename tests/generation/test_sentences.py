"""Where sentences and words end."""

import pytest

from fabula.generation.sentences import last_line_end, last_sentence_end, last_word_end


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("He left. She st", "He left."),
        ("He left.", ""),  # "He left.” " may follow
        ("He left. ", "He left."),
        ("“Go!” she said. “Wh", "“Go!” she said."),
        ("“Go!” ", "“Go!”"),
        ('(So it was.) "Well...', "(So it was.)"),
        ("She waited… and", "She waited…"),
        ("I met Mr. Soapy and Mrs. J. Smith of St. Ives today", ""),
        ("It cost 3.50 dol", ""),
        ("In the USA. He w", "In the USA."),
        ("It was by SaintCapt. He w", "It was by SaintCapt."),
        ("It ended. Chapter One\n\nThe tow", "It ended."),
        ("He got up, and\nthen he", ""),
        ("वह चला गया। वह", "वह चला गया।"),
        ("狐狸走了。她", "狐狸走了。"),
        ("", ""),
    ],
)
def test_last_sentence_end(text: str, kept: str):
    assert text[: last_sentence_end(text)] == kept


@pytest.mark.parametrize(
    ("text", "kept"),
    [("one two thr", "one two"), ("one two ", "one two"), ("one", "one"), ("", ""), ("a\nb", "a")],
)
def test_last_word_end(text: str, kept: str):
    assert text[: last_word_end(text)] == kept


def test_last_line_end():
    assert [last_line_end(text) for text in ("The rose is red \n\nThe vio", "The rose", "\nThe")] == [
        15,
        0,
        0,
    ]

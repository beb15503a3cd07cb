"""Repair of characters: what is repaired, and that ordinary prose is left alone."""

import itertools
import random
import string
import textwrap
import time

import ftfy
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fabula.corpus.normalise import _CONFIG, REPAIRS, _may_need_ftfy, _needs_ftfy, normalise

USUAL = string.ascii_letters + string.digits + string.punctuation + " \t\n‘’“”–—…"


@pytest.mark.parametrize(
    ("text", "repaired", "counts"),
    [
        ("He said “no” — twice…", "He said “no” — twice…", {}),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd", {"line_ends": 3}),
        ("Tom &amp; Ann &lt;3", "Tom & Ann <3", {"html_entities": 2}),
        ("a &amp;nbsp; b", "a   b", {"html_entities": 2, "spaces": 1}),
        ("a &amp;#x200B; b", "a  b", {"html_entities": 2, "invisible": 1}),
        ("AT&T; R&D", "AT&T; R&D", {}),
        ("heâ€™s here", "he’s here", {"unicode": 1}),
        ("cafe\u0301", "café", {"unicode": 1}),
        ("so\u00adft zero\u200bwidth \ufeff", "soft zerowidth", {"invisible": 3}),
        ("a\x00b\x1b[31mc", "abc", {"controls": 1, "unicode": 1}),
        ("a\u00a0b\u2009c", "a b c", {"spaces": 2}),
        ("👩\u200d👧 नमस्ते ça là naïve", "👩\u200d👧 नमस्ते ça là naïve", {}),
        ("ﬁre", "fire", {"unicode": 1}),
        (
            "a\n\n[Illustration: The quay]\n\n[Page 2]\nb (Picture it.)",
            "a\n\nb (Picture it.)",
            {"captions": 2},
        ),
        ("[b]a[/b]\n\n[hr]\n\nb", "a\n\n***\n\nb", {"bbcode": 2}),
    ],
)
def test_repairs(text: str, repaired: str, counts: dict[str, int]) -> None:
    assert normalise(text) == (repaired, counts)
    assert set(counts) <= set(REPAIRS)


def test_markdown_is_left_unless_asked_for() -> None:
    text = r"\*\*\* ^(More at r/me) 2^10 \n ^word"
    assert normalise(text) == (text, {})
    assert normalise(text, markdown=True) == (r"*** More at r/me 210 \n word", {"markdown": 6})


@given(st.text(st.sampled_from(USUAL)))
@settings(max_examples=500, deadline=None)
def test_ftfy_would_not_change_text_that_is_not_passed_to_it(text: str) -> None:
    """This is why `normalise` may skip ordinary paragraphs."""
    paragraph = text.replace("\n", " ").replace("&", "")
    assert ftfy.fix_and_explain(paragraph, _CONFIG).text == paragraph


@given(
    st.text(
        st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("éèÃ©â€™Ââˆ\u0301ﬁ\x85ИЖя日本ｱ…"))
    )
)
@settings(max_examples=2000, deadline=None)
def test_ftfy_changes_nothing_where_it_is_not_asked(text: str) -> None:
    if not _needs_ftfy(text):
        assert ftfy.fix_and_explain(text, _CONFIG).text == text


ODD = "éèœŒÃ©â€™ÂàÀ£°ˆ\u0301ﬁ\x85\x00\x7fИЖГВя日本ｱ가각\u1161’“—… aZ"


@given(st.text(st.one_of(st.sampled_from(ODD), st.characters(exclude_categories=["Cs"]))))
@settings(max_examples=2000, deadline=None)
def test_no_paragraph_needs_ftfy_in_a_text_that_does_not(text: str) -> None:
    text = text.replace("\v", "").replace("\r", "")  # are line ends by then
    if not _may_need_ftfy(text):
        assert not _needs_ftfy(text)


@given(st.text())
@example("\xa0Â\x80")
@example("a\xa0Â\x80")
@settings(max_examples=300, deadline=None)
def test_a_repaired_text_needs_no_second_repair(text: str) -> None:
    once, _ = normalise(text)
    if "&" not in once:  # entities are unescaped twice, not without end
        assert normalise(once)[0] == once


@pytest.mark.parametrize(
    "unit", ["â€™", "&amp;", "\\*", "^(", "\u00a0", "é", "\r", "&#", "ﬁ", "\ud83d\ude00"]
)
def test_time_is_linear_in_one_huge_line(unit: str) -> None:
    """A quarter of a million repetitions in one line take seconds, not hours."""
    began = time.monotonic()
    normalise(unit.encode("utf-16", "surrogatepass").decode("utf-16") * 250_000, markdown=True)
    assert time.monotonic() - began < 60


PROSE = (
    "The lamp had burned for nine hundred years, and on the morning that it went out nobody noticed but Ilse, who was "
    "nine, and stood at the foot of the tower with a bucket in each hand, and looked up at the dark glass, and waited for "
    "someone to tell her that it could not have gone out, because it never had, and because of all the ships."
)


def test_lines_of_one_width_are_joined() -> None:
    wrapped = "\n\n".join(["\n".join(textwrap.wrap(PROSE, 62))] * 3)
    text, counts = normalise(wrapped)
    assert text == "\n\n".join([PROSE] * 3)
    assert counts["line_wraps"] == wrapped.count("\n") - 4


@pytest.mark.parametrize("marks", [["7"], ["- 7 -", "- 8 -"], ["7", "8", "9", "10"]])
def test_page_numbers_do_not_get_into_joined_lines(marks: list[str]) -> None:
    prose = " ".join(word for seed in range(24) for word in random.Random(seed).sample(PROSE.split(), 40))
    lines = textwrap.wrap(prose, 62)
    ends = [
        at
        for at, (line, after) in enumerate(itertools.pairwise(lines))
        if line[-1] != "." and after[0].islower()
    ]
    for page in range(len(marks), 0, -1):
        lines.insert(next(at for at in ends if at >= 12 * page) + 1, marks[page - 1])
    text, counts = normalise("\n".join(lines))
    assert text == prose
    assert counts["page_lines"] == len(marks)


def test_a_number_of_a_section_stays_a_line_of_its_own() -> None:
    wrapped = "\n".join(textwrap.wrap(PROSE, 62))
    assert normalise(f"{wrapped}\n\n{wrapped}\n2\n{wrapped}")[0] == f"{PROSE}\n\n{PROSE}\n\n2\n\n{PROSE}"


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(
            [
                "Half a league, half a league,",
                "Half a league onward,",
                "All in the valley of Death",
                "Rode the six hundred.",
            ]
            * 5
        ),
        "\n".join(f"{number}. An item of the list of things that were on the boat" for number in range(12)),
        "\n".join([PROSE] * 12),
        "\n".join(textwrap.wrap(PROSE, 62)),
    ],
)
def test_other_lines_stay(text: str) -> None:
    assert normalise(text)[0] == text

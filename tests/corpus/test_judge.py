"""The summary and the warnings about the stories after reading."""

import json
import textwrap
from pathlib import Path
from unittest import mock

import pytest
from conftest import Command
from hypothesis import given
from hypothesis import strategies as st
from made import clean, stories_file, story

from fabula.corpus import judge
from fabula.corpus.judge import first_line, oddities, script_of
from fabula.corpus.ledger import LeftOutRow, RepairRow
from fabula.corpus.store import open_corpus
from fabula.errors import FabulaError
from fabula.story import count_words


def test_what_was_read_is_shown_and_a_preview_writes_nothing(tmp_path: Path, fabula: Command) -> None:
    path = stories_file(tmp_path / "a.jsonl", [f"Tale {number}\n\n{story(number)}" for number in range(9)])
    done = fabula("-q", "clean", path, "--preview")
    assert done.returncode == 0, done.stderr
    for part in (
        "9 of 9 kept",
        "in the median story",
        "first     Tale 0",
        "middle    Tale 4",
        "last      Tale 8",
    ):
        assert part in done.stdout
    assert "warning" not in done.stdout
    assert [file.name for file in tmp_path.iterdir()] == ["a.jsonl"]


def test_the_next_step_can_be_typed(tmp_path: Path, fabula: Command) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number) for number in range(9)])
    done = fabula("-q", "clean", path, "--out", tmp_path / "tales.corpus")
    assert f"fabula train {tmp_path / 'tales.corpus'} --out tales.model" in done.stdout


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<p>It rained.</p>\n<p>It <em>poured</em>.</p>", ["markup"]),
        (r"{\rtf1\ansi\fs24 It rained.\par It poured.\par}", ["markup"]),
        ("It rained. <SEP> It poured.", ["markup"]),
        ('{"title": "Rain", "body": "It rained."}', ["json"]),
        ("It=E2=80=99s rain. It=E2=80=99s late. She=E2=80=99s out.", ["codes"]),
        ("It\\u2019s rain. It\\u2019s late. She\\u2019s out.", ["codes"]),
        ("It rained\ufffd\ufffd\ufffd.", ["binary"]),
        (f"{'It rained. ' * 600}It\ufffds rain. It\ufffds late. She\ufffds out.", ["binary"]),
        ("\n".join(f"It rained on day {n}.\n{n}" for n in range(11, 20)), ["page_numbers"]),
        ("\n".join(f"It rained on day {n}.\nTHE RAINY TALE" for n in range(9)), ["running_heads"]),
        ("It rained. 3 < 4, he said, and {that} was <odd>.", []),
        ("12\n\nhe counted\n\n13\n\nand slept", []),
        ("It rained on the quay, and on all the boats\n\n- 12 -\n\nthat were late.", ["page_numbers"]),
    ],
)
def test_oddities(text: str, expected: list[str]) -> None:
    assert oddities(text) == expected


def test_markup_in_most_stories_stops(tmp_path: Path) -> None:
    texts = [f"\\pard\\fs24 {story(number)}\\par" for number in range(6)]
    path = stories_file(tmp_path / "a.jsonl", texts)
    with pytest.raises(
        FabulaError, match=r"100\u00a0% of the stories hold markup or tags \(the first: a.jsonl:1\)"
    ):
        clean(path, tmp_path / "out", rules="none")
    assert not (tmp_path / "out").exists()
    assert "markup" in clean(path, tmp_path / "out", rules="none", force=True).counts.warnings[0]


def test_a_mark_in_most_stories_stops(tmp_path: Path) -> None:
    texts = [f"A stranger sells lamp {n}. <endprompt> {story(n)}" for n in range(6)]
    with pytest.raises(FabulaError, match="the mark '<endprompt>' is in 100\u00a0% of the stories"):
        clean(stories_file(tmp_path / "a.jsonl", texts), tmp_path / "out")
    assert clean(stories_file(tmp_path / "a.jsonl", texts), tmp_path / "out", force=True)


def test_a_tag_of_html_is_no_mark(tmp_path: Path) -> None:
    texts = [f"<strong>Lamp {n}.</strong> {story(n)}" for n in range(6)]
    assert clean(stories_file(tmp_path / "a.jsonl", texts), tmp_path / "out")


def test_control_characters_in_most_stories_stop(tmp_path: Path) -> None:
    path = stories_file(tmp_path / "a.jsonl", [story(number).replace("e", "\x02") for number in range(6)])
    with pytest.raises(FabulaError, match="100\u00a0% of the stories hold control characters"):
        clean(path, tmp_path / "out", rules="none")


def test_a_line_of_most_stories_is_named(tmp_path: Path) -> None:
    texts = [f"{story(number)}\n\nContinue to the next part" for number in range(9)]
    path = stories_file(tmp_path / "a.jsonl", texts)
    warnings = clean(path, tmp_path / "out", rules="none", copies="ignore").counts.warnings
    assert any("'Continue to the next part' is a line in 100\u00a0%" in warning for warning in warnings)


def test_warnings(tmp_path: Path) -> None:
    texts = [story(number) for number in range(30)]
    path = stories_file(
        tmp_path / "a.jsonl", texts + texts[:8] + ["Слово за слово, и наступило утро над рекой."]
    )
    warnings = clean(path, tmp_path / "out", rules="none").counts.warnings
    assert any("dropped as copies" in warning for warning in warnings)
    assert any("not in the script of most (Latin)" in warning for warning in warnings)
    path = stories_file(tmp_path / "b.jsonl", [f"It rained on day {number}." for number in range(30)])
    assert any("fewer than 6 words" in warning for warning in clean(path, None, rules="none").counts.warnings)


def test_a_language_other_than_most_is_named(tmp_path: Path) -> None:
    foreign = {
        "fr": "Le vieux pêcheur n'avait plus de rames, mais il sortait chaque matin, et la marée déposait des souliers sur le seuil. ",
        "de": "Der alte Mann am Ufer hatte ein Boot ohne Ruder, und jeden Morgen brachte die Flut ihm einen fremden Schuh nach Hause. ",
    }
    texts = [story(number) for number in range(9)] + [text * 3 for text in foreign.values()]
    path = stories_file(tmp_path / "a.jsonl", texts)
    warnings = clean(path, None, rules="none").counts.warnings
    assert [warning for warning in warnings if "language" in warning] == [
        "2 of 11 stories are not in the language of most (en): fr 1, de 1 (the first: a.jsonl:10); --language en drops them"
    ]
    assert not any("language" in one for one in clean(stories_file(path, texts[:9]), None).counts.warnings)


def test_the_plainest_english_needs_no_look_at_its_language() -> None:
    tales = [
        "Once there was a king who had it all, and he gave bread to them and looked at the fire, as it is told."
    ]
    tales = tales * 9 + [
        "Look, fire! Fire burns. Fire cooks. Fire gives warmth. It is a friend and it is ours. Look, fire!"
    ]
    with mock.patch.object(judge, "language_of", side_effect=AssertionError):
        assert judge.other_languages([(f"a:{at}", "Latin", tale) for at, tale in enumerate(tales)])[1] == {}


def test_files_that_are_not_read_are_named_and_in_the_ledger(tmp_path: Path) -> None:
    folder = tmp_path / "stories"
    folder.mkdir()
    for number in range(4):
        (folder / f"{number}.txt").write_text(story(number))
    (folder / "words.csv").write_text("name,words\nmill,100\ntower,120\nwood,90\n")
    assert any(
        warning.startswith("not read: words.csv (")
        for warning in clean(folder, tmp_path / "out").counts.warnings
    )
    rows = [row for row in open_corpus(tmp_path / "out").ledger() if isinstance(row, LeftOutRow)]
    assert [(row.left_out, row.source, row.source_line) for row in rows] == [("file", "words.csv", 0)]


def test_a_first_line_without_spaces_is_cut() -> None:
    assert first_line("海" * 300) == "海" * 120 + "…"
    assert first_line("the sea " * 30) == ("the sea " * 15).strip() + "…"


def test_chinese_stories_are_long_enough(tmp_path: Path) -> None:
    text = "从前有一座山，山上有一座庙，庙里有一个老和尚在给小和尚讲故事。" * 4
    assert 60 <= count_words(text) <= 100
    assert count_words("Es war einmal — ein König.") == 6
    assert count_words("a\u2019b c") == 2
    assert count_words("กาลครั้งหนึ่งนานมาแล้ว") in range(4, 8)
    path = stories_file(tmp_path / "a.jsonl", [f"{text}{number}" for number in "一二三四"])
    assert clean(path, None, rules="none", filters={"min_words": 50}, copies="ignore").counts.num_kept == 4
    assert script_of(text) == "Chinese or Japanese"


@given(st.text(st.sampled_from("aé—’“ \n\r\t\v\f\x1c\x1f\x7f\x85\u00a0\u2003\u2028\u200b")))
def test_words_are_counted_at_white_space(text: str) -> None:
    assert count_words(text) == len(text.split())


def test_joined_lines_are_in_the_ledger_with_their_number(tmp_path: Path) -> None:
    """Of a whole text, of stories between markers and of a mail, whether the reader or the repair joins them."""
    longer = [" ".join(map(story, range(number, 60, 6))) for number in range(6)]
    texts = [textwrap.fill(text, 60) for text in longer]
    inputs = {
        "chapters.txt": "\n\n".join(f"Chapter {number}\n\n{text}" for number, text in enumerate(texts, 1)),
        "marked.txt": "\n".join(f"<sos>\n{text}\n<eos>" for text in texts),
        "rows.jsonl": "\n".join(json.dumps({"text": text}) for text in texts),
    }
    for name, content in inputs.items():
        (tmp_path / name).write_text(content)
        out = tmp_path / f"{name}.corpus"
        counts = clean(tmp_path / name, out, rules="none").counts
        rows = [row for row in open_corpus(out).ledger() if isinstance(row, RepairRow)]
        assert counts.num_read == 6, name
        assert sum(row.count for row in rows) == sum(text.count("\n") for text in texts), name
        assert counts.repairs == {"line_wraps": sum(row.count for row in rows)}, name
        assert {(row.repaired, row.source) for row in rows} == {("line_wraps", name)}
        assert all("\n" not in one.text for one in open_corpus(out).stories()), name
        assert counts.num_left_out == {}, name


def test_what_the_reader_left_out_is_in_the_ledger(tmp_path: Path) -> None:
    from fabula.corpus.formats.base import ReaderRemoval
    from fabula.corpus.runners import batches
    from fabula.corpus.stages import Cleaning, clean_range

    removal = ReaderRemoval("a.txt", 3, "page_number", "12")

    class Source:
        def read(self, part, log):
            log.removals.append(removal)
            return iter(())

    [batch] = batches(Source(), None)  # pyright: ignore[reportArgumentType]
    assert clean_range(Source(), batch, Cleaning(rules="none"), {}).left_out == [removal]  # pyright: ignore[reportArgumentType]
    fabula_corpus = clean(
        stories_file(tmp_path / "a.jsonl", [story(n) for n in range(5)]), tmp_path / "out"
    ).corpus
    assert fabula_corpus is not None
    with (tmp_path / "out" / "ledger.jsonl").open("a") as file:
        file.write(
            json.dumps({"left_out": "page_number", "source": "a", "source_line": 3, "text": "12"}) + "\n"
        )
    rows = list(open_corpus(tmp_path / "out").ledger())
    assert rows[-1] == LeftOutRow(left_out="page_number", source="a", source_line=3, text="12")

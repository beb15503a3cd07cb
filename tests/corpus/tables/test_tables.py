"""Tables: the dialect that a file is in, the columns that hold the story, and JSON with any structure."""

import csv
import io
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.corpus.tables.columns import choose_columns
from fabula.corpus.tables.delimited import find_dialect, read_rows
from fabula.corpus.tables.json_values import rows_of, values_of
from fabula.corpus.tables.values import find_format, plain_text
from fabula.errors import FabulaError

TALE = "The fox ran down to the quay, and looked at the boats for a long while; it was late."


def rows(text: str) -> list[dict[str, str]]:
    lines = list(io.StringIO(text, newline=""))
    return [row for _, row in read_rows(lines, find_dialect(lines, "a", True), "a")]


def chosen(table: list[dict], column: str | None = None) -> tuple[str, ...]:
    return choose_columns(list(table[0]), table, column, "a").text


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_delimiters_and_line_ends(delimiter: str, end: str):
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter, lineterminator=end).writerows(
        [["title", "text"], *([f"T{k}", TALE] for k in range(4))]
    )
    assert rows(out.getvalue()) == [{"title": f"T{k}", "text": TALE} for k in range(4)]


def test_excel_says_its_delimiter():
    assert rows(f"sep=;\ntitle;text\nA;{TALE.replace(';', '')}\n") == [
        {"title": "A", "text": TALE.replace(";", "")}
    ]


def test_no_header():
    assert rows(f'"{TALE}"\n"{TALE} Two."\n') == [{"text": TALE}, {"text": f"{TALE} Two."}]
    assert list(rows(f'1,"{TALE}"\n2,"{TALE}"\n')[0]) == ["column 1", "column 2"]


def test_unquoted_prose():
    assert rows(f"text\n{TALE}\n{TALE}\n") == [{"text": TALE}] * 2
    assert rows(f"title,text\nA,{TALE}\nB,He said, no, and went.\n")[1] == {
        "title": "B",
        "text": "He said, no, and went.",
    }


def test_a_stray_quotation_mark_swallows_no_row():
    table = "".join(f"T{k}," + '"' * (k == 2) + "The fox ran home and sat down.\n" for k in range(6))
    assert len(rows(f"title,text\n{table}")) == 6


def test_rows_that_do_not_fit_are_an_error_with_their_line():
    good = "".join(f'{k},"{TALE}",x\n' for k in range(90))
    with pytest.raises(FabulaError, match="a:92: this row has more fields"):
        rows(f"id,text,tag\n{good}7,a,b,c\n")


TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_any_quoted_table_is_read_back(table: list[tuple[str, str]]):
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([("title", "text"), *table])
    assert [tuple(row.values()) for row in rows(out.getvalue())] == table


@pytest.mark.parametrize(
    ("row", "text"),
    [
        (
            {"title": "T", "body": TALE, "author_about": "I write by the sea at night, mostly of boats."},
            ("body",),
        ),
        (
            {"id": "1", **{f"sentence{k}": "He ran home." for k in range(1, 6)}},
            tuple(f"sentence{k}" for k in range(1, 6)),
        ),
        ({"prompt": TALE, "completion": TALE}, ("completion",)),
        ({"instruction": TALE, "input": "", "output": TALE}, ("output",)),
        ({"Titel": "T", "Geschichte": TALE}, ("Geschichte",)),
        ({"text": "Short.", "tale": TALE * 4}, ("tale",)),
        ({"url": "https://example.org/a", "story": "He ran."}, ("story",)),
    ],
)
def test_columns(row: dict, text: tuple[str, ...]):
    assert chosen([row] * 5) == text


def test_two_texts_are_asked_about():
    with pytest.raises(FabulaError, match="--column a"):
        chosen([{"a": TALE, "b": TALE}] * 5)
    assert chosen([{"a": TALE, "b": TALE}], "a,b") == ("a", "b")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (["One.", "Two."], "One.\nTwo."),
        ("<p>One &amp; <i>two</i>.</p><p>Three.</p>", "One & two.\nThree."),
        ("One.<br><br>“Two&rsquo;s.", "One.\n\n“Two’s."),
        ([{"role": "user", "content": "Write."}, {"role": "assistant", "content": "One."}], "One."),
        ([{"from": "human", "value": "Write."}, {"from": "gpt", "value": "One."}], "One."),
        ([{"title": "Chapter 1", "text": TALE * 9}], TALE * 9),
        ('["One.", "Two."]', "One.\nTwo."),
        ("I <3 you", "I <3 you"),
    ],
)
def test_cells(value: object, text: str):
    assert plain_text(value, find_format([value])) == text


@pytest.mark.parametrize(
    "wrapped",
    [
        [{"text": "a"}, {"text": "b"}],
        {"data": [{"text": "a"}, {"text": "b"}]},
        {"1": {"text": "a"}, "2": {"text": "b"}},
        {"text": {"0": "a", "1": "b"}, "n": {"0": 1, "1": 2}},
        {"columns": ["text"], "index": [0, 1], "data": [["a"], ["b"]]},
        {
            "kind": "Listing",
            "data": {
                "children": [{"kind": "t3", "data": {"text": "a"}}, {"kind": "t3", "data": {"text": "b"}}]
            },
        },
    ],
)
def test_rows_of_json(wrapped: object):
    found = [row for _, value in values_of(json.dumps(wrapped, indent=1), "a") for row in rows_of(value)]
    assert [row["text"] for row in found] == ["a", "b"]


def test_json_that_is_cut_short():
    for text in ('[{"text": "a"},', '[{"text": "a"', '[{"text": "a'):
        with pytest.raises(FabulaError, match="incomplete"):
            list(values_of(text, "a"))

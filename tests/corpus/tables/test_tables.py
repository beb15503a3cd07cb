"""Tables: the dialect that a file is in, the columns that hold the story, and JSON with any structure."""

import csv
import io
import json
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.corpus.read import open_stories
from fabula.corpus.tables import json_values
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


def test_a_table_that_is_cut_short():
    whole = "id,text\n" + "".join(f'{k},"{TALE}\n{TALE}"\n' for k in range(6))
    with pytest.raises(FabulaError, match="never closed; the file may be cut short") as caught:
        rows(whole[:-40])
    assert caught.value.line == 12


def test_lists_of_different_texts_are_asked_about():
    pairs = [{"text": [f"About quay {k}", " ".join([TALE] * 4)]} for k in range(4)]
    with pytest.raises(FabulaError, match="lists of 2 texts of different kinds"):
        chosen(pairs)
    assert chosen([{"text": [TALE] * k} for k in (2, 3, 4)]) == ("text",)


def test_messages_that_are_shorter_than_their_dates(tmp_path: Path):
    said = ["Yes.", "No, not yet.", "The tide came in and went out."] * 40
    messages = [
        {"timestamp": "2023-03-01T10:00:00.000+00:00", "content": text, "author": {"name": "mara"}}
        for text in said
    ]
    (tmp_path / "a.json").write_text(json.dumps({"channel": {"name": "quay"}, "messages": messages}))
    assert "\n".join(story.text for story in open_stories(tmp_path / "a.json")).split("\n") == said


def test_cells_without_a_value_are_no_stories(tmp_path: Path):
    table = "id\ttext\n" + "".join(f"{k}\t{TALE} {k}\n" for k in range(4)) + "4\t\\N\n5\tNaN\n"
    (tmp_path / "a.tsv").write_text(table)
    assert len(list(open_stories(tmp_path / "a.tsv"))) == 4


@pytest.mark.parametrize(
    "text",
    [
        "title~text\n" + "".join(f"T{k}~{TALE}\n" for k in range(4)),
        "title^text\n" + "".join(f"T{k}^{TALE}\n" for k in range(4)),
        "title,text\n" + "".join(f"'T{k}','{TALE}'\n" for k in range(4)),
        "".join(f'title,text\nT{k},"{TALE}"\n' for k in range(4)),
        "title, text\n" + "".join(f'"T{k}", "{TALE}"\n' for k in range(4)),
        "title,text\n" + "".join(f'T{k},"{TALE}"{"," * (k == 2)}\n' for k in range(4)),
    ],
)
def test_rarer_dialects(text: str):
    assert rows(text) == [{"title": f"T{k}", "text": TALE} for k in range(4)]


def test_markers_in_cells_are_no_part_of_stories(tmp_path: Path):
    texts = [f"<s>{k} {TALE}</s>" for k in range(4)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    assert [story.text for story in open_stories(tmp_path / "a.jsonl")] == [f"{k} {TALE}" for k in range(4)]


@pytest.mark.parametrize(
    "value",
    [
        [{"insert": "The fox "}, {"insert": "ran", "attributes": {"bold": True}}, {"insert": " on.\n"}, {"insert": "It slept.\n"}],
        [{"type": "p", "children": [{"text": "The fox "}, {"text": "ran"}, {"text": " on."}]}, {"type": "p", "children": [{"text": "It slept."}]}],
        [{"type": "p", "text": "The fox ran on."}, {"type": "p", "text": "It slept."}],
    ],
)  # fmt: skip
def test_pieces_of_paragraphs(value: list):
    assert plain_text(value, find_format([value])) == "The fox ran on.\nIt slept."


def test_a_header_whose_rows_do_not_fit_is_no_prose():
    text = "id,title,text\n" + "".join(
        f'{k},"T","She said, \\"Go,\\" and "no, stay," and {TALE}"\n' for k in range(5)
    )
    with pytest.raises(FabulaError, match="quotation mark"):
        rows(text)


def test_json_in_json_and_segments(tmp_path: Path):
    pairs = [
        {
            "segments": [
                {"label": False, "text": "A tale, please."},
                {"label": True, "text": f"{k} {TALE}</s>"},
            ]
        }
        for k in range(4)
    ]
    titled = {f"T{k}": [TALE * 2, TALE] * (1 + k % 2) for k in range(4)}
    twice = "".join(json.dumps(json.dumps({"text": f"{k} {TALE}"})) + "\n" for k in range(4))
    for text in ("".join(json.dumps(pair) + "\n" for pair in pairs), twice):
        (tmp_path / "a.jsonl").write_text(text)
        assert [story.text for story in open_stories(tmp_path / "a.jsonl")] == [
            f"{k} {TALE}" for k in range(4)
        ]
    (tmp_path / "b.json").write_text(json.dumps(titled))
    assert [story.title for story in open_stories(tmp_path / "b.json")] == list(titled)


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


def test_a_column_of_html_is_no_side_of_the_titles():
    names = ["name", "body_html", "excerpt"]
    table = [dict(zip(names, (f"T{k}", f"<p>{TALE * 9}</p>", TALE), strict=True)) for k in range(9)]
    assert chosen(table) == ("body_html",)


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
            "db": [
                {
                    "meta": {"version": 5},
                    "data": {"posts": [{"text": "a"}, {"text": "b"}], "tags": [], "users": []},
                }
            ]
        },
        {"train": [{"text": "a"}], "test": [{"text": "b"}]},
        json.dumps({"text": "a"}) + "\n" + json.dumps({"text": "b"}),
        "[{'text': 'a'}, {'text': 'b'}]",
        "['a', \"b\"]",
        {
            "kind": "Listing",
            "data": {
                "children": [{"kind": "t3", "data": {"text": "a"}}, {"kind": "t3", "data": {"text": "b"}}]
            },
        },
    ],
)
def test_rows_of_json(wrapped: object):
    text = wrapped if isinstance(wrapped, str) else json.dumps(wrapped, indent=1)
    found = [row for _, value in values_of(io.StringIO(text), "a") for row in rows_of(value)]
    assert [row["text"] for row in found] == ["a", "b"]


@given(st.lists(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=10), min_size=1), st.booleans(), st.integers(1, 40))  # fmt: skip
def test_json_is_read_piece_by_piece(values: list, in_array: bool, size: int):
    """However small the pieces are that a file is read in, its values are the same."""
    text = json.dumps(values, indent=1) if in_array else "\n".join(map(json.dumps, values))
    if not in_array and isinstance(values[0], list):
        values, text = values[0], json.dumps(values[0])
    with mock.patch.object(json_values, "READ_CHARS", size):
        assert [value for _, value in values_of(io.StringIO(text), "a")] == values


def test_a_large_value_is_refused():
    with (
        mock.patch.object(json_values, "READ_CHARS", 8),
        mock.patch.object(json_values, "MAX_VALUE_CHARS", 64),
    ):
        assert len(list(values_of(io.StringIO(json.dumps([{"text": "a" * 40}] * 9)), "a"))) == 9
        with pytest.raises(FabulaError, match="more than 64 characters"):
            list(values_of(io.StringIO(json.dumps({"text": "a" * 200})), "a"))


def test_rows_of_one_story_are_joined(tmp_path: Path):
    sentences = [
        f"Sentence {number} of the tale about the {place}."
        for place in ("quay", "lamp")
        for number in range(5)
    ]
    rows = "".join(f"{number // 5},{number % 5},{text}\n" for number, text in enumerate(sentences))
    (tmp_path / "a.csv").write_text("story_id,number,sentence\n" + rows)
    found = open_stories(tmp_path / "a.csv")
    assert [story.text for story in found] == [" ".join(sentences[:5]), " ".join(sentences[5:])]
    assert "rows with the same 'story_id' joined" in found.description
    jokes = "".join(json.dumps({"genre": "sea", "text": text}) + "\n" for text in sentences)
    (tmp_path / "b.jsonl").write_text(jokes)
    assert len(list(open_stories(tmp_path / "b.jsonl"))) == 10


def test_a_title_only_in_the_first_row_of_a_story(tmp_path: Path):
    """Merged cells of a spreadsheet are empty below the first."""
    lines = [
        f"{title},Paragraph {k} of {place}."
        for place in ("quay", "lamp")
        for k, title in enumerate([place, "", "", ""])
    ]
    (tmp_path / "a.csv").write_text("\n".join(["title,text", *lines]))
    found = [(story.title, story.text.count("\n")) for story in open_stories(tmp_path / "a.csv")]
    assert found == [("quay", 3), ("lamp", 3)]


def test_tables_without_a_telling_name(tmp_path: Path):
    tales = [f"{number} {TALE * (3 + number)}" for number in range(4)]
    tabbed = "".join(f"Title {k}\t{tale}\n" for k, tale in enumerate(tales))
    quoted = "\n\n".join(f'"{tale}\n\nThe end of it."' for tale in tales)
    for text in (tabbed, quoted):
        (tmp_path / "a.txt").write_text(text)
        source = open_stories(tmp_path / "a.txt")
        assert source.plans[0].format == "csv"
        assert [story.text[:40] for story in source] == [tale[:40] for tale in tales]
    (tmp_path / "a.txt").write_text("".join(f"Mara\t{tale}\n" for tale in tales))  # who says it
    assert open_stories(tmp_path / "a.txt").plans[0].format == "text"


@pytest.mark.parametrize("newest_first", [False, True])
def test_messages_are_one_text(tmp_path: Path, newest_first: bool):
    said = [
        f"And then number {number} came up the slip with the lamp in both hands, and sang."
        for number in range(20)
    ]
    log = [
        {"sender_name": "ab"[n % 2], "timestamp_ms": 1600 + n, "content": text} for n, text in enumerate(said)
    ]
    (tmp_path / "m.json").write_text(
        json.dumps({"participants": [{"name": "a"}], "messages": log[:: -1 if newest_first else 1]})
    )
    assert "\n".join(story.text for story in open_stories(tmp_path / "m.json")) == "\n".join(said)


def test_the_days_of_a_channel_are_parts_of_one_text(tmp_path: Path):
    for day in range(3):
        rows = [
            {
                "type": "message",
                "user": f"U{n % 2}",
                "text": f"On day {day} she said line {n}.",
                "ts": f"16{day}{n}.0",
            }
            for n in range(6)
        ]
        joined = {
            "type": "message",
            "subtype": "channel_join",
            "user": "U1",
            "text": "<@U1> has joined",
            "ts": "1.0",
        }
        (tmp_path / "tales").mkdir(exist_ok=True)
        (tmp_path / "tales" / f"2021-03-0{day}.json").write_text(json.dumps([joined, *rows]))
    (tmp_path / "users.json").write_text(
        json.dumps([{"id": "U1", "name": "mara"}, {"id": "U2", "name": "tom"}])
    )
    (tmp_path / "logs.json").write_text("[]")
    source = open_stories(tmp_path)
    assert [(story.book, story.part, story.text.count("\n")) for story in source] == [
        ("tales/", n, 5) for n in (1, 2, 3)
    ]
    assert {one.source for one in source.passed_over} == {"users.json", "logs.json"}


def test_the_posts_of_a_channel_are_stories(tmp_path: Path):
    rows = [
        {"type": "message", "user": f"U{n}", "text": f"On day {n} the tide came in. " * 9, "ts": f"16{n}.0"}
        for n in range(6)
    ]
    joined = {"type": "message", "subtype": "channel_join", "user": "U1", "text": "has joined", "ts": "1.0"}
    (tmp_path / "a.json").write_text(json.dumps([joined, *rows, rows[0] | {"subtype": "thread_broadcast"}]))
    source = open_stories(tmp_path / "a.json")
    assert [story.text for story in source] == [row["text"].strip() for row in [*rows, rows[0]]]


def test_texts_in_runs_with_their_copies(tmp_path: Path):
    texts = [f"On day {n} the tide came in. " * 9 for n in range(6)]
    messages: list[Any] = [{"id": 0, "type": "service", "text": ""}]
    messages += [
        {"id": n, "type": "message", "text": [{"type": "bold", "text": f"Day {n}"}, f"\n\n{text}"]}
        | {"text_entities": [{"type": "bold", "text": f"Day {n}"}, {"type": "plain", "text": f"\n\n{text}"}]}
        for n, text in enumerate(texts)
    ]
    (tmp_path / "result.json").write_text(json.dumps({"name": "Quay", "messages": messages}))
    found = [story.text for story in open_stories(tmp_path / "result.json")]
    assert found == [f"Day {n}\n\n{text.strip()}" for n, text in enumerate(texts)]


def test_a_story_of_koboldai_begins_with_its_prompt(tmp_path: Path):
    saved = {
        "gamestarted": True,
        "prompt": "The tide came in.",
        "memory": "It is set by the sea, and always was.",
    }
    (tmp_path / "a.json").write_text(
        json.dumps(saved | {"actions": ["\n\nThen it went out.", " Nobody saw it."]})
    )
    (story,) = open_stories(tmp_path / "a.json")
    assert story.text == "The tide came in.\n\nThen it went out. Nobody saw it."


def test_json_that_is_nested_in_records(tmp_path: Path):
    chapters = [
        {"n": n, "heading": f"Part {n}", "text": f"In part {n} the tide came in. " * 12} for n in range(6)
    ]
    authors = [
        {
            "name": "A",
            "books": [{"title": "T", "chapters": chapters[:3]}, {"title": "U", "chapters": chapters[3:]}],
        }
    ]
    (tmp_path / "a.json").write_text(json.dumps({"library": {"name": "Quay", "authors": authors}}))
    assert [story.title for story in open_stories(tmp_path / "a.json")] == [f"Part {n}" for n in range(6)]
    pairs = [{"a": one, "b": one | {"text": one["text"].replace("tide", "moon")}} for one in chapters]
    rows = (json.dumps({"id": n, "parts": pairs}) + "\n" for n in range(4))
    (tmp_path / "b.jsonl").write_text("".join(rows))
    with pytest.raises(FabulaError, match="records within records"):
        open_stories(tmp_path / "b.jsonl")


def test_markdown_in_cells(tmp_path: Path):
    cells = [f"# Tale {n}\n\n**She** went *out*.\n\n---\n\nThe tide came." for n in range(4)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"content": cell}) + "\n" for cell in cells))
    assert (
        next(iter(open_stories(tmp_path / "a.jsonl"))).text
        == "Tale 0\n\nShe went out.\n\n* * *\n\nThe tide came."
    )


def test_beginning_middle_and_end_are_asked_about():
    row = {"id": 1, "beginning": "word " * 20, "middle": "word " * 90, "ending": "word " * 16}
    with pytest.raises(FabulaError, match="3 columns hold texts"):
        choose_columns(list(row), [row] * 5, None, "a")
    posts = {"title": "A lamp that nobody in the village lit", "selftext": "", "score": 3}
    with pytest.raises(FabulaError, match="column 'selftext' is empty"):
        choose_columns(list(posts), [posts] * 5, None, "a")


def test_the_three_heads_of_a_survey_are_refused():
    table = 'a,b\n"A name","Your story"\n"{""ImportId"":""1""}","{""ImportId"":""2""}"\nQuay,The fox ran.\n'
    with pytest.raises(FabulaError, match="lines 2 and 3 describe the columns"):
        rows(table)


def test_spaces_after_quoted_fields_are_an_error():
    with pytest.raises(FabulaError, match="quotation mark"):
        rows("id,text\n" + "".join(f'{k},"The fox ran, and ran." \n' for k in range(9)))


def test_lists_of_words_are_refused():
    with pytest.raises(FabulaError, match="lists of words"):
        chosen([{"tokens": ["The", "fox", "ran", "."] * 20}] * 5)


def test_text_without_spaces_is_text():
    assert chosen([{"标题": f"夜{k}", "内容": "海边的老人有一条没有桨的船" * 9} for k in range(4)]) == (
        "内容",
    )


def test_rows_of_a_story_that_are_not_in_order_are_refused():
    table = [{"story_id": k % 3, "paragraph": k // 3, "text": TALE} for k in range(12)]
    with pytest.raises(FabulaError, match="sort the table by story_id, then by paragraph"):
        choose_columns(list(table[0]), table, None, "a")
    table.sort(key=lambda row: (row["story_id"], row["paragraph"]))
    assert choose_columns(list(table[0]), table, None, "a").group == ("story_id",)


def test_rich_text_is_one_story_a_record(tmp_path: Path):
    nodes = [
        {"type": "paragraph", "children": [{"text": "The fox ran "}, {"text": "down"}, {"text": " to it."}]}
    ] * 30
    (tmp_path / "a.json").write_text(json.dumps([{"title": f"T{k}", "body": nodes} for k in range(3)]))
    stories = list(open_stories(tmp_path / "a.json"))
    assert [story.text for story in stories] == ["\n".join(["The fox ran down to it."] * 30)] * 3


def test_the_beginnings_of_the_columns_are_shown():
    rows = [{"a": f"The fox ran {k}. " * 20, "b": f"The gull flew {k}. " * 20} for k in range(9)]
    with pytest.raises(FabulaError, match="2 columns hold texts") as caught:
        chosen(rows)
    assert caught.value.details.count("\n") == 7
    assert "    The gull flew 0. The gull flew 0." in caught.value.details


def test_the_paragraphs_and_the_lines_of_a_book_are_asked_about():
    paragraphs = [f"{TALE} " * (1 + k % 3) if k % 4 else f"“No, not {k},” she said." for k in range(40)]
    lines = [f"down to the quay number {k} and looked at" for k in range(40)]
    long = [f"{'Then' if k % 3 else 'Once'} number {k} came. {TALE * 3}" for k in range(40)]
    for texts in (paragraphs, lines, long):
        table = [{"": k, "line": text} for k, text in enumerate(texts)]
        with pytest.raises(FabulaError, match="paragraphs or lines of one text"):
            chosen(table)
        assert chosen(table, "line") == ("line",)
    jokes = [{"": k, "joke": f"The fox ran {k}. It was late."} for k in range(40)]
    assert chosen(jokes) == ("joke",)


def test_pages_of_a_story_are_joined_where_they_end_within_a_sentence():
    page = "The fox ran down to the quay, and looked at the boats, " * 3 + "and"
    value = [
        {"page_no": 1, "text": page},
        {"page_no": 2, "text": "then it slept."},
        {"page_no": 3, "text": "Ann came."},
    ]
    assert plain_text(value, find_format([value])) == f"{page} then it slept.\nAnn came."


def test_the_sections_of_a_book_are_its_chapters(tmp_path: Path):
    sections = [
        {"heading": f"Part {k}", "paragraphs": [{"type": "p", "text": f"The fox ran {k}. " * 30}] * 2}
        for k in range(4)
    ]
    (tmp_path / "a.json").write_text(json.dumps({"title": "Quay", "sections": sections}))
    stories = list(open_stories(tmp_path / "a.json"))
    assert [(story.title, story.part) for story in stories] == [(f"Part {k}", k + 1) for k in range(4)]


@pytest.mark.parametrize("is_record", [False, True])
def test_chapters_may_be_named_or_numbered_in_an_object(tmp_path: Path, is_record: bool):
    chapters = [f"{TALE * 6} It was day {number}." for number in range(6)]

    def named(own: list[str]) -> dict[str, object]:
        if is_record:
            return {str(k): {"title": f"Chapter {k}", "content": text} for k, text in enumerate(own, 1)}
        return {f"Chapter {k}": text for k, text in enumerate(own, 1)}

    books = [{"title": "T", "chapters": named(chapters[:2])}, {"title": "U", "chapters": named(chapters[2:])}]
    (tmp_path / "a.json").write_text(json.dumps(books))
    stories = list(open_stories(tmp_path / "a.json"))
    assert [story.text for story in stories] == chapters
    assert [story.title for story in stories][:2] == ["Chapter 1", "Chapter 2"]


def test_json_that_is_cut_short():
    for text in ('[{"text": "a"},', '[{"text": "a"', '[{"text": "a'):
        with pytest.raises(FabulaError, match="incomplete"):
            list(values_of(io.StringIO(text), "a"))


def test_scenes_with_the_name_of_a_table_and_commas_in_the_first_line(tmp_path: Path):
    scenes = [
        f"Well, well, said the tide {k}, and nobody, not even Ann, answered.\n\n{TALE * 9}" for k in range(5)
    ]
    (tmp_path / "a.csv").write_text("\n\n* * *\n\n".join(scenes))
    assert [story.text for story in open_stories(tmp_path / "a.csv")] == scenes


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_book_with_the_name_of_a_table_is_a_book(tmp_path: Path, name: str):
    chapters = [f'{TALE * 6}\n\n"Wait, {number}," she said; "wait. {TALE}' for number in range(4)]
    text = "\n\n".join(f"CHAPTER {number}\n\n{chapter}" for number, chapter in enumerate(chapters, 1))
    licence = "*** {} OF THE PROJECT GUTENBERG EBOOK TALES, BY A. WRITER ***"
    for book in (text, f"\ufeffThe Project Gutenberg eBook of Tales, by A. Writer\n\n{licence.format('START')}\n\n{text}\n\n{licence.format('END')}\n"):  # fmt: skip
        (tmp_path / name).write_text(book, encoding="utf-8")
        assert [story.text for story in open_stories(tmp_path / name)] == chapters


def test_chapters_in_the_cells_of_a_table_do_not_make_it_a_book(tmp_path: Path):
    chapters = [f"CHAPTER {number}\n\n{TALE}\n\nCHAPTER {number + 1}\n\n{TALE}" for number in range(4)]
    with (tmp_path / "a.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([["1", f"\n{chapter}\n"] for chapter in chapters])
    assert "CSV" in open_stories(tmp_path / "a.csv").description

"""Finds the columns of a table that hold the story, its title and its split, by their names and contents."""

import itertools
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median
from typing import Any

from fabula.corpus.splitting.score import are_paragraphs
from fabula.corpus.tables.values import FieldFormat, decoded, find_format, plain_text, words
from fabula.errors import FabulaError, did_you_mean

TEXT_COLUMNS = (
    "text", "story", "content", "body", "selftext", "document", "completion", "output", "story_text", "full_text",
    "storytext", "fulltext", "chapter_text", "chapter_content", "response", "messages", "conversations", "conversation",
    "chapters", "paragraphs", "sentences", "lines", "post", "post_text", "article", "poem", "lyrics", "lyric", "answer",
    "target", "texte", "texto", "testo", "tekst", "inhalt", "geschichte", "historia", "histoire", "cuento", "storia",
    "текст", "рассказ", "история", "正文", "内容", "故事", "文本", "本文", "物語", "テキスト", "본문", "내용",
)  # fmt: skip
"""Usual names of the column with the story; the first one that holds prose is chosen."""

TITLE_COLUMNS = (
    "title", "name", "subject", "storytitle", "story_title", "chapter_title", "book_title", "headline", "heading", "titel", "titre",
    "titulo", "título", "titolo", "tytuł", "название", "заголовок", "标题", "題名", "タイトル", "제목",
)  # fmt: skip

_SIDE = re.compile(
    r"(?:^|[\W_])(?:prompt|instruction|input|question|summary|abstract|description|desc|notes?|about|bio|tags?|synopsis|blurb"
    r"|author|url|link|comments?|system|context|keywords?|genres?|categor(?:y|ies)|embedding|tokens?|input_ids|html|raw|reason\w*"
    r"|review|critique|feedback|metadata|meta|excerpt|teaser|preview)(?:$|[\W_])",
    re.IGNORECASE,
)
"""Columns next to the story: never chosen over another column with prose."""

_PART = re.compile(
    r"(sentence|paragraph|para|line|part|chapter|section|scene|stanza|verse|page)s?[\s_-]*(\d+)",
    re.IGNORECASE,
)
_SENTENCE = re.compile(r"[.!?…。！？][”’\"')\]]*\s*$")


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns that are read.

    Attributes:
        text: columns of the story's text; several are joined.
        title, split, prompt: names, or "" where there is none.
        formats: how the text of each column in `text` is written.
        unused: columns with prose that are not read.
        joint: the separator between the texts of several columns.
        marks: markers at the beginning and at the end of every text that are no part of the story ("<s>", "END"), or "".
        group: columns whose equal values mark the rows of one story (a sentence or paragraph a row); () if all rows are
            one text; None if each row is a story.
        typical_words: the typical number of words of a text.
    """

    text: tuple[str, ...] = ()
    title: str = ""
    split: str = ""
    formats: tuple[FieldFormat, ...] = ()
    unused: tuple[str, ...] = ()
    marks: tuple[str, str] = ("", "")
    joint: str = "\n"
    prompt: str = ""
    group: tuple[str, ...] | None = None
    typical_words: float = 0.0

    @property
    def is_log(self) -> bool:
        """Whether the texts are messages that people wrote to each other, which make one text."""
        return self.group == () or self.formats == ("log",)

    @property
    def names(self) -> list[str]:
        """Names of all columns that are read."""
        return [
            name for name in (*self.text, self.title, self.split, self.prompt, *(self.group or ())) if name
        ]

    def describe(self) -> str:
        names = [repr(name) for name in self.text]
        if len(names) > 3:
            named = f"text in columns {names[0]} to {names[-1]}, joined"
        elif len(names) > 1:
            named = f"text in columns {', '.join(names)}, joined"
        else:
            named = f"text in column {', '.join(names)}"
        named += f", prompts in column {self.prompt!r}" if self.prompt else ""
        if self.group:
            named += f", rows with the same {' and '.join(map(repr, self.group))} joined"
        elif self.is_log:
            named += ", messages joined to one text"
        return named + (f", not in {', '.join(map(repr, self.unused))}" if self.unused else "")


NO_COLUMNS = Columns()


class NoText(FabulaError):
    """A table in which nothing can be a story."""


_KEY = re.compile(r"[a-z]+(?:_(?:id|no|num|number|index|title|name)| (?:id|no|num))", re.IGNORECASE)


def looks_like_header(rows: Sequence[Sequence[str]]) -> bool:
    """Whether the first row of a table names its columns."""
    first = [value.strip().lstrip("\ufeff") for value in rows[0]]
    if not any(first) or len(set(filter(None, first))) < len(list(filter(None, first))):
        return False
    if any(len(value) > 60 or len(value.split()) > 6 or "\n" in value for value in first):
        return False
    known = {*TEXT_COLUMNS, *TITLE_COLUMNS, "id", "split", "author", "date", "url", "index"}
    if any(value.casefold() in known or _KEY.fullmatch(value) for value in first):
        return True
    if any(_SENTENCE.search(value) or re.fullmatch(r"[\d.,:/-]+", value) for value in first):
        return False
    below = rows[1:200]
    longest = [max((len(value) for value in column), default=0) for column in zip(*below, strict=False)]
    return any(len(name) * 3 < length and length > 40 for name, length in zip(first, longest, strict=False))


def choose_columns(
    names: Sequence[str],
    rows: Sequence[dict[str, Any]],
    column: str | None,
    where: str,
    prompt: str | None = None,
) -> Columns:
    """The columns of a table, from a sample of its rows; `column` is the one that the user named (or several, separated
    by commas), and `prompt` that of the prompts, if there is one.

    Raises:
        FabulaError: no column holds text, there is no such column, or only the user can say which one is the story.
    """
    if prompt is not None:
        if prompt not in names:
            raise FabulaError(f"no column {prompt!r}", where=where, hint=did_you_mean(prompt, names))
        others = [name for name in names if name != prompt]
        return replace(choose_columns(others, rows, column, where), prompt=prompt)
    text = _named(names, column, where) if column is not None else _found(names, rows, where)
    values = {name: [row[name] for row in rows if row.get(name) not in (None, "")] for name in names}
    folded = {_bare(name): name for name in reversed(names)}
    title = next((folded[name] for name in TITLE_COLUMNS if name in folded and folded[name] not in text), "")
    split = folded.get("split", "")
    formats: tuple[FieldFormat, ...] = tuple(
        "markdown" if _bare(name) in ("markdown", "md") else find_format(values.get(name, []))
        for name in text
    )
    unused = (
        []
        if column is not None
        else [name for name in names if name not in (*text, title) and _typical(values[name]) >= 12]
    )
    beginnings, ends = (
        [plain_text(value, formats[place]) for value in values.get(text[place], [])] for place in (0, -1)
    )
    typical = sum(_typical(values.get(name, [])) for name in text)
    group = (
        _find_group(names, rows, text, typical, where)
        if len(text) == 1 and formats[0] in ("plain", "html")
        else None
    )
    by_sentence = "sentence" in text[0].lower() and (len(text) > 1 or group is not None)
    _check_nested(values, text, formats, where)
    is_bare = column is None and group is None and not title and formats == ("plain",)
    if is_bare and are_paragraphs(beginnings):
        named = "".join(text)
        what = (
            f"the rows look like the paragraphs or lines of one text, and not like stories (column {named!r})"
        )
        hint = f"save them as a text file; or add --column {shlex.quote(named)} if each row is a story"
        raise FabulaError(what, where=where, hint=hint)
    return Columns(
        text,
        title if not group or title in group else "",
        "" if split in text else split,
        formats,
        tuple(unused),
        (_common_mark(_START_MARK, beginnings), _common_mark(_END_MARK, ends)),
        " " if by_sentence else "\n",
        group=group,
        typical_words=typical,
    )


_FEW_WORDS = 40
"""Rows with fewer words may be parts of a story: sentences, paragraphs or messages."""

_GROUP = re.compile(
    r"(?:story|tale|chapter|book|doc(?:ument)?|text|page|poem|work|thread|title|scene|fic|novel|article)s?(?:$|[\W_]*(?:id|no|num|number|nr|key|name|title|index|idx)$)",
    re.IGNORECASE,
)
_TIME = {
    "ts", "timestamp", "timestamp_ms", "date", "time", "created_at", "send_date", "sent_at", "datetime", "sent",
}  # fmt: skip
_SPEAKER = {
    "user", "author", "sender", "name", "from", "username", "sender_name", "nick", "speaker", "author_name",
}  # fmt: skip
_MESSAGE = {"text", "content", "message", "mes", "msg", "body"}
_OF_POSTS = {"title", "subreddit", "score", "permalink", "link_id", "likes", "rating"}


def _find_group(
    names: Sequence[str], rows: Sequence[dict[str, Any]], text: tuple[str, ...], typical: float, where: str
) -> tuple[str, ...] | None:
    """The columns that tell which rows make one story; see `Columns.group`.

    Raises:
        FabulaError: the rows of a story are not in order.
    """
    order = next((name for name in names if name not in text and _ORDER.search(_bare(name))), "")
    if (typical >= _FEW_WORDS and not order) or len(rows) < 4:
        return None
    bare = {_bare(name) for name in names} if typical < _FEW_WORDS else set[str]()
    speaker = next((name for name in names if _bare(name) in _SPEAKER), "")
    if bare & _TIME and speaker and _bare(text[0]) in _MESSAGE and not bare & _OF_POSTS:
        speakers = {str(row[speaker]) for row in rows if row.get(speaker)}
        is_message = sum(row.get("type") == "message" for row in rows) > 0.9 * len(rows)
        if 2 <= len(speakers) <= len(rows) / 3 or is_message:
            return ()
    found = []
    for name in names:
        if name in text or name == order or not _GROUP.fullmatch(_bare(name)):
            continue
        values = [row.get(name) for row in rows]
        if order and 3 * len({str(value) for value in values}) <= len(rows):
            _check_order(rows, name, order, where)
        runs = 1 + sum(
            here != after and after not in (None, "") for here, after in itertools.pairwise(values)
        )
        if (2 if order else 3) * runs <= len(rows):  # so many rows or more with each value
            found.append(name)
    return tuple(found) or None


_ORDER = re.compile(r"^(?:paragraph|para|sentence|line|chunk|segment)s?_?(?:id|no|num|number|nr|index|idx)?$")
"""The number of a row in its story."""


def _check_order(rows: Sequence[dict[str, Any]], group: str, order: str, where: str) -> None:
    """
    Raises:
        FabulaError: rows with the same value in the column `group` are not together, or not by rising numbers in `order`.
    """
    places = [(str(row.get(group)), str(row.get(order)).strip()) for row in rows]
    if not all(number.isdecimal() for _, number in places):
        return
    runs = [
        [int(number) for _, number in run] for _, run in itertools.groupby(places, key=lambda one: one[0])
    ]
    is_parted = len(runs) > len({key for key, _ in places})
    if is_parted or any(numbers != sorted(numbers) for numbers in runs):
        what = f"the rows of each {group!r} are not together, by their {order!r}"
        hint = f"sort the table by {group}, then by {order}"
        raise FabulaError(what, where=where, hint=hint)


def _check_nested(
    values: Mapping[str, list[Any]], text: tuple[str, ...], formats: Sequence[FieldFormat], where: str
) -> None:
    """
    Raises:
        FabulaError: cells hold records within records, of which most of the text would be lost.
    """
    for name, format in zip(text, formats, strict=True):
        cells = [decoded(value) for value in values.get(name, [])[:50]]
        lists = [cell for cell in cells if isinstance(cell, list | dict)]
        if format == "messages" or not lists:
            continue
        if format == "list":
            _check_alike(lists, name, where)
        there = sum(words(text) for cell in lists for text in set(_strings(cell)))
        if sum(words(plain_text(cell, format)) for cell in lists) < 0.5 * there:
            raise FabulaError(
                f"column {name!r} holds records within records, of which most would be lost",
                where=where,
                hint="save the stories as JSON Lines, an object with the text of a story a line",
            )


def _check_alike(lists: Sequence[Any], name: str, where: str) -> None:
    """
    Raises:
        FabulaError: the lists are no paragraphs but fields without names, such as a prompt and a story.
    """
    items = [item for cell in lists for item in cell if isinstance(item, str)]
    if len(items) > 30 * len(lists) and sum(" " not in item.strip() for item in items) > 0.95 * len(items):
        hint = "name the column with the text that they were made from, or save the text itself"
        raise FabulaError(f"column {name!r} holds lists of words (tokens), not text", where=where, hint=hint)
    size = len(lists[0])
    if len(lists) < 3 or not 2 <= size <= 5 or any(len(cell) != size for cell in lists):
        return
    typical = [
        median(words(cell[place]) for cell in lists if isinstance(cell[place], str))
        for place in range(size)
        if isinstance(lists[0][place], str)
    ]
    if len(typical) > 1 and max(typical) > 4 * min(typical) and max(typical) >= _FEW_WORDS:
        what = f"column {name!r} holds lists of {size} texts of different kinds"
        raise FabulaError(
            what,
            where=where,
            hint='save them as JSON objects that name each: {"prompt": "...", "story": "..."}',
        )


def _strings(value: Any) -> Iterator[str]:
    """All texts in a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _strings(inner)


def _bare(name: str) -> str:
    """A column's name in the form of the lists above; for a column from inside an object, the last part."""
    return name.strip().rpartition(".")[2].casefold().replace(" ", "_").replace("-", "_")


def _named(names: Sequence[str], column: str, where: str) -> tuple[str, ...]:
    chosen = [column] if column in names else [part.strip() for part in column.split(",")]
    for one in chosen:
        if one not in names:
            raise FabulaError(f"no column {one!r}", where=where, hint=did_you_mean(one, names))
    return tuple(chosen)


def _found(names: Sequence[str], rows: Sequence[dict[str, Any]], where: str) -> tuple[str, ...]:
    lengths = {
        name: _typical([row.get(name) for row in rows if row.get(name) not in (None, "")]) for name in names
    }
    prose = {name: length for name, length in lengths.items() if length > 0}
    if not prose:
        named = [name for known in TEXT_COLUMNS for name in names if _bare(name) == known]
        if named and any(row.get(named[0]) for row in rows):
            return (named[0],)
        raise NoText("no column holds text", where=where, hint=f"columns: {', '.join(names)}")
    if parts := _numbered(names, prose):
        return parts
    longest = max(prose.values())
    usual = [
        name for known in TEXT_COLUMNS for name in names if name.strip().casefold() == known and name in prose
    ]
    for name in usual:
        rivals = [other for other in prose if other not in usual and not _SIDE.search(other)]
        if prose[name] >= 0.25 * max((prose[rival] for rival in rivals), default=0) or prose[name] >= longest:
            return (name,)
    empty = [name for known in TEXT_COLUMNS for name in names if _bare(name) == known and name not in prose]
    best = max(prose, key=lambda name: prose[name])
    if empty and _bare(best) in TITLE_COLUMNS:
        raise NoText(
            f"column {empty[0]!r} is empty", where=where, hint=f"to read titles, add --column {best}"
        )
    main = {name: length for name, length in prose.items() if not _SIDE.search(name)}
    if max(main.values(), default=0) < min(_FEW_WORDS, 0.1 * longest):  # only titles are left
        main = prose
    ordered = sorted(main, key=lambda name: -main[name])
    beside = [name for name in ordered[1:] if _bare(name) not in TITLE_COLUMNS]
    if beside and main[beside[0]] >= max(8, 0.15 * main[ordered[0]]):
        near = [ordered[0], *(name for name in beside if main[name] >= max(8, 0.15 * main[ordered[0]]))]
        both = shlex.quote(",".join(name for name in names if name in near))
        hint = f"name one with --column {shlex.quote(near[0])}, or several to join with --column {both}"
        what = f"{len(near)} columns hold texts ({', '.join(near[:6])})"
        raise FabulaError(what, where=where, hint=hint, details="\n".join(_beginnings(near, rows)))
    return (ordered[0],)


def _beginnings(names: Sequence[str], rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """For each column its name and the beginnings of its first three texts, for the user to choose."""
    for name in names[:6]:
        yield f"--column {shlex.quote(name)}:"
        for value in [row[name] for row in rows if row.get(name) not in (None, "")][:3]:
            text = " ".join(plain_text(value, find_format([value])).split())
            yield f"    {text[:90]}{'...' if len(text) > 90 else ''}  ({words(text):,} words)"


def _typical(values: Sequence[Any]) -> float:
    """The typical number of words of a column's texts; 0 if it has no text (numbers, dates, links)."""
    texts = [plain_text(value, find_format([value])) for value in values[:200]]
    texts = [
        text
        for text in texts
        if text.strip() and not re.fullmatch(r"\s*(https?://\S+|[\d\W_]+|[!-~]{16,})\s*", text)
    ]
    if len(texts) < 0.5 * len(values[:200]):
        return 0.0
    counts = sorted(words(text) for text in texts)
    return float(median(counts[len(counts) // 2 :])) if counts else 0.0


def _numbered(names: Sequence[str], prose: dict[str, float]) -> tuple[str, ...]:
    """Columns such as sentence1 to sentence5, which are one story."""
    groups: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if name in prose and (found := _PART.fullmatch(name.strip())):
            groups.setdefault(found[1].lower(), []).append((int(found[2]), name))
    for parts in groups.values():
        parts.sort()
        numbers = [number for number, _ in parts]
        together = sum(prose[name] for _, name in parts)
        others = [length for name, length in prose.items() if name not in {part for _, part in parts}]
        consecutive = len(parts) >= 2 and numbers == list(range(numbers[0], numbers[0] + len(numbers)))
        if consecutive and together >= max(others, default=0):
            return tuple(name for _, name in parts)
    return ()


_END_MARK = re.compile(
    r"(?:\s|(?<=[.!?…\"”]))([\[<(#*|]{0,3}(?:END|STOP|EOS|EOT|DONE)[\])>#*|]{0,3}|#{3,}|<\|?[\w/]+\|?>|-{3,})\s*$"
)

_START_MARK = re.compile(r"\A\s*(<\|?\w+\|?>|\[[A-Z]{2,}\])")


def _common_mark(form: re.Pattern[str], texts: Sequence[str]) -> str:
    """The marker at the beginning or at the end of all texts, as in files made for a fine-tuning service."""
    found = [match[1].strip() for text in texts if (match := form.search(text))]
    if len(texts) < 3 or len(found) < 0.95 * len(texts) or len(set(found)) != 1:
        return ""
    mark = found[0]
    return "" if any(re.search(rf"(?i)\bthe\s+{re.escape(mark)}\s*$", text) for text in texts) else mark

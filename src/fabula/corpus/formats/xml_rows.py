"""XML: feeds, exports of blogs and notes, TEI, and other files, with one story for each recurring element."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from fabula.corpus.formats.base import FilePlan, ReadingLog, Sample
from fabula.corpus.formats.rows import Row, RowFormat
from fabula.corpus.lines import FileRange

_LINES = {"p", "para", "paragraph", "l", "lg", "v", "line", "sentence", "s", "sp", "ab", "stanza", "verse"}
"""Elements that are parts of a text, not records."""

_BREAKS = _LINES | {"div", "section", "head", "title", "li", "br", "lb", "quote", "q", "stage", "speaker"}
_TITLES = ("head", "title", "name", "heading")


class Xml(RowFormat):
    name = "xml"
    description = "XML, one story a record"
    unit = "row"

    def detect(self, sample: Sample) -> bool:
        head = sample.head[:400].replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")
        return head.startswith((b"<?xml", b"<rss", b"<feed", b"<TEI")) or (
            sample.suffix == ".xml" and head.startswith(b"<")
        )

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        from fabula.corpus.documents.xml import parse_xml

        records = _records(parse_xml(plan.read_bytes(), plan.name))
        posts = [one for one in records if any(term.endswith("#post") for term in _kinds(one))]
        for number, element in enumerate(posts or records, 1):  # Blogger also exports comments and settings
            row = _row(element)
            if row.get("post_type", "post") in ("post", "page"):  # WordPress also exports images and menus
                yield number, row


def _kinds(element: Any) -> list[str]:
    """The categories of an entry in an Atom feed."""
    return [
        child.get("term", "") for child in element if child.tag == "{http://www.w3.org/2005/Atom}category"
    ]


def _records(root: Any) -> list[Any]:
    """The elements with one story each: from the root downwards, the kind of element with most of the text, as soon as
    there are several; the last single element if there never are."""
    from fabula.corpus.documents.xml import tag

    current = root
    while True:
        sizes: Counter[str] = Counter()
        for child in current:
            sizes[tag(child)] += sum(len(text) for text in child.itertext())
        name, size = sizes.most_common(1)[0] if sizes else ("", 0)
        if name in _LINES or size < 0.5 * sizes.total() or not size:
            return [current]
        found = [child for child in current if tag(child) == name]
        inner = [child for one in found for child in one if tag(child) == name]
        if len(found) > 1 and len(inner) < 2 * len(found):
            return found
        if len(found) > 1:  # parts of a book, which contain its chapters
            return inner
        if not any(tag(child) for child in found[0]):
            return [current]
        current = found[0]


def _row(element: Any) -> dict[str, Any]:
    """A record's attributes and its children's texts, by name. If children of one name recur, like paragraphs, they are
    joined as its "text"."""
    from fabula.corpus.documents.xml import tag

    row: dict[str, Any] = {name.rpartition("}")[2]: value for name, value in element.attrib.items()}
    children = [child for child in element if tag(child)]
    times = Counter(map(tag, children))
    if not children or any(times[name] > 1 for name in times if name in _BREAKS):
        title = next((child for child in children if tag(child) in _TITLES), None)
        if title is not None:
            row["title"] = " ".join("".join(title.itertext()).split())
        return row | {"text": _text(element, title)}
    for child in children:
        twice = any(other is not child and tag(other) == tag(child) for other in children)
        name = f"{child.prefix}:{tag(child)}" if twice and child.prefix else tag(child)
        row.setdefault(name, _text(child, None))
    if "description" in row and not row.keys() & {"encoded", "content:encoded", "content", "text", "body"}:
        row["text"] = row.pop("description")  # of a feed
    return row


def _text(element: Any, title: Any) -> str:
    """The text in an element except its `title`; a newline between paragraphs."""
    from fabula.corpus.documents.xml import tag

    if not len(element):
        return element.text or ""
    parts: list[str] = []

    def walk(one: Any) -> None:
        if one is title:
            return
        is_break = tag(one) in _BREAKS
        parts.append("\n" if is_break else "")
        parts.append(" ".join(one.text.split()) + " " * one.text[-1:].isspace() if one.text else "")
        for child in one:
            walk(child)
            if child.tail:
                before, after = child.tail[:1].isspace(), child.tail[-1:].isspace()
                parts.append(
                    " " * before + " ".join(child.tail.split()) + " " * (after and bool(child.tail.strip()))
                )
        parts.append("\n" if is_break else "")

    walk(element)
    lines = (" ".join(line.split()) for line in "".join(parts).split("\n"))
    return "\n".join(line for line in lines if line)

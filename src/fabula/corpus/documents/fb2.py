"""FictionBook 2 (.fb2): one XML file with the book's parts as sections."""

from fabula.corpus.documents.document import Collector, Document
from fabula.corpus.documents.xml import Element, attribute, child, children, parse_xml, tag
from fabula.errors import FabulaError

_MAX_LEVEL = 9


def read_fb2(data: bytes, name: str) -> Document:
    """The blocks of a FictionBook: the main body, without description, notes and pictures."""
    root = parse_xml(data, name)
    bodies = list(children(root, "body"))
    if tag(root) != "FictionBook" or not bodies:
        raise FabulaError("this is not a FictionBook with a body", where=name)
    collector = Collector()
    for body in bodies:
        if attribute(body, "name") in ("notes", "comments", "footnotes"):
            collector.leave_out(_text(body), "footnote")
        else:
            _section(body, 1, collector)
    title = child(root, "description", "title-info", "book-title")
    return collector.document((title.text or "") if title is not None else "")


def _section(section: Element, level: int, collector: Collector) -> None:
    for element in section:
        name = tag(element)
        if name == "section":
            _section(element, min(level + 1, _MAX_LEVEL), collector)
        elif name == "title":
            collector.heading(" ".join(_text(element).split()), level)
        elif name in ("subtitle", "p", "text-author"):
            collector.paragraph(_text(element), ("subtitle",) if name == "subtitle" else None)
        elif name == "empty-line":
            collector.paragraph("")
        elif name == "stanza":
            collector.paragraph("\n".join(_text(verse).strip() for verse in element))
        elif name == "annotation":
            collector.leave_out(_text(element), "front_matter")
        elif name in ("epigraph", "poem", "cite", "table", "tr"):
            _section(element, level, collector)
        elif name in ("td", "th", "date"):
            collector.paragraph(_text(element))


def _text(element: Element) -> str:
    """The text of an element without note marks; a space between paragraphs."""
    parts = [element.text or ""]
    for inner in element:
        if not (tag(inner) == "a" and attribute(inner, "type") == "note"):
            parts.append(_text(inner))
        parts.append(" " if tag(inner) == "p" else "")
        parts.append(inner.tail or "")
    return (
        " ".join("".join(parts).split()) if tag(element) in ("p", "v", "subtitle", "td") else "".join(parts)
    )

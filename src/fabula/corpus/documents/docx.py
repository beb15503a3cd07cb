"""Word's .docx (Office Open XML, ISO/IEC 29500-1), as Word, Google Docs, LibreOffice and Scrivener write it."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from fabula.corpus.documents.document import OWN_STYLE, Collector, Document, Look, story_rows
from fabula.corpus.documents.package import Package, resolve
from fabula.corpus.documents.xml import Element, attribute, child, children, integer, parse_xml, tag
from fabula.errors import FabulaError

_SKIPPED = {"pPr", "rPr", "sectPr", "tblPr", "instrText", "del", "moveFrom", "Fallback", "sdtPr", "sdtEndPr"}
_OFF = {"0", "false", "off", "none"}
_HEADING = re.compile(r"heading (\d)")
_LEFT_OUT = re.compile(
    r"(toc (?:\d|heading)|table of figures|index \d)|(footnote text|endnote text)|(header|footer)"
)


def read_docx(data: bytes, name: str) -> Document:
    """The blocks of a .docx: the text after all tracked changes are accepted, without notes and comments."""
    package = Package(data, name)
    part = _main_part(package, name)
    root = parse_xml(package.read(part), name)
    body = child(root, "body")
    if body is None:
        raise FabulaError("this document is damaged (it has no body)", where=name)
    reader = _Reader(_styles(package, part, name))
    reader.read(body)
    return reader.collector.document(_title(package, name))


def _main_part(package: Package, name: str) -> str:
    for relation in parse_xml(package.read("_rels/.rels"), name) if "_rels/.rels" in package else ():
        if relation.get("Type", "").endswith("/officeDocument"):
            return relation.get("Target", "").lstrip("/")
    return "word/document.xml"


def _title(package: Package, name: str) -> str:
    part = "docProps/core.xml"
    found = child(parse_xml(package.read(part), name), "title") if part in package else None
    return (found.text or "") if found is not None else ""


@dataclass(frozen=True, slots=True)
class _Style:
    """The properties that a style gives its paragraphs; None for those that it inherits."""

    name: str = ""
    based_on: str = ""
    level: int | None = None
    bold: bool | None = None
    centred: bool | None = None
    size: float | None = None
    break_before: bool | None = None


_INHERITED = ("level", "bold", "centred", "size", "break_before")


def _styles(package: Package, main: str, name: str) -> dict[str, _Style]:
    """Styles by id, with what they inherit; "" is the default one."""
    part = resolve(main, "styles.xml")[0]
    if part not in package:
        return {"": _Style()}
    root = parse_xml(package.read(part), name)
    plain: dict[str, _Style] = {}
    default = ""
    for style in children(root, "style"):
        if attribute(style, "type") != "paragraph":
            continue
        key = attribute(style, "styleId")
        if attribute(style, "default") not in ("", *_OFF):
            default = key
        based_on, label = child(style, "basedOn"), child(style, "name")
        plain[key] = _Style(
            name=(attribute(label, "val") if label is not None else key).lower(),
            based_on=attribute(based_on, "val") if based_on is not None else "",
            **_format(child(style, "pPr"), child(style, "rPr")),
        )
    styles = {key: _inherit(key, plain) for key in plain}
    styles[""] = styles.get(default, _Style())
    return styles


def _inherit(key: str, plain: dict[str, _Style]) -> _Style:
    style, seen = plain[key], {key}
    while style.based_on in plain and style.based_on not in seen:
        below = plain[style.based_on]
        seen.add(style.based_on)
        # A style that is based on "heading 1" is for chapter headings too, whatever its name.
        name = below.name if _HEADING.fullmatch(below.name) and style.level is None else style.name
        style = _Style(name, below.based_on, *(_first(style, below, field) for field in _INHERITED))
    return style


def _first(style: _Style, below: _Style, field: str):
    value = getattr(style, field)
    return getattr(below, field) if value is None else value


def _format(paragraph: Element | None, run: Element | None) -> dict:
    outline, align = child(paragraph, "outlineLvl"), child(paragraph, "jc")
    size, before = child(run, "sz"), child(paragraph, "pageBreakBefore")
    return {
        "level": None if outline is None else integer(outline, "val", 9),
        "bold": _is_on(child(run, "b")),
        "centred": attribute(align, "val") == "center" if align is not None else None,
        "size": _number(attribute(size, "val")) if size is not None else None,
        "break_before": _is_on(before),
    }


def _is_on(element: Element | None) -> bool | None:
    return None if element is None else attribute(element, "val") not in _OFF


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


@dataclass(slots=True)
class _Paragraph:
    """A paragraph while its runs are read; `num_bold` counts its bold letters, `size` is their size."""

    texts: list[str]
    breaks_page: bool = False
    has_rule: bool = False
    num_bold: int = 0
    size: float = 0.0


class _Reader:
    def __init__(self, styles: dict[str, _Style]) -> None:
        self.collector = Collector()
        self._styles = styles
        self._joined: list[str] = []
        self._num_bare = 0  # headings that are only a number of Word's

    def read(self, parent: Element) -> None:
        for element in parent:
            name = tag(element)
            if name == "p":
                self._paragraph(element)
            elif name == "sdt" and _is_contents(element):
                text = "\n".join("".join(p.itertext()) for p in element.iter() if tag(p) == "p")
                self.collector.leave_out(text, "contents")
            elif name == "tbl":
                self._table(element)
            elif name not in _SKIPPED:
                self.read(element)

    def _table(self, element: Element) -> None:
        """Read a table: a story a row under the text of the other cells, or else all cells in order."""
        cells = [list(children(row, "tc")) for row in children(element, "tr")]
        texts = [[" ".join(part for part in cell.itertext()) for cell in row] for row in cells]
        stories = story_rows(texts)
        for number, (row, text) in enumerate(zip(cells, texts, strict=True)):
            if number in stories:
                title, place = stories[number]
                self.collector.heading(title, 2)
                self.read(row[place])
            elif stories:
                self.collector.leave_out(" ".join(text), "front_matter")
        if not stories:
            for inner in element:
                self.read(inner)

    def _paragraph(self, element: Element) -> None:
        properties = child(element, "pPr")
        chosen = child(properties, "pStyle")
        style = self._styles.get(attribute(chosen, "val") if chosen is not None else "", self._styles[""])
        own = _Style("", "", **_format(properties, None))
        found = _Paragraph(self._joined)
        self._joined = []
        boxes = list(self._runs(element, found, bool(style.bold), style.size or 22.0))
        if (
            child(properties, "rPr", "del") is not None
        ):  # its end was deleted, so the next paragraph continues it
            self._joined = found.texts
            return
        text = "".join(found.texts)
        if found.breaks_page or _first(own, style, "break_before"):
            self.collector.divider()
        kind, level = self._kind(own, style)
        if kind == "heading" and not text.strip() and child(properties, "numPr") is not None:
            self._num_bare += 1  # Word shows the number alone
            text = str(self._num_bare)
        if kind == "heading":
            self.collector.heading(text, level)
        elif kind:
            self.collector.leave_out(text, kind)
        elif (found.has_rule or child(properties, "pBdr") is not None) and not text.strip():
            self.collector.divider()
        else:
            look = self._look(found, own, style, text)
            if look is None and (chosen is not None or child(properties, "numPr") is not None):
                look = OWN_STYLE, attribute(chosen, "val") if chosen is not None else ""
            self.collector.paragraph(text, look)
        for box in boxes:
            self.read(box)

    def _kind(self, own: _Style, style: _Style) -> tuple[str, int]:
        """("heading", its level), ("", 0) for a plain paragraph, or the reason to leave it out."""
        if left_out := _LEFT_OUT.match(style.name):
            return ("contents", "footnote", "running_head")[(left_out.lastindex or 1) - 1], 0
        if style.name == "title":
            return "heading", 1
        if named := _HEADING.match(style.name):
            return "heading", int(named[1]) + 1
        level = _first(own, style, "level")
        return ("heading", level + 2) if level is not None and level < 9 else ("", 0)

    def _look(self, found: _Paragraph, own: _Style, style: _Style, text: str) -> Look | None:
        """The format of a paragraph that looks like a heading; None for others."""
        usual = self._styles[""]
        bold = found.num_bold >= len(text.strip()) and not usual.bold
        centred = bool(_first(own, style, "centred")) and not usual.centred
        larger = found.size > 1.1 * (usual.size or 22.0)
        if style.name != usual.name and style.name.startswith(("subtitle", "quote", "intense")):
            return None
        return (style.name, bold, centred, found.size) if bold or centred or larger else None

    def _runs(self, parent: Element, found: _Paragraph, bold: bool, size: float) -> Iterator[Element]:
        """Add the text of a paragraph's runs to `found`. Yields text boxes, which are separate from it."""
        for element in parent:
            name = tag(element)
            if name == "t":
                text = element.text or ""
                found.texts.append(text)
                found.num_bold += len(text) if bold else 0
                found.size = max(found.size, size if text.strip() else 0)
            elif name == "r":
                run = child(element, "rPr")
                if not _is_on(child(run, "vanish")):
                    chosen = _format(None, run)
                    own = bold if chosen["bold"] is None else chosen["bold"]
                    yield from self._runs(element, found, own, chosen["size"] or size)
            elif name == "del" or name == "moveFrom":
                deleted = "".join(t.text or "" for t in element.iter() if tag(t) in ("delText", "t"))
                self.collector.leave_out(deleted, "deleted")
            elif name == "br":
                if attribute(element, "type") == "page":
                    found.breaks_page = found.breaks_page or not "".join(found.texts).strip()
                else:
                    found.texts.append("\n")
            elif name in ("cr", "tab", "noBreakHyphen"):
                found.texts.append({"cr": "\n", "tab": "\t"}.get(name, "-"))
            elif name == "sym":
                code = attribute(element, "char")
                own = not re.fullmatch("[0-9A-Ea-e][0-9A-Fa-f]{3}", code) or 0xD800 <= int(code, 16) < 0xF900
                found.texts.append("*" if own else chr(int(code, 16)))  # a symbol of a special font
            elif name == "txbxContent":
                yield element
            elif name == "rect" and attribute(element, "hr") in ("t", "true"):
                found.has_rule = True
            elif name not in _SKIPPED:
                yield from self._runs(element, found, bold, size)


def _is_contents(control: Element) -> bool:
    gallery = child(control, "sdtPr", "docPartObj", "docPartGallery")
    return gallery is not None and attribute(gallery, "val").lower() == "table of contents"

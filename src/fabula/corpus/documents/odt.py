"""OpenDocument text (.odt and the flat .fodt, ISO/IEC 26300), as LibreOffice and Google Docs write it."""

from dataclasses import dataclass, replace

from fabula.corpus.documents.document import Collector, Document
from fabula.corpus.documents.package import Package
from fabula.corpus.documents.xml import Element, attribute, child, integer, parse_xml, tag
from fabula.errors import FabulaError

_LEFT_OUT = {
    "table-of-content": "contents",
    "alphabetical-index": "contents",
    "illustration-index": "contents",
    "tracked-changes": "deleted",
}
_NO_TEXT = {
    "note",
    "annotation",
    "tracked-changes",
    "sequence-decls",
    "forms",
    "page-number",
    "bookmark-ref",
    "ruby-text",
}


def read_odt(data: bytes, name: str) -> Document:
    """The blocks of an .odt, without footnotes, comments and text that tracked changes deleted."""
    if data[:2] == b"PK":
        package = Package(data, name)
        if "META-INF/manifest.xml" in package and b"encryption-data" in package.read("META-INF/manifest.xml"):
            raise FabulaError("this document is encrypted", where=name, hint="save it without a password")
        parts = [part for part in ("styles.xml", "content.xml") if part in package]
        roots = [parse_xml(package.read(part), name) for part in parts]
        meta = parse_xml(package.read("meta.xml"), name) if "meta.xml" in package else None
    else:
        roots = [parse_xml(data, name)]
        meta = roots[0]
    body = child(roots[-1], "body", "text") if roots else None
    if body is None:
        raise FabulaError("this document is damaged (it has no text)", where=name)
    reader = _Reader(_styles(roots))
    reader.read(body)
    title = child(meta, "meta", "title")
    return reader.collector.document((title.text or "") if title is not None else "")


@dataclass(frozen=True, slots=True)
class _Style:
    name: str = ""
    parent: str = ""
    level: int = 0
    bold: bool = False
    centred: bool = False
    size: str = ""
    breaks_page: bool = False
    hidden: bool = False


def _styles(roots: list[Element]) -> dict[str, _Style]:
    """Styles by name, with what they inherit."""
    plain: dict[str, _Style] = {}
    for root in roots:
        for element in root.iter("{*}style"):
            paragraph, text = child(element, "paragraph-properties"), child(element, "text-properties")
            key = attribute(element, "name")
            look = {} if text is None else {k.rpartition("}")[2]: v for k, v in text.attrib.items()}
            place = (
                {} if paragraph is None else {k.rpartition("}")[2]: v for k, v in paragraph.attrib.items()}
            )
            plain[key] = _Style(
                name=(attribute(element, "display-name") or key).replace("_20_", " ").lower(),
                parent=attribute(element, "parent-style-name"),
                level=integer(element, "default-outline-level"),
                bold=look.get("font-weight") in ("bold", "700", "800", "900"),
                centred=place.get("text-align") == "center",
                size=look.get("font-size", ""),
                breaks_page=place.get("break-before") == "page",
                hidden=look.get("display") == "none",
            )
    return {key: _inherit(key, plain) for key in plain}


def _inherit(key: str, plain: dict[str, _Style]) -> _Style:
    style, seen = plain[key], {key}
    while style.parent in plain and style.parent not in seen:
        below = plain[style.parent]
        seen.add(style.parent)
        style = replace(
            style,
            name=below.name if _is_automatic(style.name) or below.name.startswith("heading ") else style.name,
            parent=below.parent,
            level=style.level or below.level,
            bold=style.bold or below.bold,
            centred=style.centred or below.centred,
            size=style.size or below.size,
        )
    if style.parent not in plain and _is_automatic(
        style.name
    ):  # this part does not have the document's own styles
        style = replace(style, name=style.parent.replace("_20_", " ").lower())
    return style


def _is_automatic(name: str) -> bool:
    """Whether a style was made for one paragraph, such as "P12"."""
    return len(name) <= 4 and name[1:].isdigit()


class _Reader:
    def __init__(self, styles: dict[str, _Style]) -> None:
        self.collector = Collector()
        self._styles = styles
        self._usual = styles.get("Standard", _Style())

    def read(self, parent: Element) -> None:
        for element in parent:
            name = tag(element)
            if name in ("p", "h"):
                self._paragraph(element, name == "h")
            elif name in _LEFT_OUT:
                text = "\n".join("".join(p.itertext()) for p in element.iter("{*}p", "{*}h"))
                self.collector.leave_out(text, _LEFT_OUT[name])
            elif name not in _NO_TEXT and not (name == "section" and attribute(element, "display") == "none"):
                self.read(element)

    def _paragraph(self, element: Element, is_heading: bool) -> None:
        style = self._styles.get(
            attribute(element, "style-name"), _Style(attribute(element, "style-name").lower())
        )
        boxes: list[Element] = []
        text = self._text(element, boxes)
        if style.breaks_page:
            self.collector.divider()
        level = integer(element, "outline-level") or style.level
        if style.hidden:
            self.collector.leave_out(text, "hidden")
        elif style.name == "title":
            self.collector.heading(text, 1)
        elif is_heading or level or style.name.startswith("heading "):
            self.collector.heading(
                text, (level or int(style.name[-1:] if style.name[-1:].isdigit() else 1)) + 1
            )
        elif style.name == "horizontal line":
            self.collector.divider()
        elif style.name.startswith("contents "):
            self.collector.leave_out(text, "contents")
        else:
            runs = [
                self._styles.get(attribute(span, "style-name"), _Style())
                for span in element
                if tag(span) == "span"
            ]
            bold = style.bold or (
                bool(runs) and all(run.bold for run in runs) and not (element.text or "").strip()
            )
            size = style.size or (runs[0].size if runs else "")
            larger = _points(size) > 1.1 * (_points(self._usual.size) or 12)
            centred = style.centred and not self._usual.centred
            look = (style.name, bold, centred, size) if bold or centred or larger else None
            self.collector.paragraph(text, look)
        for box in boxes:
            self.read(box)

    def _text(self, element: Element, boxes: list[Element]) -> str:
        """The text of a paragraph; white space is collapsed, as the format requires. Text boxes in it go to `boxes`."""
        parts = [_collapse(element.text)]
        for inner in element:
            name = tag(inner)
            if name == "s":
                parts.append(" " * min(integer(inner, "c", 1), 1000))
            elif name == "tab":
                parts.append("\t")
            elif name == "line-break":
                parts.append("\n")
            elif name == "text-box":
                boxes.append(inner)
            elif name and name not in _NO_TEXT:
                hidden = self._styles.get(attribute(inner, "style-name"), _Style()).hidden
                parts.append("" if hidden else self._text(inner, boxes))
            parts.append(_collapse(inner.tail))
        return "".join(parts)


def _collapse(text: str | None) -> str:
    if not text:
        return ""
    inner = " ".join(text.split())
    if not inner:
        return " "
    return (" " if text[0].isspace() else "") + inner + (" " if text[-1].isspace() else "")


def _points(size: str) -> float:
    digits = size.removesuffix("pt")
    return float(digits) if digits.replace(".", "", 1).isdigit() else 0.0

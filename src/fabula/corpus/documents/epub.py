"""EPUB 2 and 3 books: the pages in the order of their spine, with chapters from the table of contents.

Many books have no headings in their pages (Calibre's conversions, scans), or none that are marked as such; their
chapters are found from the table of contents.
"""

import re
from typing import NamedTuple

from fabula.corpus.documents.document import Collector, Document
from fabula.corpus.documents.html import HtmlReader, decode_markup, parse_html
from fabula.corpus.documents.package import Package, resolve
from fabula.corpus.documents.xml import Element, attribute, child, parse_xml, tag
from fabula.errors import FabulaError

_LEFT_OUT = {
    "cover": "front_matter", "titlepage": "front_matter", "title-page": "front_matter", "halftitlepage": "front_matter",
    "halftitle": "front_matter", "copyright-page": "front_matter", "copyright": "front_matter", "imprint": "front_matter",
    "colophon": "front_matter", "imprimatur": "front_matter", "dedication": "front_matter",
    "acknowledgments": "front_matter", "acknowledgements": "front_matter", "other-credits": "front_matter",
    "toc": "contents", "landmarks": "contents", "loi": "contents", "lot": "contents", "page-list": "contents",
    "index": "contents", "bibliography": "front_matter", "glossary": "front_matter", "footnotes": "footnote",
    "endnotes": "footnote", "rearnotes": "footnote", "notes": "footnote",
}  # fmt: skip
"""Parts of a book that are not story, as EPUB's structural vocabulary and its older guide name them."""

_PAGES = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")
_LABELS = re.compile(
    r"(?i)(table of )?contents|title ?page|cover( page)?|copyright( page)?|acknowledge?ments|dedication|also by .*"
    r"|about the (author|publisher)|books? by .*|praise for .*|newsletter|colophon|imprint|the full project gutenberg license"
)


class _Chapter(NamedTuple):
    label: str
    level: int


def read_epub(data: bytes, name: str) -> Document:
    """The blocks of an EPUB, without cover, title page, copyright, contents and notes.

    Raises:
        FabulaError: it is damaged, or its text is encrypted (DRM).
    """
    package = Package(data, name)
    if "META-INF/encryption.xml" in package:
        _check_lock(parse_xml(package.read("META-INF/encryption.xml"), name), name)
    opf_path = _opf_path(package, name)
    opf = parse_xml(package.read(opf_path), name)
    manifest = {item.get("id", ""): item for item in opf.iter("{*}item")}
    chapters, types = _contents(package, opf, opf_path, manifest, name)
    collector = Collector()
    for page in _spine(opf, manifest):
        path = resolve(opf_path, page.get("href", ""))[0]
        if path in package and page.get("media-type", _PAGES[0]) in _PAGES:
            text = decode_markup(package.read(path), name)
            if not chapters:  # then the pages may be the chapters
                collector.divider()
            is_nav = "nav" in page.get("properties", "").split()
            _page(
                text, name, chapters.get(path, {}), "contents" if is_nav else types.get(path, ""), collector
            )
    title = child(opf, "metadata", "title")
    return collector.document((title.text or "") if title is not None else "")


def _check_lock(root: Element, name: str) -> None:
    """Refuse a book whose pages are encrypted; encrypted fonts are common and harmless."""
    for reference in root.iter("{*}CipherReference"):
        if re.search(r"\.x?html?$", reference.get("URI", ""), re.IGNORECASE):
            hint = "ask its seller for a file without DRM"
            raise FabulaError("this book is locked (its pages are encrypted)", where=name, hint=hint)


def _opf_path(package: Package, name: str) -> str:
    if "META-INF/container.xml" in package:
        for rootfile in parse_xml(package.read("META-INF/container.xml"), name).iter("{*}rootfile"):
            if (path := rootfile.get("full-path", "")) in package:
                return path
    found = [path for path in package.names() if path.lower().endswith(".opf")]
    if not found:
        raise FabulaError("this book is damaged (it has no list of its pages)", where=name)
    return found[0]


def _spine(opf: Element, manifest: dict[str, Element]) -> list[Element]:
    linear = [item for item in opf.iter("{*}itemref") if item.get("linear") != "no"]
    return [manifest[item.get("idref", "")] for item in linear if item.get("idref") in manifest]


def _contents(
    package: Package, opf: Element, opf_path: str, manifest: dict[str, Element], name: str
) -> tuple[dict[str, dict[str, _Chapter]], dict[str, str]]:
    """Chapters by page and by the id where they begin ("" for the top of the page), and reasons to leave pages out."""
    chapters: dict[str, dict[str, _Chapter]] = {}
    types: dict[str, str] = {}

    def add(base: str, link: str, label: str, level: int) -> None:
        path, place = resolve(base, link)
        label = " ".join(label.split())
        if _LABELS.fullmatch(label) and not place:
            types.setdefault(path, "front_matter")
        elif label:
            chapters.setdefault(path, {}).setdefault(place, _Chapter(label, level))

    for reference in opf.iter("{*}reference"):
        if reason := _LEFT_OUT.get(reference.get("type", "").lower()):
            types.setdefault(resolve(opf_path, reference.get("href", ""))[0], reason)
    for item in manifest.values():
        path = resolve(opf_path, item.get("href", ""))[0]
        if path not in package:
            continue
        if "nav" in item.get("properties", "").split():
            for nav in parse_html(decode_markup(package.read(path), name), name).iter("{*}nav", "nav"):
                _read_nav(nav, path, add, types)
        elif item.get("media-type") == "application/x-dtbncx+xml" and not chapters:
            for point in parse_xml(package.read(path), name).iter("{*}navPoint"):
                label, content = child(point, "navLabel", "text"), child(point, "content")
                level = 1 + sum(tag(above) == "navPoint" for above in point.iterancestors())
                if label is not None and content is not None:
                    add(path, content.get("src", ""), label.text or "", level)
    return chapters, types


def _read_nav(nav: Element, path: str, add, types: dict[str, str]) -> None:
    kind = attribute(nav, "type")
    for link in nav.iter("{*}a", "a"):
        if kind == "landmarks":
            for word in attribute(link, "type").split():
                if reason := _LEFT_OUT.get(word):
                    types.setdefault(resolve(path, link.get("href", ""))[0], reason)
        elif kind in ("toc", ""):
            level = sum(tag(above) == "ol" for above in link.iterancestors())
            add(path, link.get("href", ""), "".join(link.itertext()), max(level, 1))


def _page(text: str, name: str, chapters: dict[str, _Chapter], reason: str, collector: Collector) -> None:
    root = parse_html(text, name)
    body = next((found for found in root.iter() if tag(found) == "body"), root)
    kinds = attribute(body, "type").split() + [
        word
        for inner in body
        if tag(inner) == "section" and len(body) == 1
        for word in attribute(inner, "type").split()
    ]
    reason = next((_LEFT_OUT[word] for word in kinds if word in _LEFT_OUT), reason)
    if reason and not (set(chapters) - {""}):
        collector.leave_out(" ".join("".join(body.itertext()).split()), reason)
        return
    _mark_chapters(body, chapters)
    HtmlReader(collector, text).page(root)


def _mark_chapters(body: Element, chapters: dict[str, _Chapter]) -> None:
    """Turn the lines that the table of contents names into headings, and insert headings where there is no such
    line."""
    if not chapters:
        return
    blocks = [
        element for element in body.iter() if tag(element) in ("h1", "h2", "h3", "h4", "h5", "h6", "p", "div")
    ]
    lines = [
        element
        for element in blocks
        if not any(tag(inner) in ("p", "div") for inner in element.iterdescendants())
    ]
    for place, chapter in chapters.items():
        start = (
            body
            if not place
            else next((e for e in body.iter() if attribute(e, "id") == place or e.get("name") == place), None)
        )
        if start is None:
            continue
        order = {element: at for at, element in enumerate(body.iter())}
        near = [line for line in lines if order[line] >= order[start] or start in line.iterdescendants()][:4]
        if any(tag(line).startswith("h") and tag(line) != "hr" for line in near):
            continue
        wanted = _bare(chapter.label)
        found = next(
            (line for line in near if _bare("".join(line.itertext())) in (wanted, *_halves(chapter.label))),
            None,
        )
        if found is not None:
            found.tag = _namespace(found) + f"h{min(chapter.level, 6)}"
        elif near:
            heading = near[0].makeelement(_namespace(near[0]) + f"h{min(chapter.level, 6)}")
            heading.text = chapter.label
            near[0].addprevious(heading)


def _halves(label: str) -> list[str]:
    """The parts of "Chapter 3: The Lamp", either of which may be the line in the book."""
    parts = re.split(r"[:.–—-]\s", label, maxsplit=1)
    return [bare for part in parts if len(parts) > 1 and (bare := _bare(part))]


def _namespace(element: Element) -> str:
    return element.tag[: element.tag.index("}") + 1] if "}" in element.tag else ""


def _bare(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())

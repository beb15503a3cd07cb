"""Web pages and the XHTML of e-books: the story on them, without the site around it.

Pages of the Archive of Our Own, FanFiction.net, Royal Road, Wattpad, Wikipedia-like wikis, WordPress and Project Gutenberg
are recognised by the names of their elements; other pages are read by `article`, `main` and the density of links.
"""

import re
from collections.abc import Iterable
from dataclasses import replace

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from fabula.corpus.documents.document import Collector, Document, story_rows
from fabula.corpus.documents.xml import Element, attribute, parse_xml, tag
from fabula.corpus.encodings import codec_of, find_encoding
from fabula.errors import FabulaError

_BLOCKS = {
    "address", "article", "aside", "blockquote", "body", "caption", "center", "dd", "details", "dialog", "div",
    "dl", "dt", "fieldset", "figcaption", "figure", "footer", "form", "header", "hgroup", "legend", "li",
    "main", "menu", "nav", "ol", "p", "pre", "section", "summary", "table", "tbody", "td", "tfoot", "th",
    "thead", "tr", "ul",
}  # fmt: skip
_HEADINGS = {f"h{level}": level for level in range(1, 7)}
_NO_TEXT = {
    "applet", "audio", "button", "canvas", "colgroup", "datalist", "embed", "head", "iframe", "img", "input",
    "link", "map", "math", "meta", "noscript", "object", "option", "picture", "rp", "rt", "script", "select",
    "source", "style", "svg", "template", "textarea", "title", "track", "video",
}  # fmt: skip
_NAVIGATION = {"nav", "footer", "menu", "dialog", "label"}
_ASIDE = {"aside": "footnote", "figcaption": "boilerplate", "caption": "boilerplate"}

_REASONS = {
    "navigation": "nav navbar navigation menu menubar sidebar breadcrumb breadcrumbs pagination pager post-navigation "
    "nav-links site-header site-footer footer page-footer share sharing sharedaddy social social-share cookie cookies "
    "skip-link screen-reader-text visually-hidden sr-only related related-posts jp-relatedposts widget widget-area "
    "comments comment-list comment-respond comments-area reviews review-list entry-meta post-meta entry-footer "
    "tags tag-list adsbygoogle advertisement noprint printfooter catlinks mw-editsection mw-jump-link navbox "
    "num-comment comment-marker storynavigation chapter-nav chapternav stats-bar bixbox similar-stories recommendations "
    "message-cell--user message-attribution message-footer message-signature tagline flat-list "
    "subscription-widget-wrap subscription-widget subscribe-widget subscribe-footer",
    "front_matter": "byline p-summary",
    "contents": "toc table-of-contents tableofcontents fff_toc landmarks page-list pagelist",
    "page_number": "pagenum pageno pageref page-number pagenumber pb",
    "footnote": "footnote footnotes endnotes noteref fnref fnanchor footnote-ref reference references msofootnotetext "
    "msoendnotetext mw-references-wrap reflist",
    "running_head": "msoheader msofooter",
    "author_note": "author-note author-notes authors-note author_note author-note-portlet authornote fff_chapter_notes",
    "boilerplate": "pg-boilerplate pgheader pgfooter pg-header pg-footer transnote tnote tn transcriber-note "
    "transcribers-note pg-machine-header copyright copyright-page imprint colophon landmark toc-heading endnote-link "
    "mso-comment msocommenttext fff_metadata",
    "hidden": "hidden d-none display-none",
}
_REASON_OF = {name: reason for reason, names in _REASONS.items() for name in names.split()}
_ROLES = {
    "navigation": "navigation",
    "banner": "navigation",
    "contentinfo": "navigation",
    "search": "navigation",
}
_ROLES |= {
    "doc-toc": "contents",
    "doc-pagebreak": "page_number",
    "doc-footnote": "footnote",
    "doc-noteref": "footnote",
}
_TYPES = {"toc": "contents", "landmarks": "contents", "page-list": "contents", "pagebreak": "page_number"}
_TYPES |= {
    "noteref": "footnote",
    "footnote": "footnote",
    "footnotes": "footnote",
    "endnotes": "footnote",
    "rearnotes": "footnote",
}

_MAIN = (
    "workskin", "chapters", "storytext", "storytextp", "chapter-content", "chapter-inner", "mw-parser-output",
    "entry-content", "post-content", "article-body", "story-body", "storycontent", "userstuff",
)  # fmt: skip
"""Ids and classes of the elements with the story, on sites that many people copy from."""

_TITLES = {
    "msotitle", "title", "chapter-title", "chaptertitle", "chapter_title", "chapter-heading", "chapterheading",
    "chaptitle", "entry-title", "post-title", "story-title", "message-cell--threadmark-header",
}  # fmt: skip

_SPACE = re.compile(r"[ \t\r\n\f]+")
_HIDDEN_RULE = re.compile(r"\.([\w-]+)\s*\{[^}]*display\s*:\s*none", re.IGNORECASE)
_HIDDEN = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all", re.IGNORECASE)
_PAGE_BREAK = re.compile(r"(?:page-)?break-(?:before|after)\s*:\s*(?:always|page)", re.IGNORECASE)
_AO3 = re.compile(r"""\b(?:id=["']workskin["']|class=["']userstuff\b)""")
_EMPTY_TRAP = re.compile(r"<(title|script|style|iframe|textarea|noscript)\b([^<>]*)/>", re.IGNORECASE)
_PRE = re.compile(r"<(/?)pre(?:\s[^<>]*)?>", re.IGNORECASE)
_INDENTED = re.compile(r"(?<=\S)[ \t]*\n(?=[ \t]{2,}\S.{30})")
"""The beginning of a paragraph in preformatted text."""

_CHARSET = re.compile(
    rb"""<(?:meta|\?xml)[^>]*?(?:charset|encoding)\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE
)


def read_html(data: bytes, name: str) -> Document:
    """The blocks of a web page."""
    text = decode_markup(data, name)
    root = parse_html(text, name)
    document = _read(root, text, by_names=True)
    if _num_words(document) < 0.1 * len(
        "".join(root.itertext()).split()
    ):  # names that have another meaning here
        document = max(document, _read(root, text, by_names=False), key=_num_words)
    titles = (" ".join("".join(found.itertext()).split()) for found in root.iter("{*}title", "title"))
    return replace(document, title=next(titles, "").strip())


def _read(root: Element, source: str, by_names: bool) -> Document:
    collector = Collector()
    HtmlReader(collector, source, by_names).page(root)
    return collector.document()


def _num_words(document: Document) -> int:
    return sum(len(block.text.split()) for block in document.blocks)


def html_to_text(markup: str, name: str = "a cell of a table") -> str:
    """The text of a fragment of HTML, such as scrapers keep in a table; a newline between paragraphs."""
    collector = Collector()
    HtmlReader(collector, markup).page(parse_html(f"<body>{markup}</body>", name))
    blocks = collector.document().blocks
    return "\n".join(block.text if block.kind != "divider" else "* * *" for block in blocks)


def decode_markup(data: bytes, name: str) -> str:
    """The text of a page in UTF-8, in the encoding that it names, or else in the likeliest one.

    Raises:
        FabulaError: it names no encoding, and no other gives a plausible text.
    """
    for mark, encoding in ((b"\xef\xbb\xbf", "utf-8-sig"), (b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16")):
        if data.startswith(mark):
            return data.decode(encoding, "replace")
    named = _CHARSET.search(data[:4096])
    for encoding in ("utf-8", named[1].decode() if named else ""):
        try:
            return data.decode(encoding)
        except (UnicodeDecodeError, LookupError):
            continue
    try:
        return data.decode(*codec_of(find_encoding(data, name)))
    except (UnicodeDecodeError, FabulaError) as error:
        line = error.line if isinstance(error, FabulaError) else None
        what, hint = "the encoding of this page cannot be detected", "save it as UTF-8"
        raise FabulaError(what, where=name, line=line, hint=hint) from None


def parse_html(text: str, name: str) -> Element:
    """The root element of a page, however badly it is written.

    Raises:
        FabulaError: there is no element in it.
    """
    if text.lstrip("\ufeff \n\r\t").startswith("<?xml"):
        try:
            return parse_xml(
                re.sub(r"^\s*<\?xml.*?\?>", "", text.lstrip("\ufeff"), count=1, flags=re.S).encode(), name
            )
        except FabulaError:
            pass  # invalid XHTML
    parser = etree.HTMLParser(encoding="utf-8", no_network=True, remove_comments=True, remove_pis=True)
    text = _EMPTY_TRAP.sub(r"<\1\2></\1>", text).replace("\0", "")
    # The parser would end a "pre" at a heading in it.
    text = _PRE.sub(lambda found: "</div>" if found[1] else '<div style="white-space: pre-wrap">', text)
    try:
        root = etree.fromstring(text.encode("utf-8", "replace"), parser)
    except (etree.XMLSyntaxError, ValueError):
        root = None
    if root is None:
        raise FabulaError("this file has no page", where=name)
    return root


class HtmlReader:
    """Walks a page, or the pages of a book one after another, and passes the blocks to a collector.

    Args:
        source: the page's text; its styles show what is hidden.
        by_names: whether to use the names (classes and ids) of elements.
    """

    def __init__(self, collector: Collector, source: str = "", by_names: bool = True) -> None:
        self.collector = collector
        self._by_names = by_names
        self._hidden_classes = set(_HIDDEN_RULE.findall(source)) if "display" in source else set()
        self._is_ao3 = "archiveofourown.org" in source or bool(_AO3.search(source))
        self._main: set[Element] = set()
        self._inside = True
        self._headings: list[tuple[str, int]] = []
        self._preformatted = False
        self._bold = self._links = self._centres = 0  # number of open elements of each kind
        self._clear()

    def page(self, root: Element) -> None:
        """Read the story on a page; text outside its main part is left out, except headings above it."""
        body = next((found for found in root.iter() if tag(found) == "body"), root)
        self._main = set(_main_parts(body)) if self._by_names else set()
        self._inside = not self._main
        self._headings = []
        self._walk(body)
        self._flush()

    def _walk(self, element: Element, only_headings: bool = False) -> None:
        name = tag(element)
        if name in _NO_TEXT or not name:
            return
        if reason := self._reason(element, name):
            if name in _BLOCKS:
                self._flush()
            text = " ".join("".join(element.itertext()).split())
            self.collector.leave_out(text, reason)
            return
        if element in self._main:
            self._flush()
            self._inside = True
            for text, level in self._headings:
                self.collector.heading(text, level)
            self._headings = []
        if level := _heading_level(element, name):
            self._heading(element, level)
        elif name == "hr":
            self._break()
        elif name == "br":
            self._line_break(element)
        elif name == "table" and (rows := _rows_of(element))[1]:
            self._stories(*rows)
        else:
            self._children(element, name, only_headings or self._holds_headings_only(element, name))
        if element in self._main:
            self._flush()
            self._inside = False

    def _stories(self, cells: list[list[Element]], stories: dict[int, tuple[str, int]]) -> None:
        """Read a table with a story a row."""
        self._flush()
        for number, row in enumerate(cells):
            if number in stories:
                title, place = stories[number]
                self.collector.heading(title, 2)
                self._children(row[place], "td", False)
            else:
                self.collector.leave_out(
                    " ".join(text for cell in row for text in cell.itertext()), "front_matter"
                )

    def _children(self, element: Element, name: str, only_headings: bool) -> None:
        is_block, outer = name in _BLOCKS, self._preformatted
        style = element.get("style", "")
        if is_block:
            self._flush()
            if _PAGE_BREAK.search(style) and name != "p":
                self.collector.divider()
        self._preformatted = outer or name == "pre" or "pre-wrap" in style
        bold = name in ("b", "strong") or bool(re.search(r"font-weight\s*:\s*(bold|[6-9]00)", style))
        centred = (
            name == "center"
            or element.get("align") == "center"
            or "text-align:center" in style.replace(" ", "")
        )
        linked = name == "a" and bool(element.get("href"))
        self._bold += bold
        self._links += linked
        self._centres += centred
        self._add(element.text, only_headings)
        apart = _sections(element)
        for inner in element:
            if inner in apart[1:]:
                self._break()
            self._walk(inner, only_headings)
            self._add(inner.tail, only_headings)
        self._links -= linked
        if is_block:
            if name == "p" and not "".join(self._parts).strip():
                self.collector.paragraph("")
            self._flush()
        self._bold -= bold
        self._centres -= centred
        self._preformatted = outer

    def _add(self, text: str | None, left_out: bool) -> None:
        if not text:
            return
        if not self._inside or left_out:
            if text.strip():
                self.collector.leave_out(text, "front_matter" if left_out else "navigation")
            return
        if not self._preformatted:
            text = _SPACE.sub(" ", text)
        self._parts.append(text)
        length = len(text.strip())
        self._num_bold += length if self._bold else 0
        self._num_linked += length if self._links else 0
        self._num_centred += length if self._centres else 0

    def _line_break(self, element: Element) -> None:
        if _PAGE_BREAK.search(element.get("style", "")):
            self._break()
        elif self._inside:
            self._parts.append("\n")

    def _break(self) -> None:
        self._flush()
        if self._inside:
            self.collector.divider()

    def _heading(self, element: Element, level: int) -> None:
        self._flush()
        text = self._heading_text(element)
        links = [
            inner for inner in element if tag(inner) == "a" and not inner.get("href", "#").startswith("#")
        ]
        if re.fullmatch(r"(?i)(table of )?contents:?", text):
            self.collector.leave_out(text, "contents")
        elif links and any(tag(above) == "header" for above in element.iterancestors()):
            self.collector.leave_out(text, "navigation")  # the site's name
        elif self._inside:
            self.collector.heading(text, level)
        elif text:
            self._headings = [kept for kept in self._headings if kept[1] < level] + [(text, level)]

    def _heading_text(self, element: Element) -> str:
        """The text of a heading without note marks; line breaks become spaces."""
        parts = [element.text or ""]
        for inner in element:
            name = tag(inner)
            if name == "br":
                parts.append(" ")
            elif name and name not in _NO_TEXT and not self._reason(inner, name):
                parts.append(self._heading_text(inner))
            parts.append(inner.tail or "")
        return " ".join("".join(parts).split())

    def _reason(self, element: Element, name: str) -> str:
        """Why an element is not part of the story, or ""."""
        if name in _NAVIGATION:
            return "contents" if "toc" in attribute(element, "type") else "navigation"
        if name in _ASIDE:
            return _ASIDE[name]
        if _is_note(element, name):
            return "footnote"
        attributes = element.attrib
        if not attributes:
            return ""
        if "hidden" in attributes or _HIDDEN.search(attributes.get("style", "")):
            return "hidden"
        if reason := _ROLES.get(attributes.get("role", "")):
            return reason
        for word in attribute(element, "type").split():
            if word in _TYPES:
                return _TYPES[word]
        names = [*attributes.get("class", "").split(), attributes.get("id", "")]
        for word in names if self._by_names else ():
            if word in self._hidden_classes:
                return "hidden"
            lower = word.lower()
            if reason := _REASON_OF.get(lower):
                # The styles of a book may use "contents" or "footer" as the class of a chapter.
                if name in _HEADINGS and reason == "navigation":
                    continue
                return reason
            if lower.startswith("msotoc"):
                return "contents"
            if self._is_ao3 and (
                lower == "afterword" or lower.startswith("endnotes") or lower in ("notes", "summary")
            ):
                return "author_note"
        return ""

    def _holds_headings_only(self, element: Element, name: str) -> bool:
        if name == "header":
            return True
        names = {*element.get("class", "").split(), element.get("id", "")}
        return self._is_ao3 and bool(names & {"preface", "meta"})

    def _flush(self) -> None:
        """End a paragraph, if there is one."""
        text = "".join(self._parts)
        length = sum(len(part.strip()) for part in self._parts)
        linked, bold, centred = self._num_linked, self._num_bold >= length, self._num_centred >= length
        self._clear()
        if not text.strip():
            return
        if linked >= 0.8 * length and length < 300:
            self.collector.leave_out(text, "navigation")
            return
        if 2 * len(_INDENTED.findall(text)) < text.count("\n"):
            text = _INDENTED.sub("\n\n", text)
        lines = [line.strip() for line in text.split("\n")]
        paragraphs = re.split(r"\n{2,}", "\n".join(lines).strip("\n"))
        look = (bold, centred) if len(paragraphs) == 1 and (bold or centred) else None
        for paragraph in paragraphs:
            self.collector.paragraph(paragraph, look)

    def _clear(self) -> None:
        self._parts: list[str] = []
        self._num_bold = self._num_linked = self._num_centred = 0


_MARK = re.compile(r"[\s\[({]*(?:\d{1,3}|[a-z]{1,2}|[*†‡§↩︎^]+)[\])}\s.]*")


def _is_note(element: Element, name: str) -> bool:
    """Whether an element is the mark of a footnote or comment, or the note itself, which begins with a link back."""
    if name == "sup":
        return any(tag(inner) == "a" and "#" in inner.get("href", "") for inner in element)
    if name == "a":
        text = "".join(element.itertext())
        return element.get("href", "").startswith("#") and bool(text) and bool(_MARK.fullmatch(text))
    if name in ("p", "li", "div") and not (element.text or "").strip():
        first = next(iter(element), None)
        if first is not None and tag(first) == "a":
            return "ref" in first.get("href", "") and _is_note(first, "a")
    return False


def _heading_level(element: Element, name: str) -> int:
    """The level of a heading, also of an element that is one only by its class; 0 for anything else."""
    if name in _HEADINGS:
        return _HEADINGS[name]
    if name in ("p", "div", "dt") and _TITLES & set(element.get("class", "").lower().split()):
        return 0 if any(tag(inner) in _BLOCKS for inner in element.iterdescendants()) else 1
    return 0


def _rows_of(table: Element) -> tuple[list[list[Element]], dict[int, tuple[str, int]]]:
    """The cells of each row of a table, and which rows hold a story: see `story_rows`."""
    rows = [row for row in table.iter() if tag(row) == "tr"]
    cells = [[cell for cell in row if tag(cell) in ("td", "th")] for row in rows]
    return cells, story_rows([["".join(cell.itertext()) for cell in row] for row in cells])


def _sections(element: Element) -> list[Element]:
    """The sections, articles or comments on Reddit in an element, if there are at least three and none has a heading: a
    divider then stands between them."""
    found = [
        inner
        for inner in element
        if tag(inner) in ("section", "article") or {"thing", "comment"} <= {*inner.get("class", "").split()}
    ]
    if len(found) < 3 or any(re.fullmatch("h[1-6]", tag(inner)) for one in found for inner in one.iter()):
        return []
    return found


def _main_parts(body: Element) -> list[Element]:
    """The outermost elements that hold the story; empty if the whole page does."""
    total = _num_letters([body])
    if not total:
        return []
    if body.find(".//{*}div[@class='page_body chat_page']") is not None:  # an export of Telegram
        return [one for one in body.iter() if one.get("class") == "text" and "message" in _names_above(one)]
    messages = [one for one in body.iter() if "chatlog__content" in one.get("class", "").split()]
    if messages:  # DiscordChatExporter
        return messages
    named: dict[str, list[Element]] = {}
    for element in body.iter():
        if not (name := tag(element)):
            continue
        keys = {*element.get("class", "").split(), element.get("id", "")} & set(_MAIN)
        if name in ("article", "main") or element.get("role") == "main":
            keys.add(name if name == "article" else "main")
        for key in keys:
            named.setdefault(key, []).append(element)
    for key in (*_MAIN, "article", "main"):
        found = _outermost(named.get(key, []))
        if found and _num_letters(found) >= 0.4 * total:
            return found
    return []


def _names_above(element: Element) -> set[str]:
    """The classes of the elements around an element."""
    return {name for above in element.iterancestors() for name in above.get("class", "").split()}


def _outermost(elements: Iterable[Element]) -> list[Element]:
    elements = list(elements)
    known = set(elements)
    return [one for one in elements if not any(above in known for above in one.iterancestors())]


def _num_letters(elements: Iterable[Element]) -> int:
    """Number of letters in all paragraphs, without scripts and styles."""
    return sum(
        len(text.strip())
        for element in elements
        for part in element.iter()
        if tag(part) and tag(part) not in _NO_TEXT
        for text in (part.text or "", *(inner.tail or "" for inner in part))
    )

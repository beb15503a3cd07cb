"""Reads PDF with text: joins lines to paragraphs, without page numbers, running heads and footnotes.

A PDF only has letters at positions. PDFium (through pypdfium2) gives them in reading order with their boxes; from
these are found lines, text that recurs at the head or foot of pages, paragraphs (by indent, by gap, or by a short line
before, whichever the document uses), and headings (by size, or from the file's outline).
"""

import ctypes
import itertools
import re
from collections import Counter
from dataclasses import dataclass, field

from fabula.corpus.documents.document import Collector, Document, is_divider
from fabula.corpus.splitting.headings import CHAPTER, PART, find_heading
from fabula.errors import FabulaError

_NUMBER = re.compile(
    r"[-–—~\s\[(|•]*(?:page\s+)?(\d{1,4}|[ivxlc]{1,7})(?:\s+of\s+\d{1,4})?[-–—~\s\])|•]*", re.IGNORECASE
)
_WITH_NUMBER = re.compile(
    r"(?:(\d{1,4})[\s|•·–—-]+)?(.*?[^\W\d].*?)(?:[\s|•·–—-]+(?:page\s+)?(\d{1,4})(?:\s+of\s+\d+)?)?",
    re.IGNORECASE,
)
_CHAPTER = re.compile(
    r"(chapter|part|book|section|act|scene|story|tale|day|canto|letter|episode|no\.?)\b", re.IGNORECASE
)
_PRINTED = re.compile(
    r"\d{1,4}[/.-]\d{1,2}[/.-]\d{2,4},? \d{1,2}:\d{2}(?: [AP]M)?(?: .*)?|(?:https?|file)://\S+(?: \d{1,3}/\d{1,3})?",
    re.IGNORECASE,
)
"""What a browser puts around each page that it prints: the date and the title, the address and the page's number."""

_LEADERS = re.compile(r".*(?:\.\s?){4,}\s*(?:\d+|[ivxlc]+)\s*", re.IGNORECASE)
_ENDS = re.compile(r"[.!?…:][”’\"')\]]*$|[”’\"]$")
_HYPHEN = "\x02"
"""The character that PDFium gives for a hyphen at the end of a line."""


@dataclass(slots=True)
class _Line:
    """A line of a page; sizes and positions in points from the lower left corner."""

    text: str
    left: float
    right: float
    bottom: float
    size: float
    bold: bool
    page: int


@dataclass(slots=True)
class _Layout:
    """The layout of the document: letter size of the body, margins by page parity, usual distance between lines, how
    far from the right margin a line counts as short, and what separates paragraphs ("indent", "gap" or "short")."""

    size: float
    left: dict[int, float]
    right: float
    spacing: float
    short: float
    mode: str = "short"


@dataclass(slots=True)
class _Paragraph:
    lines: list[_Line] = field(default_factory=list)


def read_pdf(data: bytes, name: str) -> Document:
    """The blocks of a PDF.

    Raises:
        FabulaError: it is encrypted or damaged, or most of its pages are images.
    """
    import pypdfium2

    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if "password" in str(error).lower():
            raise FabulaError(
                "this PDF is encrypted", where=name, hint="save it without a password"
            ) from None
        raise FabulaError(
            "this PDF is damaged", where=name, hint="open it in a viewer, and print it to PDF again"
        ) from None
    try:
        pages = [_lines(pdf, number) for number in range(len(pdf))]
        outline = _outline(pdf)
        title = pdf.get_metadata_value("Title")
    except pypdfium2.PdfiumError:
        raise FabulaError(
            "this PDF is damaged", where=name, hint="open it in a viewer, and print it to PDF again"
        ) from None
    finally:
        pdf.close()
    num_empty = sum(not page for page in pages)
    if 2 * num_empty > len(pages):
        what = f"there is no text on {num_empty:,} of {len(pages):,} pages of this PDF; they are pictures, such as a scan"
        raise FabulaError(what, where=name, hint="read it with OCR first (ocrmypdf, for example)")
    collector = Collector()
    _leave_out_margins(pages, collector)
    lines = _without_asides([line for page in pages for line in page], collector)
    if lines:
        _collect(lines, outline, collector)
    return collector.document(title)


def _lines(pdf, number: int) -> list[_Line]:
    """The lines of a page, in the order of the file."""
    page = pdf[number]
    text_page = page.get_textpage()
    count = text_page.count_chars()
    lines, start, letters = [], 0, []
    for at in range(count + 1):
        letter = chr(_code(text_page, at)) if at < count else "\n"
        if letter in "\r\n" or letter == _HYPHEN:
            if letter == _HYPHEN:
                letters.append(_HYPHEN)
            if "".join(letters).strip():
                lines.append(_line(text_page, start, letters, number))
            start, letters = at + 1, []
        else:
            letters.append(letter)
    text_page.close()
    page.close()
    return lines


def _code(text_page, at: int) -> int:
    import pypdfium2.raw as raw

    code = raw.FPDFText_GetUnicode(text_page.raw, at)
    return code if code < 0x110000 and not 0xD800 <= code < 0xE000 else 0xFFFD


def _line(text_page, start: int, letters: list[str], page: int) -> _Line:
    import pypdfium2.raw as raw

    filled = [at for at, letter in enumerate(letters) if letter.strip()]
    sizes: Counter[float] = Counter()
    boxes = {}
    probes = {*filled[:: max(1, len(filled) // 12)], filled[-1]}
    probes |= {at for at in filled if letters[at].isdigit() and at and not letters[at - 1].isspace()}
    for at in sorted(probes):
        boxes[at] = text_page.get_charbox(start + at, loose=True)
        sizes[round(boxes[at][3] - boxes[at][1], 1)] += 1
    size = sizes.most_common(1)[0][0]
    raised = {  # a footnote mark
        at
        for at, box in boxes.items()
        if letters[at].isdigit() and box[3] - box[1] < 0.8 * size and at and not letters[at - 1].isspace()
    }
    weight = raw.FPDFText_GetFontWeight(text_page.raw, start + filled[0])
    bold = weight >= 600 or "bold" in _font(text_page, start + filled[0])
    text = "".join(letter for at, letter in enumerate(letters) if at not in raised)
    first, last = boxes[filled[0]], boxes[filled[-1]]
    return _Line(
        " ".join(text.replace("\u00ad", _HYPHEN).split()), first[0], last[2], first[1], size, bold, page
    )


def _font(text_page, at: int) -> str:
    import pypdfium2.raw as raw

    buffer, flags = ctypes.create_string_buffer(128), ctypes.c_int()
    raw.FPDFText_GetFontInfo(text_page.raw, at, buffer, 128, ctypes.byref(flags))
    return buffer.value.decode("utf-8", "replace").lower()


def _outline(pdf) -> dict[int, dict[str, int]]:
    """By page, the titles in the file's own outline, normalised, with their levels."""
    found: dict[int, dict[str, int]] = {}
    for item in itertools.islice(pdf.get_toc(max_depth=6), 5000):
        target = item.get_dest()
        index = target.get_index() if target else None
        if index is not None:
            found.setdefault(index, {})[_bare(item.get_title())] = item.level + 1
    return found


def _bare(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


# The head and the foot of pages.


def _leave_out_margins(pages: list[list[_Line]], collector: Collector) -> None:
    """Remove page numbers and running heads from `pages`."""
    for _ in range(2):  # two lines at most: a head and a number
        outer: list[tuple[int, _Line, bool]] = []
        for number, page in enumerate(pages):
            if page:
                top, low = max(page, key=lambda line: line.bottom), min(page, key=lambda line: line.bottom)
                outer += [(number, top, True)] + ([(number, low, False)] if low is not top else [])
        recurring = _recurring(outer, len(pages))
        for (number, line, _), reason in zip(outer, recurring, strict=True):
            if reason:
                pages[number].remove(line)
                collector.leave_out(line.text, reason)


def _recurring(outer: list[tuple[int, _Line, bool]], num_pages: int) -> list[str]:
    """For each outermost line: "page_number", "running_head", or "" if it is part of the text."""
    offsets: Counter[tuple[bool, int]] = Counter()
    heads: Counter[tuple[bool, str, int]] = Counter()
    parsed = []
    for number, line, top in outer:
        value = _page_number(line.text)
        words, shown = _head(line.text)
        printed = value if shown is None else shown
        offset = None if printed is None else printed - number
        where = round(line.bottom / 6)
        if offset is not None:
            offsets[top, offset] += 1
        if value is None:
            heads.update({(top, words, place) for place in (where, where + 1)})
        parsed.append((top, value, words, shown, offset, where))
    reasons = []
    enough = max(3, num_pages // 12) if num_pages > 4 else 2
    for (_, line, _), (top, value, words, shown, offset, where) in zip(outer, parsed, strict=True):
        alike = 0 if offset is None else offsets[top, offset]
        counted = alike >= 2 or (num_pages < 3 and offset == 1)
        times = max(heads[top, words, where], heads[top, words, where + 1])
        if _PRINTED.fullmatch(line.text):
            reasons.append("running_head")
        elif value is not None:
            reasons.append("page_number" if counted else "")
        else:
            with_number = shown is not None and counted and (times >= 2 or alike >= _MANY_NUMBERED)
            is_head = (times >= enough and words) or (with_number and not _CHAPTER.match(words))
            reasons.append("running_head" if is_head else "")
    return reasons


_MANY_NUMBERED = 4
"""On so many pages, lines with the page's number in them are running heads, even if each has other words."""


def _page_number(text: str) -> int | None:
    found = _NUMBER.fullmatch(text)
    if not found:
        return None
    if found[1].isdigit():
        return int(found[1])
    return _roman(found[1].lower())


def _roman(text: str) -> int:
    values = [{"i": 1, "v": 5, "x": 10, "l": 50, "c": 100}[c] for c in text]
    return sum(-a if a < b else a for a, b in zip(values, [*values[1:], 0], strict=True))


def _head(text: str) -> tuple[str, int | None]:
    """A running head's words, and the page number before or after them."""
    found = _WITH_NUMBER.fullmatch(text)
    if not found or _CHAPTER.match(text):
        return text.casefold(), None
    number = found[1] or found[3]
    return found[2].casefold().strip(), int(number) if number else None


def _without_asides(lines: list[_Line], collector: Collector) -> list[_Line]:
    """The lines without the table of contents and the footnotes."""
    body = _usual_size(lines)
    kept: list[_Line] = []
    for _, group in itertools.groupby(lines, key=lambda line: line.page):
        page = list(group)
        while len(page) > 1 and page[-1].size < 0.9 * body:
            start = next((at for at in range(len(page) - 1, -1, -1) if page[at].size >= 0.9 * body), -1) + 1
            if start == 0 or not re.match(r"[\d*†‡§]", page[start].text):
                break
            collector.leave_out("\n".join(line.text for line in page[start:]), "footnote")
            page = page[:start]
        leaders = [line for line in page if _LEADERS.fullmatch(line.text)]
        if len(leaders) >= 2:
            heading = [line for line in page if _bare(line.text) in ("contents", "tableofcontents")]
            collector.leave_out("\n".join(line.text for line in [*heading, *leaders]), "contents")
            page = [line for line in page if line not in leaders and line not in heading]
        kept += page
    return kept


# Paragraphs.


def _usual_size(lines: list[_Line]) -> float:
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.size] += len(line.text)
    return sizes.most_common(1)[0][0] if sizes else 10.0


def _layout(lines: list[_Line]) -> _Layout:
    size = _usual_size(lines)
    body = [line for line in lines if abs(line.size - size) < 0.06 * size]
    lefts: dict[int, Counter[int]] = {0: Counter(), 1: Counter()}
    for line in body:
        lefts[line.page % 2][round(line.left)] += 1
    left = {}
    for parity, counted in lefts.items():
        often = [place for place, times in counted.items() if times >= 0.15 * counted.total()]
        left[parity] = float(min(often, default=0))
    left = {parity: left[parity] or left[1 - parity] for parity in left}
    rights = sorted(line.right for line in body)
    steps: Counter[float] = Counter()
    for above, below in itertools.pairwise(body):
        if above.page == below.page and above.bottom > below.bottom:
            steps[round(above.bottom - below.bottom, 1)] += 1
    spacing = steps.most_common(1)[0][0] if steps else 1.2 * size
    right = rights[int(0.95 * (len(rights) - 1))]
    justified = sum(abs(place - right) < 1.5 for place in rights) > 0.5 * len(rights)
    short = 0.6 * size if justified else 0.12 * (right - min(left.values()))
    layout = _Layout(size, left, right, spacing, short)
    indented = sum(_is_indented(line, layout) for line in body)
    gaps = sum(times for step, times in steps.items() if 1.25 * spacing < step < 4 * spacing)
    if 0.03 * len(body) <= indented <= 0.75 * len(body):
        layout.mode = "indent"
    elif gaps >= 0.03 * len(body):
        layout.mode = "gap"
    return layout


def _is_indented(line: _Line, layout: _Layout) -> bool:
    return 0.5 * layout.size < line.left - layout.left[line.page % 2] < 6 * layout.size


def _is_set_in(line: _Line, layout: _Layout) -> bool:
    """Whether a line begins further to the right than a paragraph does, as a centred title."""
    return line.left - layout.left[line.page % 2] >= 6 * layout.size


def _begins(above: _Line, line: _Line, layout: _Layout) -> bool:
    """Whether a line begins a paragraph."""
    if abs(line.size - above.size) > 0.1 * layout.size or line.bold != above.bold:
        return True
    if any(is_divider(one.text) or _names_chapter(one, layout) for one in (above, line)):
        return True
    if _is_set_in(line, layout) != _is_set_in(above, layout):
        return True
    same_page = above.page == line.page
    step = above.bottom - line.bottom
    if same_page and step > 1.3 * max(
        layout.spacing, 1.1 * line.size if line.size > 1.1 * layout.size else 0
    ):
        return True
    ended = bool(_ENDS.search(above.text))
    short = above.right < layout.right - layout.short or (line.text[0] in "“«„" and above.text[-1] in "”»“")
    if layout.mode == "indent":
        return _is_indented(line, layout) or (
            short and ended and _is_indented(above, layout) and not same_page
        )
    if layout.mode == "gap" and same_page and step > 0:
        return False
    return short and ended


def _names_chapter(line: _Line, layout: _Layout) -> bool:
    """Whether a line is the heading of a chapter by its words alone."""
    if line.right > layout.right - layout.short or not _CHAPTER.match(line.text):
        return False
    heading = find_heading(line.text, True)
    return heading is not None and heading.level in (PART, CHAPTER)


def _collect(lines: list[_Line], outline: dict[int, dict[str, int]], collector: Collector) -> None:
    layout = _layout(lines)
    hyphenated = Counter(
        word.casefold() for line in lines for word in re.findall(r"\w+(?:-\w+)+|\w+", line.text)
    )
    paragraphs: list[_Paragraph] = []
    for above, line in zip([None, *lines], lines, strict=False):
        if above is None or _begins(above, line, layout):
            paragraphs.append(_Paragraph())
        paragraphs[-1].lines.append(line)
    large = sorted({_step(p.lines[0].size) for p in paragraphs if _is_large(p, layout)}, reverse=True)
    initial = ""
    for paragraph in paragraphs:
        first = paragraph.lines[0]
        text = initial + _join([line.text for line in paragraph.lines], hyphenated)
        initial = ""
        if first.size > 1.5 * layout.size and len(text) == 1 and text.isalpha():
            initial = text  # a drop capital belongs to the paragraph that follows
            continue
        level = next(
            (lvl for title, lvl in outline.get(first.page, {}).items() if title and title == _bare(text)), 0
        )
        if _bare(text) in ("contents", "tableofcontents"):
            collector.leave_out(text, "contents")
        elif level or (_is_large(paragraph, layout) and len(text) < 150):
            collector.heading(text, min(level or large.index(_step(first.size)) + 1, 6))
        else:
            middle = (layout.left[first.page % 2] + layout.right) / 2
            centred = len(paragraph.lines) == 1 and abs((first.left + first.right) / 2 - middle) < layout.size
            centred = centred and first.left - layout.left[first.page % 2] > 3 * layout.size
            collector.paragraph(text, (first.bold, centred) if first.bold or centred else None)


def _step(size: float) -> int:
    return round(2 * size)


def _is_large(paragraph: _Paragraph, layout: _Layout) -> bool:
    return paragraph.lines[0].size >= 1.15 * layout.size and len(paragraph.lines) <= 4


def _join(lines: list[str], known: Counter[str]) -> str:
    """Join lines to one, and words that were hyphenated at line ends. A word keeps its hyphen if the document has it
    elsewhere."""
    text = lines[0]
    for line in lines[1:]:
        cut = re.search(r"(\w+)[-\x02‐]$", text)
        rest = re.match(r"\w+", line)
        if not cut or not rest:
            text = f"{text} {line}" if not text.endswith(("—", "–")) else text + line
        elif (
            rest[0][0].islower()
            and known[f"{cut[1]}-{rest[0]}".casefold()] <= known[(cut[1] + rest[0]).casefold()]
        ):
            text = text[:-1] + line
        else:
            text = text[:-1] + "-" + line
    return text.replace(_HYPHEN, "-")

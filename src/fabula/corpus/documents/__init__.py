"""Reads documents, whatever program wrote them: turns the bytes of a file into blocks.

Each format has its own module. Text that is not story (contents, navigation, footnotes, running heads, deleted text) is
left out and listed with the reason.
"""

import re
from collections.abc import Callable

from fabula.corpus.documents.document import Document, LeftOut, is_divider
from fabula.errors import FabulaError

__all__ = [
    "DOCUMENTS",
    "Document",
    "EmptyDocument",
    "LeftOut",
    "document_kind",
    "is_divider",
    "read_document",
    "why_no_story",
]

DOCUMENTS = {
    "docx": "Word documents (.docx)",
    "odt": "OpenDocument texts (.odt)",
    "rtf": "Rich Text Format (.rtf)",
    "epub": "e-books (.epub)",
    "fb2": "FictionBook (.fb2)",
    "html": "web pages (.html)",
    "pdf": "PDF with text",
}
"""Descriptions of the kinds that are read."""

_REFUSED = {
    "doc": ("this is an old Word document (.doc)", "open it in Word or LibreOffice and save it as .docx"),
    "xls": ("this is a spreadsheet", "save the sheet with the stories as CSV (UTF-8)"),
    "ppt": ("these are slides", "copy the text to a text file"),
    "pages": ("this is a Pages document", "export it from Pages as Word (.docx) or EPUB"),
    "mobi": ("this is a Kindle book (.mobi, .azw)", "convert it to EPUB with Calibre"),
    "locked": ("this document has a password", "open it, and save it without the password"),
    "wpd": ("this is a WordPerfect document", "open it in LibreOffice and save it as .docx"),
    "abiword": (
        "this is an AbiWord document",
        "open it in AbiWord or LibreOffice and save it as .docx or .odt",
    ),
    "djvu": ("this is a book of pictures (DjVu)", "read it with OCR, and save the text"),
    "postscript": ("this is PostScript", "convert it to PDF"),
    "scrivener": ("this is a Scrivener project", "compile it in Scrivener to .docx or .txt"),
    "screenplay": ("this is a screenplay of Final Draft", "export it as text or PDF"),
    "notebook": ("this is a notebook with code", "save the stories as text or JSON Lines"),
    "json5": ("this is JSON with comments", "remove the comments"),
    "code": ("this is a program", "save the texts in it as JSON, or a story a file"),
    "log": ("this is a log that a program wrote", "name a file of stories"),
    "sqlite": ("this is an SQLite database", "export the table with the stories as CSV"),
    "sql": ("this is a dump of a database (SQL)", "export the table with the stories as CSV or JSON"),
    "latex": ("this is LaTeX", "convert it, for example with pandoc: pandoc book.tex -o book.docx"),
    "org": ("this is Org mode", "convert it, for example with pandoc: pandoc book.org -o book.docx"),
    "rst": ("this is reStructuredText", "convert it, for example with pandoc: pandoc book.rst -o book.docx"),
    "asciidoc": ("this is AsciiDoc", "convert it, for example with asciidoctor book.adoc, to a web page"),
    "wiki": (
        "this is wiki markup",
        "convert it, for example with pandoc: pandoc -f mediawiki book.wiki -o book.docx",
    ),
    "twine": ("this is a story for Twine", "export its passages as text, a file each"),
    "game": ("this is the script of a game", "save the text of its scenes, a file each"),
    "manuskript": ("this is a Manuskript project", "compile it in Manuskript to .docx or text"),
    "yaml": ("this is YAML or TOML", "save the stories as JSON Lines, an object a line"),
    "warc": (
        "this is a crawl of the web (WARC, WET)",
        "save the text of each page as JSON Lines, an object a line",
    ),
    "subtitles": ("these are subtitles", "save their text without the times"),
    "clippings": ("these are the clippings of a Kindle", "name a file of whole stories"),
    "pickle": ("this is a pickle, which can run programs", "save the stories as JSON Lines or Parquet"),
    "pointer": ("this only points to a document of Google Drive", "open it, and download it as .docx"),
    "webarchive": ("this is a web archive of Safari", "save the page as its source (.html)"),
    "lfs": ("this is a pointer of Git LFS, and not the file itself", "get the file with git lfs pull"),
}
"""Kinds that are recognised but not read: what each is, and what the user can do."""

_NO_STORIES = {"xls", "ppt", "code", "log", "notebook", "sqlite", "sql", "pickle"}

_HEADS = (
    (b"{\\rtf", "rtf"), (b"%PDF-", "pdf"), (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "doc"), (b"\xffWPC", "wpd"),
    (b"AT&TFORM", "djvu"), (b"%!PS", "postscript"), (b"SQLite format 3\0", "sqlite"), (b"\x80\x04\x95", "pickle"),
    (b"version https://git-lfs", "lfs"), (b"bplist00", "webarchive"),
)  # fmt: skip
_PAGE = re.compile(
    r"(?:<!--(?:(?!-->).)*-->|<\?[^>]*>|\s)*<(?:!doctype\s+html|html|head|body|article|section|main|header|h[1-6]|p|div|meta|title"
    r"|center|font|table|blockquote)(?=[\s>/])",
    re.IGNORECASE | re.DOTALL,
)
_TEXTS = (
    (re.compile(r"(?m)^[ \t]*\\(?:documentclass\b|begin\{document\}|chapter\*?\{)"), "latex"),
    (re.compile(r"(?m)^\.\. (?:_[\w -]+:|[\w-]+::)"), "rst"),
    (
        re.compile(
            r"\A(?:= \S.*\n(?:\S.*\n){0,6}?:[\w-]+:|(?ms:(?=.*^:(?:author|toc|doctype):)(?=.*^== \S)))"
        ),
        "asciidoc",
    ),
    (re.compile(r"(?mi)^#\+(?:title|author|startup|options|date):|^:PROPERTIES:$"), "org"),
    (re.compile(r"(?ms)\A(?=.*^==+[^=\n]+==+\s*$)(?=.*(?:\'\'\'\S|\[\[[^\]\n]+\]\]))"), "wiki"),
    (
        re.compile(
            r"\A(?:\[?\d{4}-\d\d-\d\d[T ]\d\d:\d\d.{0,40}\b(?:INFO|DEBUG|WARN(?:ING)?|ERROR|TRACE)\b.*\n){5}"
        ),
        "log",
    ),
    (
        re.compile(
            r"(?ms)\A(?=--|/\*|(?:SET|DROP|USE|PRAGMA|BEGIN|CREATE|INSERT|COPY)\b).*?^(?:INSERT INTO \S+ [^\n]*(?:VALUES|\()|CREATE TABLE [^\n]*\(|COPY \S+ \([^\n]*\) FROM stdin;)"
        ),
        "sql",
    ),
    (re.compile(r"(?m)^:: ?Story(?:Title|Data)\b|<tw-storydata\b"), "twine"),
    (re.compile(r'\A\{[^{}]{0,400}"doc_id"\s*:[^{}]*\}\s*\Z'), "pointer"),
    (
        re.compile(
            r"(?ms)\A(?:(?=.*^={2,}[ \t]*\w+[ \t]*=*[ \t]*$)(?=.*^[^\n]*-> ?\w+[ \t]*$)"  # Ink
            r"|(?=.*^label \w+[^\n]*:[ \t]*$)(?=.*^[ \t]+(?:scene |show |jump |menu:|\w* ?\"))"  # Ren'Py
            r"|(?=.*^[ \t]*\*(?:label|goto) \w+[ \t]*$)(?=.*^[ \t]*\*(?:choice|finish|page_break)\b))"  # ChoiceScript
        ),
        "game",
    ),
    (re.compile(r"\A(?:<\?xml[^>]*>\s*)?<FinalDraft\b"), "screenplay"),
    (re.compile(r"\A(?:<\?xml[^>]*>\s*)?<mediawiki\b"), "wiki"),
    (re.compile(r"\A(?:<\?xml[^>]*>\s*)?(?:<!DOCTYPE abiword[^>]*>\s*)?<abiword\b"), "abiword"),
    (
        re.compile(r"\A\s*\{\s*\"(?:cells\"\s*:\s*\[\s*\{\s*\"|nbformat|metadata\"\s*:\s*\{\s*\"kernelspec)"),
        "notebook",
    ),
    (re.compile(r"\A(?:\s*(?://.*|/\*(?s:.*?)\*/))+\s*(?:\[\s*[{\[\"]|\{\s*\")"), "json5"),
    (
        re.compile(
            r"\A(?:\s*(?://.*|/\*(?s:.*?)\*/|[\"']use strict[\"'];?))*\s*(?:(?:export\s+(?:default\s+)?)?(?:const|let|var)\s+\w+\s*=|export default [\[{]|module\.exports\s*=|import .+ from [\"']|window\.[\w.\[\]\"']+\s*=)"
        ),
        "code",
    ),
    (
        re.compile(
            r"\A(?:\[(?:\d\d:)?\d\d:\d\d\.\d{3} --> [^\]\n]+\].*\n){5}|\A(?:\d{1,2}:\d\d(?::\d\d)?\n.+\n){5}|\A\s*(?:\d+\n\d\d:\d\d:\d\d[,.]\d{3} --> .*\n(?:\S.*\n)*\s*){3}|\A\s*WEBVTT\b|\A\[Script Info\]"
            r"|\A(?:\d+:\d\d:\d\d\.\d{3},\d+:\d\d:\d\d\.\d{3}\n(?:\S.*\n)*\s*){3}|\A(?:\[\w{2,6}: ?[^\]\n]*\]\s*\n)*(?:\[\d\d:\d\d\.\d\d+\].*\n){3}"
        ),
        "subtitles",
    ),
    (
        re.compile(
            r"<(?:h3|div) class=[\"']noteHeading[\"']|\A(?:.*\n- Your (?:Highlight|Note|Bookmark)\b.*\n(?:.*\n){0,12}?==========\s*){2}"
        ),
        "clippings",
    ),
    (
        re.compile(  # but not Markdown, whose text follows the second "---"
            r"\A---\n(?:\w+: .*\n)*\w+: [|>]-?\n(?!(?:.*\n)*?---\n(?!\w+: |\Z))|\A\s*\[\[\w+\]\]\n\w+ = "
        ),
        "yaml",
    ),
    (re.compile(r"\AWARC/1\.\d"), "warc"),
    (
        re.compile(
            r"\A(?:(?:#.*|---|\w+:|[ \t]*)\n)*[ \t]*- (\w[\w ]{0,30}):(?: .*)?\n(?:[ \t]+\S.*\n|[ \t]*\n)+[ \t]*- \1:"
        ),
        "yaml",
    ),
)
"""Kinds of text that are not stories."""

_LOCAL_NAME = re.compile(rb"PK\x03\x04.{22}(..)(..)", re.DOTALL)


class EmptyDocument(FabulaError):
    """A document without text. Among other files it is passed over."""


def document_kind(head: bytes) -> str:
    """What kind of document a file is, by its first bytes (16 KiB or more): a key of DOCUMENTS, the name of a kind that
    `read_document` refuses with a hint, or "" for anything else."""
    return _zip_kind(head) if head.startswith(b"PK\x03\x04") else _head_kind(head)


def why_no_story(kind: str) -> str:
    """What a file of this kind is, if it hardly holds stories that are missing from other files beside it; "" otherwise."""
    return (
        _REFUSED[kind][0].removeprefix("this is ").removeprefix("these are ") if kind in _NO_STORIES else ""
    )


def _head_kind(head: bytes) -> str:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    for mark, kind in _HEADS:
        if start.startswith(mark):
            if kind == "doc" and "EncryptedPackage".encode("utf-16-le") in head:
                return "locked"
            if kind == "doc" and "Workbook".encode("utf-16-le") in head:
                return "xls"
            return kind
    if b"%PDF-" in head[:1024]:
        return "pdf"
    if head[60:68] in (b"BOOKMOBI", b"TEXtREAd"):
        return "mobi"
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8"
    text = head[: 1 << 16].decode(encoding, "replace").lstrip("\ufeff \n\r\t")
    if re.match(r"<[?\w]", text):
        if re.search(r"<FictionBook[\s>]", text):
            return "fb2"
        if re.search(r"<office:document[\s>]", text):
            return "odt"
    for pattern, kind in _TEXTS:
        if pattern.search(text[:20_000].replace("\r\n", "\n")):
            return kind
    return "html" if _PAGE.match(text) and re.search(r"</\w+>|<br|<p>", text, re.IGNORECASE) else ""


def _zip_kind(head: bytes) -> str:
    names, kind = [], b""
    for found in _LOCAL_NAME.finditer(head):
        size, extra = (int.from_bytes(part, "little") for part in found.groups())
        name = head[found.end() : found.end() + size]
        if name == b"mimetype":  # this file is stored uncompressed, as its formats require
            kind = head[found.end() + size + extra :][:100]
        names.append(name.decode("utf-8", "replace"))
    if kind.startswith(b"application/epub+zip") or "META-INF/container.xml" in names:
        return "epub"
    if kind.startswith(b"application/vnd.oasis.opendocument."):
        inner = re.match(rb"[a-z]+", kind[len(b"application/vnd.oasis.opendocument.") :])
        return {b"text": "odt", b"spreadsheet": "xls", b"presentation": "ppt"}.get(
            inner[0] if inner else b"", ""
        )
    for name in names:
        if name.startswith("word/") or name == "content.xml":
            return "docx" if name.startswith("word/") else "odt"
        if name.startswith(("xl/", "ppt/")):
            return "xls" if name[0] == "x" else "ppt"
        if name.startswith("Index/") and name.endswith(".iwa"):
            return "pages"
        if name.endswith(".scrivx"):
            return "scrivener"
        if name.endswith("data.pkl"):  # of PyTorch
            return "pickle"
        if name == "MANUSKRIPT":
            return "manuskript"
    if len(names) == 1 and names[0].lower().endswith(".fb2"):
        return "fb2"
    return ""


def read_document(data: bytes, kind: str, name: str) -> Document:
    """The blocks of a document.

    Args:
        data: the file.
        kind: from `document_kind`.
        name: the file's name in errors.

    Raises:
        FabulaError: fabula does not read this kind, the file is damaged or encrypted, or it has no text.
    """
    if kind in _REFUSED:
        what, hint = _REFUSED[kind]
        raise FabulaError(what, where=name, hint=hint)
    try:
        document = _reader(kind)(data, name)
    except RecursionError:
        raise FabulaError("this document is nested too deeply", where=name) from None
    if not any(block.kind == "paragraph" for block in document.blocks):
        what = "there is no text in this document"
        if kind == "pdf":  # there may be a story on its pages
            hint = "if its pages are pictures (a scan), read them with OCR first"
            raise FabulaError(what, where=name, hint=hint)
        raise EmptyDocument(what, where=name, hint="is it the right file?")
    return document


def _reader(kind: str) -> Callable[[bytes, str], Document]:
    """The function that reads a kind; its module and its library are imported only now."""
    match kind:
        case "docx":
            from fabula.corpus.documents.docx import read_docx as read
        case "odt":
            from fabula.corpus.documents.odt import read_odt as read
        case "rtf":
            from fabula.corpus.documents.rtf import read_rtf as read
        case "epub":
            from fabula.corpus.documents.epub import read_epub as read
        case "fb2":
            return _read_fb2
        case "html":
            from fabula.corpus.documents.html import read_html as read
        case "pdf":
            from fabula.corpus.documents.pdf import read_pdf as read
        case _:
            raise ValueError(f"unknown kind of document {kind!r}")
    return read


def _read_fb2(data: bytes, name: str) -> Document:
    from fabula.corpus.documents.fb2 import read_fb2
    from fabula.corpus.documents.package import Package

    if data[:2] == b"PK":
        package = Package(data, name)
        data = package.read(package.names()[0])
    return read_fb2(data, name)

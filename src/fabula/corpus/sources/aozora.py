"""Texts of Aozora Bunko, the Japanese library: removes readings, transcribers' marks, and text before and after the
story."""

import re

from fabula.corpus.documents.document import Document, LeftOut
from fabula.corpus.splitting.text_blocks import text_blocks

_NOTE = re.compile(r"［＃[^］]*］")
_HEADING = re.compile(r"(?m)^[^\n]*?［＃[^］]*(?:大|中|小)見出し[^］]*］[^\n]*$")
_READING = re.compile(r"《[^》]*》|｜")
_KEY = re.compile(r"(?ms)^-{20,}\n【テキスト中に現れる記号について】.*?^-{20,}\n")
_COLOPHON = re.compile(r"(?ms)^底本：.*")


def is_aozora(text: str) -> bool:
    """Whether a text has the marks of the library."""
    return "［＃" in text and ("《" in text or "青空文庫" in text)


def read_aozora(text: str) -> Document:
    """The book's chapters and paragraphs."""
    left_out = []
    for found, reason in ((_KEY.search(text), "transcriber"), (_COLOPHON.search(text), "transcriber")):
        if found:
            left_out.append(LeftOut(found[0].strip(), reason, text.count("\n", 0, found.start()) + 1))
    text = _COLOPHON.sub("", _KEY.sub("\n", text))
    headings = {_plain(found[0]) for found in _HEADING.finditer(text)} - {""}
    pattern = re.compile("|".join(map(re.escape, sorted(headings)))) if headings else None
    return Document(text_blocks(_plain(text), pattern).blocks, left_out)


def _plain(text: str) -> str:
    return _READING.sub("", _NOTE.sub("", text)).strip()

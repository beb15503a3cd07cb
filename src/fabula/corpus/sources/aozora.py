"""Texts of Aozora Bunko, the Japanese library, and web novels in its notation: removes readings, transcribers' marks, and text
before and after the story."""

import re

from fabula.corpus.documents.document import Document, LeftOut
from fabula.corpus.splitting.text_blocks import text_blocks

_NOTE = re.compile(r"［＃[^］]*］")
_HEADING = re.compile(r"(?m)^[^\n]*?［＃[^］]*(?:大|中|小)見出し[^］]*］[^\n]*$")
_READING = re.compile(r"《[^》]*》|｜")
_SURE_READING = re.compile(
    r"[｜|]([^《》｜|\n]{1,20})《[^》\n]{1,30}》|(?<=[\u3400-\u9fff々〆ヶ])《[\u3041-\u30ff・]{1,20}》"
)
"""Readings in a text without the library's marks, in which the brackets may have another meaning."""

_MIN_READINGS = 3
_KEY = re.compile(r"(?ms)^-{20,}\n【テキスト中に現れる記号について】.*?^-{20,}\n")
_COLOPHON = re.compile(r"(?ms)^底本：.*")


def is_aozora(text: str) -> bool:
    """Whether a text has the marks of the library, or readings in its notation."""
    is_marked = "［＃" in text and ("《" in text or "青空文庫" in text)
    return is_marked or ("《" in text and len(_SURE_READING.findall(text)) >= _MIN_READINGS)


def read_aozora(text: str) -> Document:
    """The book's chapters and paragraphs."""
    if "［＃" not in text:
        return Document(text_blocks(_SURE_READING.sub(r"\1", text)).blocks)
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

"""Rich Text Format (Microsoft's specification 1.9.1), as TextEdit, WordPad, Word, LibreOffice and Scrivener write it."""

import codecs
import re
from dataclasses import dataclass, field, replace

from fabula.corpus.documents.document import Collector, Document
from fabula.errors import FabulaError

_TOKEN = re.compile(
    rb"\\([a-zA-Z]{1,32})(-?\d{1,10})?[ ]?|\\'([0-9a-fA-F]{2})|\\([^a-zA-Z])|([{}])|([\r\n]+)|([^\\{}\r\n]+)",
    re.S,
)

_SKIPPED = {
    "colortbl", "info", "pict", "object", "header", "headerl", "headerr", "headerf", "footer", "footerl",
    "footerr", "footerf", "footnote", "annotation", "atnid", "atnauthor", "atndate", "atnref", "atrfstart",
    "atrfend", "fldinst", "listtable", "listoverridetable", "listtext", "pntext", "pnseclvl", "themedata",
    "colorschememapping", "latentstyles", "datastore", "rsidtbl", "generator", "filetbl", "revtbl", "xmlnstbl",
    "mmathPr", "xe", "tc", "bkmkstart", "bkmkend", "nonshppict", "shpinst", "sp", "ftnsep", "ftnsepc", "ftncn",
    "aftnsep", "aftnsepc", "aftncn", "private", "userprops", "template", "NeXTGraphic",
}  # fmt: skip
_LEFT_OUT = {"footnote": "footnote", "annotation": "hidden"} | {
    f"{place}{side}": "running_head" for place in ("header", "footer") for side in ("", "l", "r", "f")
}
_CHARACTERS = {
    "emdash": "—", "endash": "–", "lquote": "‘", "rquote": "’", "ldblquote": "“", "rdblquote": "”", "bullet": "•",
    "emspace": "\u2003", "enspace": "\u2002", "qmspace": "\u2005", "tab": "\t", "line": "\n", "lbr": "\n",
}  # fmt: skip
_SYMBOLS = {b"~": "\u00a0", b"_": "‑", b"\\": "\\", b"{": "{", b"}": "}"}
_CHARSETS = {
    0: "cp1252", 77: "mac-roman", 128: "cp932", 129: "cp949", 130: "johab", 134: "gbk", 136: "big5", 161: "cp1253",
    162: "cp1254", 163: "cp1258", 177: "cp1255", 178: "cp1256", 186: "cp1257", 204: "cp1251", 222: "cp874", 238: "cp1250",
}  # fmt: skip
_MAX_DEPTH = 1000


@dataclass(slots=True)
class _State:
    """The state that a group inherits, and that is restored at its end."""

    target: str = "body"  # "body", "fonttbl", "stylesheet", a key of _LEFT_OUT, or "skip"
    encoding: str = "cp1252"
    unicode_skip: int = 1
    is_graphic: bool = False
    hidden: bool = False
    deleted: bool = False
    bold: bool = False
    size: int = 24
    centred: bool = False
    level: int = -1
    style: int = 0
    font: int = 0


@dataclass(slots=True)
class _Style:
    number: int = 0
    name: str = ""
    level: int = -1


@dataclass(slots=True)
class _Paragraph:
    texts: list[str] = field(default_factory=list)
    num_bold: int = 0
    size: int = 0


def read_rtf(data: bytes, name: str) -> Document:
    """The blocks of an RTF file, without headers, footers, notes, pictures and hidden or deleted text."""
    if not data.lstrip().startswith(b"{\\rtf"):
        raise FabulaError(
            "this is not RTF", where=name, hint="open it in the program that wrote it, and save it again"
        )
    reader = _Reader()
    reader.read(data)
    return reader.collector.document()


class _Reader:
    def __init__(self) -> None:
        self.collector = Collector()
        self._stack: list[_State] = []
        self._state = _State()
        self._ansi = "cp1252"
        self._fonts: dict[int, str] = {}
        self._styles: dict[int, _Style] = {}
        self._style = _Style()
        self._raw = b""
        self._skip = 0
        self._starred = False
        self._found = _Paragraph()
        self._aside: list[str] = []

    def read(self, data: bytes) -> None:
        at = 0
        while found := _TOKEN.match(data, at):
            at = found.end()
            word, number, byte, symbol, brace, _, text = found.groups()
            if byte is not None or text is not None:
                self._bytes(bytes.fromhex(byte.decode()) if byte else text)
                continue
            self._flush()
            if brace == b"{":
                self._open()
            elif brace:
                if self._close():
                    break
            elif word == b"bin":
                at += max(0, int(number or 0))
            elif word:
                self._word(word.decode(), None if number is None else int(number))
            elif symbol == b"*":
                self._starred = True
            elif symbol in (b"\r", b"\n"):
                self._word("par", None)
            elif self._skip:
                self._skip -= 1
            elif symbol in _SYMBOLS:
                self._text(_SYMBOLS[symbol])
        self._flush()
        if self._found.texts:
            self._end_paragraph()

    def _bytes(self, raw: bytes) -> None:
        if self._skip:  # the substitute for a character in programs without Unicode
            dropped = min(self._skip, len(raw))
            raw, self._skip = raw[dropped:], self._skip - dropped
        self._starred = False
        self._raw += raw

    def _flush(self) -> None:
        raw, self._raw = self._raw, b""
        if raw:
            self._text(raw.decode(self._state.encoding, "replace"))

    def _open(self) -> None:
        self._skip = 0
        if len(self._stack) < _MAX_DEPTH:
            self._stack.append(self._state)
        self._state = replace(self._state)
        self._starred = False

    def _close(self) -> bool:
        """End a group. Returns whether it was the outermost one."""
        self._skip = 0
        before = self._state
        self._state = self._stack.pop() if self._stack else _State()
        if before.is_graphic:  # its sign "¬" follows in the group around it
            self._state.target = "skip"
        if before.target != self._state.target:
            if before.target in _LEFT_OUT:
                self.collector.leave_out("".join(self._aside), _LEFT_OUT[before.target])
                self._aside = []
        elif before.target == "stylesheet":
            self._styles[self._style.number] = self._style
            self._style = _Style()
        return not self._stack

    def _text(self, text: str) -> None:
        state = self._state
        if state.target == "stylesheet":
            self._style.name += text
        elif state.target in _LEFT_OUT:
            self._aside.append(text)
        elif state.target == "body":
            if state.hidden or state.deleted:
                self.collector.leave_out(text, "deleted" if state.deleted else "hidden")
                return
            found = self._found
            found.texts.append(text)
            found.num_bold += len(text) if state.bold else 0
            found.size = max(found.size, state.size if text.strip() else 0)

    def _word(self, word: str, number: int | None) -> None:
        state, starred = self._state, self._starred
        self._starred = False
        if (word in _LEFT_OUT and state.target == "body") or word in ("fonttbl", "stylesheet"):
            state.target = word
        elif word in _SKIPPED or (starred and word != "shppict"):
            state.target, state.is_graphic = "skip", word == "NeXTGraphic"
        elif word in _CHARACTERS:
            self._text(_CHARACTERS[word])
        elif word == "u" and number is not None:
            self._text(_character(number))
            self._skip = state.unicode_skip
        elif word in ("par", "page", "sect", "row", "cell") and state.target in _LEFT_OUT:
            self._aside.append("\n")
        elif word in ("par", "sect", "row", "cell", "nestcell") and state.target == "body":
            self._end_paragraph()
            if word == "sect":
                self.collector.divider()
        elif word == "page" and state.target == "body":
            if self._found.texts:
                self._end_paragraph()
            self.collector.divider()
        else:
            self._format(word, number)

    def _format(self, word: str, number: int | None) -> None:
        state, on = self._state, number != 0
        if word == "plain":
            state.bold, state.hidden, state.deleted, state.size = False, False, False, 24
        elif word == "pard":
            state.centred, state.level, state.style = False, -1, 0
        elif word == "s":
            state.style = self._style.number = number or 0
        elif word == "outlinelevel":
            state.level = self._style.level = number or 0
        elif word in ("b", "v", "deleted"):
            setattr(state, {"b": "bold", "v": "hidden", "deleted": "deleted"}[word], on)
        elif word == "fs":
            state.size = number or 24
        elif word in ("qc", "ql", "qr", "qj"):
            state.centred = word == "qc"
        elif word == "uc":
            state.unicode_skip = max(0, number or 0)
        elif word == "ansicpg":
            self._ansi = state.encoding = _known(f"cp{number}")
        elif word in ("mac", "pc", "pca"):
            self._ansi = state.encoding = {"mac": "mac-roman", "pc": "cp437", "pca": "cp850"}[word]
        elif word in ("f", "deff"):
            state.font = number or 0
            if state.target != "fonttbl" and word == "f":
                state.encoding = self._fonts.get(state.font, self._ansi)
        elif word == "fcharset" and state.target == "fonttbl":
            self._fonts[state.font] = _CHARSETS.get(number or 0, self._ansi) if number else self._ansi

    def _end_paragraph(self) -> None:
        found, state = self._found, self._state
        self._found = _Paragraph()
        text = "".join(found.texts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        style = self._styles.get(state.style, _Style())
        name = style.name.partition(";")[0].strip().lower()
        named = re.fullmatch(r"heading (\d)", name)
        level = state.level if state.level >= 0 else style.level
        if name == "title":
            self.collector.heading(text, 1)
        elif named or 0 <= level < 9:
            self.collector.heading(text, (int(named[1]) if named else level + 1) + 1)
        elif re.match(r"toc \d", name):
            self.collector.leave_out(text, "contents")
        else:
            bold = found.num_bold >= len(text.strip())
            look = (bold, state.centred, found.size) if bold or state.centred or found.size > 28 else None
            self.collector.paragraph(text, look)


def _character(number: int) -> str:
    number &= 0xFFFF
    if 0xF020 <= number <= 0xF0FF:  # the code point of a byte in a symbol font
        number -= 0xF000
    return chr(number)


def _known(encoding: str) -> str:
    if encoding == "cp10000":
        return "mac-roman"
    try:
        return codecs.lookup(
            {"cp65001": "utf-8", "cp54936": "gb18030", "cp936": "gbk"}.get(encoding, encoding)
        ).name
    except LookupError:
        return "cp1252"

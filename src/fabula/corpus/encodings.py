"""Detects the encoding of a text file, and reads it as UTF-8.

Byte order marks and UTF-8 are certain. Any other file is decoded in each common encoding, and the texts are compared:
letters that belong together, quotation marks on the right side of words, the usual characters of a language. If two
encodings give the same text, either is right; if none gives a plausible text, the user has to name one.
"""

import codecs
import io
import re
from collections import Counter
from collections.abc import Callable
from typing import IO, Any

from fabula.errors import FabulaError

UTF8 = "utf-8"
BYTE_ORDER_MARKS = (
    (b"\xef\xbb\xbf", UTF8),
    (b"\xff\xfe\x00\x00", "utf-32"),
    (b"\x00\x00\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
ENOUGH = 0.8
"""The least plausibility of a text that is accepted; correct ones have 0.9 or more."""

LEGACY = (
    "windows-1252", "mac-roman", "windows-1250", "iso8859-2", "cp850", "cp437", "cp852", "windows-1254", "windows-1257",
    "windows-1251", "koi8-r", "koi8-u", "cp866", "cp1125", "iso8859-5", "mac-cyrillic", "windows-1253", "iso8859-7",
    "windows-1255", "windows-1256", "iso8859-6", "iso8859-15", "cp874", "gb18030", "big5", "cp932", "euc-jp", "cp949",
)  # fmt: skip
"""Encodings of text files before UTF-8; of similar ones, the likelier comes first."""


_BESIDE_UTF8 = ("windows-1252", "mac-roman", "windows-1250", "windows-1251")
"""Encodings of some lines in files that are UTF-8 otherwise: several files that were put together."""


def _errors_as(other: str) -> Callable[[UnicodeError], tuple[str, int]]:
    """Reads bytes that are not UTF-8 in the encoding `other`."""

    def read(error: UnicodeError) -> tuple[str, int]:
        if not isinstance(error, UnicodeDecodeError):
            raise error
        return error.object[error.start : error.end].decode(other), error.end

    return read


for _other in _BESIDE_UTF8:
    codecs.register_error(_other, _errors_as(_other))


def codec_of(encoding: str) -> tuple[str, str]:
    """The codec of an encoding and its treatment of other bytes: "utf-8/windows-1252" is UTF-8 with some bytes in
    windows-1252."""
    codec, _, other = encoding.partition("/")
    return codec, other or "strict"


_SEVEN_BIT = (
    (re.compile(rb"\x1b\$[B@]"), "iso2022_jp"),
    (re.compile(rb"(?:\+(?:IB[gjkmnstw-z]|AK[0-9A-Z]|AO[a-z])[\w+/]*-.*?){3}", re.DOTALL), "utf-7"),
)
"""Encodings that need no bytes beyond ASCII, and what they write for letters and quotation marks."""


def is_utf8(name: str) -> bool:
    """Whether `name` is UTF-8, which needs no recoding."""
    return name.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")


def check_encoding(name: str) -> None:
    """
    Raises:
        FabulaError: Python knows no such encoding of text.
    """
    try:
        "".encode(name)
    except LookupError:
        raise FabulaError(
            f"unknown encoding {name!r}",
            where="--encoding",
            hint="for example utf-8, windows-1252 or utf-16",
        ) from None


def find_encoding(data: bytes, name: str) -> str:
    """The encoding of text, as `codec_of` takes it.

    Args:
        data: the file's bytes, or enough of the first ones to be representative.
        name: the file's name in errors.

    Raises:
        FabulaError: no encoding gives a plausible text, or several give different ones.
    """
    for mark, encoding in BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return encoding
    if b"\0" in data[:4096]:
        return _wide(data[:4096]) or UTF8
    if _decoded(data, UTF8) is not None:
        for form, encoding in _SEVEN_BIT:
            if form.search(data) and _decoded(data, encoding) is not None:
                return encoding
        return UTF8
    if mixed := mixed_with(data):
        return mixed
    found = rank_encodings(data)
    if found and found[0][1] >= ENOUGH:
        return found[0][0]
    line = data.count(b"\n", 0, _first_invalid(data)) + 1
    hint = "name the file's encoding with --encoding"
    if found:
        hint += f"; likely ones are {', '.join(encoding for encoding, _ in found[:3])}"
    raise FabulaError("the encoding of this text cannot be detected", where=name, line=line, hint=hint)


def mixed_with(data: bytes) -> str:
    """UTF-8 with bytes in another encoding, such as "utf-8/windows-1252", if many lines are UTF-8 and the characters in the
    others fit between their neighbours; else ""."""
    lines = [line.decode(UTF8, "surrogateescape") for line in data.split(b"\n") if not line.isascii()]
    odd = [line for line in lines if _ODD.search(line)]
    if not odd or len(odd) > _MOST_ODD * len(lines) or any(map(_CUT.search, odd)):
        return ""
    fits = {other: _fit_beside(odd, other) for other in _BESIDE_UTF8}
    other = max(fits, key=lambda name: fits[name])
    return f"{UTF8}/{other}" if fits[other] >= ENOUGH else ""


_ODD = re.compile("[\udc80-\udcff]")
"""Bytes that are not UTF-8, as Python's "surrogateescape" keeps them."""

_CUT = re.compile("\udce2\udc80|\udcf0\udc9f")
"""The beginning of a quotation mark, a dash or an emoji in UTF-8, whose end is lost."""

_MOST_ODD = 0.7
"""The largest share of lines that are not UTF-8, among those with characters beyond ASCII."""


def _fit_beside(lines: list[str], other: str) -> float:
    """How well the bytes that are not UTF-8 fit between their neighbours in the encoding `other`, 0 to 1."""
    points: list[float] = []
    for line in lines:
        read = _ODD.sub(lambda byte: byte[0].encode(UTF8, "surrogateescape").decode(other, "replace"), line)
        text = f" {read} "
        points += [
            _fits(text[at + 1], text[at], text[at + 2]) for at in map(re.Match.start, _ODD.finditer(line))
        ]
    return sum(points) / len(points)


def rank_encodings(data: bytes) -> list[tuple[str, float]]:
    """The legacy encodings that can decode these bytes, with the plausibility of the text (0 to 1), best first.

    Of those that give the same text, only the first is listed.
    """
    sample = _telling_lines(data)
    seen: set[str] = set()
    found = []
    for encoding in LEGACY:
        text = _decoded(sample, encoding)
        if text is not None and text not in seen and _decoded(data, encoding) is not None:
            seen.add(text)
            found.append((encoding, plausibility(text)))
    return sorted(found, key=lambda pair: -pair[1])


def _telling_lines(data: bytes, size: int = 1 << 16) -> bytes:
    """Lines with bytes beyond ASCII, up to `size` bytes: other lines give no evidence."""
    lines: list[bytes] = []
    for line in re.split(rb"(?<=[\r\n])", data):
        if size <= 0:
            break
        if not line.isascii():
            lines.append(line[:size])
            size -= len(line)
    return b"".join(lines)


def _decoded(data: bytes, encoding: str) -> str | None:
    """`data` as text, without a character that is cut off at its end; None if it is not in this encoding."""
    try:
        return codecs.getincrementaldecoder(encoding)().decode(data)
    except UnicodeError:
        return None


def _first_invalid(data: bytes) -> int:
    try:
        data.decode()
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _wide(head: bytes) -> str:
    """The kind of UTF-16 or UTF-32 without a byte order mark, or "" if none of them gives a text."""
    found = []
    for encoding, width in (("utf-32-le", 4), ("utf-32-be", 4), ("utf-16-le", 2), ("utf-16-be", 2)):
        text = _decoded(head[: len(head) // width * width], encoding)
        if text and "\0" not in text:
            readable = sum(
                char.isalnum() or char.isspace() or char in _COMMON_MARKS for char in text if char < "\x80"
            )
            beyond = plausibility(text) * sum(char >= "\x80" for char in text)
            found.append(((readable + beyond) / len(text), encoding))
    best, encoding = max(found, default=(0.0, ""))
    return encoding if best >= ENOUGH else ""


_COMMON_MARKS = set(".,;:!?'\"()-*#_/&“”‘’«»–—…、。「」，？！：；～·<>|[]")
_ALPHABETS = (
    "éèêëàâçîïôœùûüÿæ", "äöüß", "áéíóúüñ", "àáâãçéêíóôõúü", "àèéìíîòóùú", "åäöé", "æøåéèêóòâôü", "áéíóöőúüű", "ąćęłńóśźż",
    "áčďéěíňóřšťúůýž", "áäčďéíĺľňóôŕšťúýž", "čćđšž", "ăâîșțşţ", "çğıöşüâîû", "áéíóúýþæöð", "āčēģīķļņšūž", "ąčęėįšųūž",
    "äöõüšž", "èéëïöüáóí",
)  # fmt: skip
"""The letters beyond ASCII of languages that use Latin letters. A text is taken to be in one of these languages."""
_CYRILLIC_COMMON = set("оеаинтсрвлкмдпуяыьгзбчйхжшю")
_GREEK_COMMON = set("αοιετσνηυρπκμλςάέήίόύώ")
_HEBREW_COMMON = set("יוהלאמרתבשנהםקדחכפעטגסזןצ")
_ARABIC_COMMON = set("اليمنرتوبةعدسفهكقحجشطصخ")
_THAI_COMMON = set("กขคงจชซดตถทนบปผพฟมยรลวศสหอะา")
_HAN_COMMON = set(
    "的一是不了人我在有他这那来上个大到说们为子和你地出道也时得就里去可她过下么心后还没好多"
    "這來個說們為時裡過後還沒看天小起年生老自以然事見两兩中手家海水日前头頭回它又什什無无聲声"
)
_NOT_IN_PROSE = re.compile(
    "[\x80-\x9f\u00a4\u00a6\u00ac\u00b1\u00b6\u00b8\u00b9\u00d7\u00f7\u2020-\u2022\u2030]"
)
_IN_ROWS = "─═▀▄█░▒▓\u00a0"
"""What stands in rows: the lines and the shades of frames, and no-break spaces."""

_BOX = re.compile("[\u2500-\u259f\u2200-\u22ff\u25a0-\u25ff]")


def plausibility(text: str) -> float:
    """How well the characters beyond ASCII fit their neighbours: a mean over them, 0 to 1."""
    letters = Counter(char.lower() for char in text if "\xc0" <= char < "\u0250" and char not in "\xd7\xf7")
    alphabet = max(_ALPHABETS, key=lambda own: sum(letters[char] for char in own))
    points, count = 0.0, 0
    for place, char in enumerate(text):
        if char >= "\x80" and char not in "\ufeff\u00ad":
            count += 1
            before = text[place - 1] if place else " "
            after = text[place + 1] if place + 1 < len(text) else " "
            fit = _fits(char, before, after)
            points += fit if char.lower() in alphabet or char not in letters else 0.5 * fit
    return points / count if count else 1.0


def _fits(char: str, before: str, after: str) -> float:
    """How well a character beyond ASCII fits between its neighbours."""
    point = ord(char)
    if char == before == after and (char in _IN_ROWS or char.isalpha()):
        return 1.0 if char in _IN_ROWS else 0.2  # as other encodings read them: a row of one letter
    if _BOX.match(char) or _NOT_IN_PROSE.match(char) or 0xE000 <= point <= 0xF8FF or point == 0xFFFD:
        return 0.0
    for first, last, judge in _SCRIPTS:
        if first <= point <= last:
            return judge(char, before, after)
    if char.isalpha():
        return _fits_latin(char, before, after)
    return _fits_mark(char, before, after)


def _fits_latin(char: str, before: str, after: str) -> float:
    """Rule for a letter with an accent: it is in a word of Latin letters, and lower case after lower case."""
    if char in "ªº":
        return 0.3
    latin = [other for other in (before, after) if other.isalpha() and other < "\u0250"]
    strange = any(other.isalpha() and other >= "\u0250" for other in (before, after))
    if strange:
        return 0.0
    if char.isupper() and before.isalpha() and before.islower():
        return 0.0  # a capital within a word
    if not latin:
        return 0.6 if char in "àÀáéÉêôöåÅíÍóÓúÚæøþðâ" and not before.isdigit() else 0.2
    return 1.0 - 0.2 * sum(other >= "\x80" for other in latin)


def _fits_mark(char: str, before: str, after: str) -> float:
    """Rule for quotation marks and dashes: an opening one comes before a word, a closing one after it."""
    opens = before.isspace() or before in "([-–—\"'“‘«„"
    closes = after.isspace() or after in ".,;:!?)]-–—\"'”’»…"
    if char in "“„«‹¿¡":
        return 1.0 if not before.isalnum() else 0.1
    if char == "‘":
        return 1.0 if opens else 0.1
    if char in "”»›":
        return 1.0 if not before.isspace() or closes else 0.3
    if char == "’":
        return 1.0 if not before.isspace() or after.isalpha() else 0.2
    if char in "…–—":
        return 1.0 if char != "…" or not after.isalpha() or before.isalpha() or before.isspace() else 0.5
    if char in "\u00a0£€§©°½¼¾":
        return 0.8
    return 0.9 if "\u3000" <= char <= "\u303f" or "\uff00" <= char <= "\uffef" else 0.1


def _fits_script(common: set[str], cased: bool) -> Callable[[str, str, str], float]:
    """Rule for a letter of another alphabet: it is among letters of that alphabet, lower case after a capital, and a
    common one."""

    def fits(char: str, before: str, after: str) -> float:
        neighbours = [other for other in (before, after) if other.isalpha()]
        if any(other < "\u0370" for other in neighbours):
            return 0.1
        if cased and char.isupper() and before.isalpha() and before.islower():
            return 0.0
        if cased and char.islower() and before.isupper() and after.isupper():
            return 0.0
        return 1.0 if char.lower() in common else 0.7 if neighbours else 0.4

    return fits


def _fits_thai(char: str, before: str, after: str) -> float:
    """Rule for Thai: signs above and below a consonant follow it, and vowels that are written first precede one."""
    if "\u0e40" <= char <= "\u0e44":
        return float("\u0e01" <= after <= "\u0e2e")
    if char == "\u0e31" or "\u0e34" <= char <= "\u0e3a" or "\u0e47" <= char <= "\u0e4e":
        return float("\u0e01" <= before <= "\u0e4e" and not "\u0e40" <= before <= "\u0e46")
    return (
        1.0 if char in _THAI_COMMON and ("\u0e00" < before < "\u0e5c" or "\u0e00" < after < "\u0e5c") else 0.2
    )


def _fits_hangul(char: str, before: str, after: str) -> float:
    if char > "\ud7a3" or _decoded(char.encode("cp949"), "euc-kr") is None:
        return 0.2  # a syllable that no word contains
    strange = sum(other.isalpha() and not "\uac00" <= other <= "\ud7af" for other in (before, after))
    return 1.0 - 0.4 * strange


def _fits_han(char: str, before: str, after: str) -> float:
    if any("\uac00" <= other <= "\ud7af" for other in (before, after)):
        return 0.3
    if char in _HAN_COMMON:
        return 1.0
    return 0.85 if before > "\u2e80" or after > "\u2e80" or before.isspace() else 0.3


_SCRIPTS: tuple[tuple[int, int, Callable[[str, str, str], float]], ...] = (
    (0x0370, 0x03FF, _fits_script(_GREEK_COMMON, True)),
    (0x0400, 0x04FF, _fits_script(_CYRILLIC_COMMON, True)),
    (0x0590, 0x05FF, _fits_script(_HEBREW_COMMON, False)),
    (0x0600, 0x06FF, _fits_script(_ARABIC_COMMON, False)),
    (0x0E00, 0x0E5B, _fits_thai),
    (0x3040, 0x30FF, lambda char, before, after: 1.0),
    (0xAC00, 0xD7AF, _fits_hangul),
    (0x4E00, 0x9FFF, _fits_han),
    (0x3400, 0x4DBF, lambda char, before, after: 0.0),
    (0xFF61, 0xFF9F, lambda char, before, after: 0.2),
)
"""Ranges of letters, with the rule for each."""


def decode_start(head: bytes, encoding: str) -> str:
    """The text of the first bytes of a file, with "\\n" at the ends of lines; invalid bytes become U+FFFD."""
    codec, errors = codec_of(encoding)
    decoder = codecs.getincrementaldecoder(codec)("replace" if errors == "strict" else errors)
    try:
        text = decoder.decode(head).removeprefix("\ufeff")
    except UnicodeError:  # UTF-16 without a byte order mark; reading the file will raise the error
        text = head.decode("ascii", "replace")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text if "\n" in text else text.translate(_SEPARATORS)


_SEPARATORS = {0x85: "\n", 0x2028: "\n", 0x2029: "\n"}
"""Unicode's separators of lines and of paragraphs."""


class Recoded(io.RawIOBase):
    """Reads a stream of bytes in another encoding, or with CR or Unicode's separators as line ends, as UTF-8 with LF."""

    def __init__(self, file: IO[bytes], encoding: str, name: str, has_separators: bool = False) -> None:
        self._has_separators = has_separators
        codec, errors = codec_of(encoding)
        self._text = io.TextIOWrapper(file, encoding=codec, errors=errors, newline=None)
        self._name = name
        self._encoding = encoding
        self._rest = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._rest:
            try:
                text = self._text.read(1 << 16)
                text = text.translate(_SEPARATORS) if self._has_separators else text
                self._rest = text.encode("utf-8", "surrogatepass")
            except UnicodeError as error:
                what = f"this is not {self._encoding} ({error})"
                if isinstance(error, UnicodeDecodeError):
                    byte = error.object[error.start]
                    what = f"byte 0x{byte:02x} is not {self._encoding} ({error.reason})"
                raise FabulaError(
                    what, where=self._name, hint="name the file's encoding with --encoding"
                ) from None
        count = min(len(buffer), len(self._rest))
        buffer[:count], self._rest = self._rest[:count], self._rest[count:]
        return count

    def close(self) -> None:
        self._text.close()
        super().close()

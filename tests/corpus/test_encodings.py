"""The encodings of people's files, found by their text."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fabula.corpus.encodings import Recoded, codec_of, find_encoding
from fabula.errors import FabulaError

ENGLISH = (
    "“After you,” said Mrs Cobb—and she didn’t mean it… “It’s late,” he said, “and the café is shut.” \n"
)
RUSSIAN = (
    "Жил на берегу старик, и была у него лодка без вёсел. Каждое утро прилив приносил ему чужой башмак.\n"
)
CHINESE = "海边的老人有一条没有桨的船。每天早上潮水给他送来一只靴子。“这是谁的靴子？”他问海鸥。海鸥不说话。\n"
TAIWANESE = "海邊的老人有一條沒有槳的船。每天早上潮水給他送來一隻靴子。「這是誰的靴子？」他問海鷗。\n"
JAPANESE = (
    "むかしむかし、海辺の村に一人の漁師が住んでいました。「今日も魚はいないのか」と彼はつぶやきました。\n"
)
KOREAN = "옛날 옛적 바닷가 마을에 늙은 어부가 살고 있었습니다. 아내는 아무 말도 하지 않았습니다.\n"
FRENCH = "« Où vas-tu ? » demanda la vieille. Le garçon, à côté de la forêt, répondit : « Chez Hélène. » C'était déjà tard.\n"
GERMAN = (
    "Der alte König saß über den Dächern und hörte die Glöckchen. Wärst du früher gekommen, sagte er müde.\n"
)
POLISH = "Wójt siedział w chałupie i mówił, że żółw ucieknie. Święta były już blisko, a śnieg padał gęsto.\n"
CZECH = (
    "Byl jednou jeden král a ten měl tři dcery. Žádná z nich nechtěla jít do lesa, protože se bály vlků.\n"
)
TURKISH = "Bir varmış bir yokmuş, küçük bir köyde yaşlı bir balıkçı yaşarmış. Çocuklar ışığı beklermiş.\n"
GREEK = "Μια φορά κι έναν καιρό ήταν ένας ψαράς που είχε μια παλιά βάρκα. Η γυναίκα του δεν έλεγε τίποτα.\n"
HEBREW = "היה היה פעם דייג זקן שגר בכפר קטן ליד הים. כל בוקר הוא יצא לדוג בסירה שלו.\n"
UKRAINIAN = (
    "Старий на березі мав човен без весел. Щоранку приплив приносив йому чужий черевик. Її сліди лишилися.\n"
)
THAI = "ชายชราบนฝั่งมีเรือที่ไม่มีพาย ทุกเช้าน้ำขึ้นพารองเท้าแปลกมาให้เขา นกนางนวลเงียบเพราะพวกมันรู้คำตอบ\n"
ARABIC = "كان يا ما كان صياد عجوز يعيش في قرية صغيرة قرب البحر. لم تقل زوجته شيئا.\n"


@pytest.mark.parametrize(
    ("text", "encodings"),
    [
        (ENGLISH, "utf-7 utf-8 utf-8-sig utf-16 utf-16-le utf-16-be utf-32 utf-32-le windows-1252 mac-roman"),
        (UKRAINIAN, "windows-1251 koi8-u cp1125 iso8859-5"),
        (THAI, "utf-8 cp874"),
        (FRENCH.replace("Hélène", "sa sœur"), "windows-1252 iso8859-15"),
        (RUSSIAN, "utf-8 utf-16-le utf-16-be windows-1251 koi8-r cp866 iso8859-5 mac-cyrillic"),
        (CHINESE, "utf-8 utf-16-le utf-16-be gbk gb18030"),
        (TAIWANESE, "utf-8 big5"),
        (JAPANESE, "utf-8 shift_jis euc-jp iso2022_jp"),
        (KOREAN, "utf-8 euc-kr"),
        (FRENCH, "windows-1252 mac-roman cp850"),
        (GERMAN, "windows-1252 mac-roman cp850"),
        (POLISH, "windows-1250 iso8859-2"),
        (CZECH, "windows-1250"),
        (TURKISH, "windows-1254"),
        (GREEK, "windows-1253"),
        (HEBREW, "windows-1255"),
        (ARABIC, "windows-1256"),
    ],
)
def test_text_is_read_as_it_was_written(text: str, encodings: str) -> None:
    for encoding in encodings.split():
        data = (text * 5).encode(encoding)
        found = find_encoding(data, "f")
        assert data.decode(found).removeprefix("\ufeff") == text * 5, (encoding, found)


@given(data=st.binary(max_size=200))
def test_whatever_the_bytes_there_is_an_encoding_or_an_error(data: bytes) -> None:
    try:
        found = find_encoding(data, "f")
    except FabulaError:
        return
    data.decode(codec_of(found)[0], "replace")


@pytest.mark.parametrize(
    ("text", "other"),
    [(ENGLISH, "windows-1252"), (FRENCH, "windows-1252"), (ENGLISH, "mac-roman"), (POLISH, "windows-1250"), (RUSSIAN, "windows-1251")],
)  # fmt: skip
def test_some_lines_of_utf8_may_be_in_another_encoding(text: str, other: str) -> None:
    data = b"".join(
        (text[at:] + text[:at]).replace("\n", " ").encode(other if at % 3 == 1 else "utf-8") + b"\n"
        for at in range(9)
    )
    encoding = find_encoding(data, "a.txt")
    assert encoding == f"utf-8/{other}"
    whole = "".join((text[at:] + text[:at]).replace("\n", " ") + "\n" for at in range(9))
    assert io.TextIOWrapper(io.BufferedReader(Recoded(io.BytesIO(data), encoding, "a.txt"))).read() == whole


def test_frames_of_dos_are_no_letters() -> None:
    frame = "╔" + "═" * 40 + "╗\r\n║" + "THE LAMP".center(40) + "║\r\n╚" + "═" * 40 + "╝\r\n"
    data = (frame + "The lamp went out, and nobody lit it again.\r\n" * 9).encode("cp437")
    assert data.decode(find_encoding(data, "LAMP.TXT")).startswith(frame)


@pytest.mark.parametrize(
    ("row", "encoding"),
    [("—", "windows-1252"), ("…", "windows-1252"), ("\u00a0", "windows-1252"), ("—", "mac-roman")],
)
def test_rows_of_dashes_and_spaces_are_no_frames(row: str, encoding: str) -> None:
    data = (("The lamp went out, and nobody lit it again.\n" * 4 + row * 30 + "\n") * 8).encode(encoding)
    assert find_encoding(data, "a.txt") == encoding


@pytest.mark.parametrize("whole", ["“", "’"])
def test_broken_utf8_is_no_other_encoding(whole: str) -> None:
    data = "\n".join([ENGLISH.strip()] * 9).encode().replace(whole.encode(), b"\xe2\x80", 2)
    with pytest.raises(FabulaError, match="cannot be detected"):
        find_encoding(data, "a.txt")


def test_where_nothing_makes_a_text_the_user_is_asked() -> None:
    with pytest.raises(
        FabulaError, match=r"f:2: the encoding of this text cannot be detected; name .* with --encoding"
    ):
        find_encoding(b"a\nb \x81\x8d\xff\xfe\x90 \x9d\n", "f")

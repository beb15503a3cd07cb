"""Documents to blocks: the structure is kept, and text that is not story is left out with its reason."""

import contextlib
import textwrap
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from written import docx, epub, odt, page, paragraph, pdf, zip_of

from fabula.corpus.documents import Document, document_kind, is_divider, read_document
from fabula.corpus.documents import package as packages
from fabula.corpus.read import open_stories
from fabula.errors import FabulaError

TALE = "The fox ran down to the quay and looked at the boats for a long while."


def read(data: bytes) -> Document:
    return read_document(data, document_kind(data), "a")


def shown(document: Document) -> list[str]:
    """Blocks in short: "# " before headings, by level; "---" for dividers."""
    return [
        "---" if block.kind == "divider" else "#" * block.level + " " * bool(block.level) + block.text
        for block in document.blocks
    ]


def reasons(document: Document) -> dict[str, str]:
    return {out.reason: out.text for out in document.left_out}


# Word.


def test_docx_headings_by_style_in_any_language():
    body = (
        paragraph("Tales", "Titel")
        + paragraph("One", "berschrift1")
        + paragraph(TALE)
        + paragraph("Two", "Kapitel")
    )
    body += paragraph(TALE) + paragraph("Three", properties='<w:outlineLvl w:val="1"/>') + paragraph(TALE)
    body = paragraph("One 3", "Verzeichnis1") + body
    document = read(docx(body))
    assert shown(document) == ["# Tales", "## One", TALE, "## Two", TALE, "### Three", TALE]
    assert reasons(document) == {"contents": "One 3"}


def test_docx_with_all_tracked_changes_accepted():
    document = read(
        docx(
            '<w:p><w:r><w:t xml:space="preserve">He </w:t></w:r><w:ins><w:r><w:t>never </w:t></w:r></w:ins>'
            "<w:del><w:r><w:delText>always</w:delText></w:r></w:del><w:hyperlink><w:r><w:t>said</w:t></w:r></w:hyperlink>"
            '<w:r><w:t>,</w:t><w:footnoteReference w:id="1"/><w:tab/><w:t>well</w:t><w:br/><w:t>it.</w:t></w:r>'
            "<w:r><w:rPr><w:vanish/></w:rPr><w:t>hidden</w:t></w:r><w:r><w:instrText>PAGE</w:instrText></w:r></w:p>"
            '<w:p><w:pPr><w:rPr><w:del/></w:rPr></w:pPr><w:r><w:t xml:space="preserve">One </w:t></w:r></w:p>'
            "<w:p><w:r><w:t>line.</w:t></w:r></w:p>"
        )
    )
    assert shown(document) == ["He never said,\twell\nit.", "One line."]
    assert reasons(document) == {"deleted": "always"}


def test_docx_scene_breaks():
    ruled = '<w:p><w:pPr><w:pBdr><w:bottom w:val="single"/></w:pBdr></w:pPr></w:p>'
    new_page = '<w:p><w:r><w:br w:type="page"/></w:r></w:p>'
    body = paragraph(TALE).join(["", ruled, paragraph("* * *"), new_page, ""])
    assert (
        shown(read(docx(body)))
        == [TALE, "---", TALE, "---", TALE, "---", TALE][: len(shown(read(docx(body))))]
    )
    assert shown(read(docx(body))).count("---") == 3


def test_docx_lines_that_look_like_headings_are_headings_if_there_are_no_others():
    head = {"properties": '<w:jc w:val="center"/>', "run": "<w:b/>"}
    body = "".join(paragraph(title, **head) + paragraph(TALE) * 3 for title in ("The Lamp", "Boots", "Salt"))
    assert [block.text for block in read(docx(body)).blocks if block.kind == "heading"] == [
        "The Lamp",
        "Boots",
        "Salt",
    ]
    larger = body + paragraph("Ebb", run='<w:b/><w:sz w:val="40"/>') + paragraph(TALE)
    assert [block.text for block in read(docx(larger)).blocks if block.kind == "heading"][-1] == "Ebb"
    notes = "".join(paragraph("Author's note:", **head) + paragraph(TALE) * 3 for _ in range(3))
    assert not [block for block in read(docx(notes)).blocks if block.kind == "heading"]


def test_titles_that_only_capitals_or_empty_paragraphs_tell():
    names = ["The Lamp", "Boots", "Slack Water", "Ebb"]
    apart, gaps = paragraph(""), paragraph("") * 2
    for body in (
        "".join(paragraph(name.upper()) + paragraph(TALE) * 3 for name in names),
        "".join(apart + paragraph(name) + apart + paragraph(TALE) * 3 for name in names),
        "".join(gaps + paragraph(name) + (apart + paragraph(TALE)) * 3 for name in names),
    ):
        blocks = read(docx(body)).blocks
        assert [block.text.title() for block in blocks if block.kind == "heading"] == names
        assert not any(block.kind == "divider" for block in blocks)
    shouted = "".join(paragraph(TALE) * 4 + paragraph(name.upper()) for name in names)
    assert not [block for block in read(docx(shouted)).blocks if block.kind == "heading"]


def test_chapters_whose_style_was_forgotten_or_is_another():
    lower = {"properties": '<w:outlineLvl w:val="1"/>'}
    styles = [{"style": "berschrift1"}, lower, {"style": "berschrift1"}, {}, *[{"style": "berschrift1"}] * 2]
    body = "".join(
        paragraph(f"Chapter {k}", **style) + paragraph(TALE) * 2 for k, style in enumerate(styles, 1)
    )
    body += paragraph("Notes", **lower) + paragraph(TALE)
    levels = [(block.text, block.level) for block in read(docx(body)).blocks if block.kind == "heading"]
    assert levels == [*((f"Chapter {k}", 2) for k in range(1, 7)), ("Notes", 3)]


@pytest.mark.parametrize("line", ["NO", "STOP"])
def test_a_word_that_recurs_in_a_document_does_not_part_stories(tmp_path: Path, line: str):
    body = "".join(paragraph(f"{TALE * 3} It was day {k}.") * 2 + paragraph(line) for k in range(5))
    (tmp_path / "a.docx").write_bytes(docx(body))
    assert [story.part for story in open_stories(tmp_path / "a.docx")] == [1, 2]


@pytest.mark.parametrize("line", ["NEXT STORY", "The End", "=====", "[hr]"])
def test_lines_that_part_stories_in_a_document(tmp_path: Path, line: str):
    tales = [[f"{TALE * 3} It was day {k}.", f"Then {TALE * 3}"] for k in range(5)]
    body = "".join(paragraph(text) for tale in tales for text in [*tale, line])
    (tmp_path / "a.docx").write_bytes(docx(body))
    assert [story.text.split("\n\n") for story in open_stories(tmp_path / "a.docx")] == tales


def test_pages_of_forums_and_of_reddit():
    def post(number: int) -> str:
        head = f"<div class='message-cell--user'>quill</div><div class='message-cell--threadmark-header'>Part {number}</div>"
        foot = "<aside class='message-signature'>My other tales</aside>"
        return f"<article>{head}<p>{TALE}</p><p>It was late.</p>{foot}</article>"

    document = read(page("".join(map(post, range(3)))).encode())
    assert shown(document) == [line for k in range(3) for line in (f"# Part {k}", TALE, "It was late.")]
    comment = f"<div class='thing comment'><p class='tagline'>quill 4 points</p><p>{TALE}</p><ul class='flat-list'><li>reply</li></ul></div>"
    assert shown(read(page(comment * 3).encode())) == [TALE, "---", TALE, "---", TALE]


def test_a_style_of_headings_on_all_of_a_text_makes_no_headings():
    document = read(docx(paragraph("Tales", "Titel") + paragraph(TALE * 4, "berschrift1") * 6))
    assert shown(document) == ["# Tales", *[TALE * 4] * 6]


def test_the_encoding_of_a_page_that_does_not_name_it():
    tale = "Старик у моря чинил лодку и слушал чаек. Чей это сапог, спросил он."
    for encoding in ("koi8-r", "windows-1251", "utf-8"):
        data = f"<html><body><p>{tale}</p><p>{tale}</p></body></html>".encode(encoding)
        assert shown(read(data)) == [tale] * 2
    with pytest.raises(FabulaError, match="encoding of this page"):
        read(b"<html><body><p>" + bytes(range(0x80, 0x100)) * 4 + b"</p></body></html>")


def test_docx_titles_in_a_style_or_a_list_of_their_own():
    number = "<w:numPr><w:numId w:val='1'/></w:numPr>"
    names = ["The Lamp", "Boots", "Slack Water"]
    for style, properties in (("ChapterName", ""), ("", number)):
        body = "".join(paragraph(name, style, properties) + paragraph(TALE) * 3 for name in names)
        found = [block.text for block in read(docx(body)).blocks if block.kind == "heading"]
        assert found == names
        long = body + paragraph(TALE, style, properties)  # not only titles have this style
        assert not [block for block in read(docx(long)).blocks if block.kind == "heading"]


def test_docx_chapters_without_any_format_and_below_a_title():
    body = "".join(paragraph(f"Chapter {word}") + paragraph(TALE) * 3 for word in ("One", "Two", "Three"))
    for before in ("", paragraph("The Tide", style="Title")):
        headings = [block.text for block in read(docx(before + body)).blocks if block.kind == "heading"]
        assert headings[-3:] == ["Chapter One", "Chapter Two", "Chapter Three"]


def test_docx_numbers_that_count_up_are_chapters():
    body = "".join(paragraph(str(number)) + paragraph(TALE) * 3 for number in (1, 2, 3))
    assert [block.text for block in read(docx(body)).blocks if block.kind == "heading"] == ["1", "2", "3"]
    body = "".join(paragraph(str(number)) + paragraph(TALE) * 3 for number in (1914, 7, 3))
    assert not [block for block in read(docx(body)).blocks if block.kind == "heading"]


def test_tables_with_a_story_a_row():
    """In Word and on web pages; other tables are read cell by cell."""
    rows = [("0", "The Lamp", TALE * 4), ("1", "Boots", TALE * 5), ("2", "Salt", TALE * 4)]
    html = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    word = "".join(
        "<w:tr>" + "".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) + "</w:tr>" for row in rows
    )
    tables = [
        page(f"<table><tr><th>n</th><th>title</th><th>story</th></tr>{html}</table>").encode(),
        docx(f"<w:tbl>{word}</w:tbl>"),
    ]
    for table in tables:
        blocks = read(table).blocks
        assert [block.text for block in blocks if block.kind == "heading"] == ["The Lamp", "Boots", "Salt"]
        assert [" ".join(block.text.split()) for block in blocks if block.kind == "paragraph"] == [
            " ".join(row[2].split()) for row in rows
        ]
    layout = page(f"<table><tr><td>Home</td><td>{TALE * 9}</td></tr></table>")
    assert not [block for block in read(layout.encode()).blocks if block.kind == "heading"]


def test_docx_empty_lines_are_scene_breaks_where_they_are_rare():
    empty = paragraph("")
    rare = (paragraph(TALE) * 5 + empty) * 3 + paragraph(TALE)
    assert shown(read(docx(rare))).count("---") == 3
    usual = (paragraph(TALE) + empty) * 12 + paragraph(TALE)
    assert "---" not in shown(read(docx(usual)))
    wide = ((paragraph(TALE) + empty) * 6 + empty * 3) * 2 + paragraph(TALE)
    assert shown(read(docx(wide))).count("---") == 2


# OpenDocument, RTF, FictionBook.


def test_odt():
    styles = (
        '<style:style style:name="P1" style:family="paragraph" style:parent-style-name="Title"/>'
        '<style:style style:name="P2" style:family="paragraph"><style:paragraph-properties fo:break-before="page"/></style:style>'
        '<style:style style:name="T1" style:family="text"><style:text-properties text:display="none"/></style:style>'
    )
    document = read(
        odt(
            "<text:tracked-changes><text:changed-region><text:deletion><text:p>gone</text:p></text:deletion>"
            "</text:changed-region></text:tracked-changes>"
            '<text:p text:style-name="P1">Tales</text:p><text:h text:outline-level="1">One</text:h>'
            '<text:p>A<text:s text:c="2"/>fox<text:note><text:note-body><text:p>note</text:p></text:note-body></text:note>'
            '\n  ran<text:line-break/>on<text:span text:style-name="T1">hid</text:span>.'
            "<office:annotation><dc:creator>me</dc:creator><text:p>nice</text:p></office:annotation></text:p>"
            "<text:table-of-content><text:index-body><text:p>One 3</text:p></text:index-body></text:table-of-content>"
            '<text:p text:style-name="P2">After.</text:p>',
            styles,
        )
    )
    assert shown(document) == ["# Tales", "## One", "A  fox ran\non.", "---", "After."]
    assert reasons(document) == {"deleted": "gone", "contents": "One 3"}


def test_rtf():
    document = read(
        rb"{\rtf1\ansi\ansicpg1251\uc1{\fonttbl{\f0\fcharset204 Times;}{\f1\fcharset0 Arial;}}"
        rb"{\stylesheet{\ql Normal;}{\s1\outlinelevel0 heading 1;}}{\*\generator X;}{\info{\title Tales}}"
        rb"{\header\pard My header\par}\pard\s1\b \'c3\'eb\'e0\'e2\'e0 1\b0\par"
        b"\r\n"
        rb"\pard\plain\f0 \'c6\'e8\'eb {\i \'e1\'fb\'eb} \u8220?\'f1\'f2\'e0\'f0\'e8\'ea\u8221\'94 {\deleted gone}{\v hid}"
        rb"{\footnote \pard note\par}\emdash  end.\par\page\pard\s1 2\par\pard\plain a\line b \{c\}\~d\par}"
    )
    assert shown(document) == ["## Глава 1", "Жил был “старик” — end.", "---", "## 2", "a\nb {c}\xa0d"]
    assert reasons(document) == {
        "running_head": "My header",
        "deleted": "gone",
        "hidden": "hid",
        "footnote": "note",
    }


def test_the_sign_for_a_picture_in_rtf_goes():
    picture = rb"{{\NeXTGraphic boat.png \width900 \appleaqc\n}\'ac}"
    document = read(rb"{\rtf1\ansi One." + picture + rb"\par Two.}")
    assert shown(document) == ["One.", "Two."]


def test_fb2():
    document = read(
        '<?xml version="1.0" encoding="windows-1251"?><FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0">'
        "<description><title-info><book-title>Сказки</book-title></title-info></description><body><title><p>Сказки</p></title>"
        "<section><title><p>Глава</p><p>первая</p></title><p>Жил <emphasis>был</emphasis><a type='note'>1</a>.</p>"
        "<subtitle>* * *</subtitle><poem><stanza><v>раз</v><v>два</v></stanza></poem></section></body>"
        "<body name='notes'><section><p>note</p></section></body><binary>AAAA</binary></FictionBook>".encode(
            "cp1251"
        )
    )
    assert document.title == "Сказки"
    assert shown(document) == ["# Сказки", "## Глава первая", "Жил был.", "---", "раз\nдва"]


# Web pages and e-books.


def test_html_of_word():
    document = read(
        "<html xmlns:o='urn:x'><head><meta http-equiv=Content-Type content='text/html; charset=windows-1252'><style>p {}</style>"
        "<!--[if gte mso 9]><xml><w:View>Normal</w:View></xml><![endif]--></head><body><p class=MsoTitle>Tales<o:p></o:p></p>"
        "<p class=MsoToc1><a href='#_1'>One</a></p><h1><a name='_1'>One</a></h1><p class=MsoNormal>“A\nfox<a href='#_ftn1'>[1]</a>”"
        "<o:p></o:p></p><p class=MsoNormal align=center>* * *</p><p class=MsoNormal>B</p>"
        "<div style='mso-element:footnote-list'><p class=MsoFootnoteText><a href='#_ftnref1'>[1]</a> note</p></div>".encode(
            "cp1252"
        )
    )
    assert shown(document) == ["# Tales", "# One", "“A fox”", "---", "B"]


def test_html_of_google_docs():
    document = read(
        b'<html><head><style>.c1{}</style></head><body><p class="c2 title">Tales</p><p><span><a href="#h.1">One</a></span></p>'
        b'<h1 id="h.1"><span>One</span></h1><p><span>She </span><span>ran</span><sup><a href="#ftnt1">[1]</a></sup>.'
        b'<sup><a href="#cmnt1">[a]</a></sup></p><p><span></span></p><hr><div><p><a href="#ftnt_ref1">[1]</a> note</p></div>'
        b'<div><p><a href="#cmnt_ref1">[a]</a><span>nice line!</span></p></div></body></html>'
    )
    assert shown(document) == ["# Tales", "# One", "She ran."]


PAGES = {
    "royal-road": (
        "<style>.cjZ { speak: never; display: none; }</style><nav>RR</nav><h1>Chapter 1</h1><div class='portlet author-note-portlet'>"
        "<p>Patreon</p></div><div class='chapter-inner chapter-content'><p>{0}</p><p class='cjZ'>Stolen!</p><p>***</p><p>{0}</p></div>"
        "<div class='comments'><p>Nice</p></div>",
        ["# Chapter 1", TALE, "---", TALE],
    ),
    "fanfiction.net": (
        "<div id=profile_top>Summary</div><select><option>1. A<option>2. B</select><div class='storytext' id='storytext'><p>{0}"
        "<p style='text-align:center'>xXx</p><p>{0}<hr noshade><p>{0}</div><textarea>Review</textarea>",
        [TALE, "---", TALE, "---", TALE],
    ),
    "ao3": (
        "<header id=header><h1><a href='https://archiveofourown.org/'>AO3</a></h1></header><dl class='work meta group'><dt>Rating</dt></dl>"
        "<div id=workskin><div class='preface group'><h2 class='title heading'>Tale</h2><h3 class='byline heading'>me</h3>"
        "<div class='summary module'><h3>Summary:</h3><p>Sum</p></div></div><div id=chapters><div class='userstuff'>"
        "<h3 class='landmark heading'>Chapter Text</h3><p>{0}</p></div><div class='end notes module'><h3>Notes:</h3></div></div></div>",
        ["## Tale", TALE],
    ),
    "blog": (
        "<ul class=menu><li><a href=/>Home</a></ul><article><header><h1>One</h1><p class=byline>by me</p></header><p>{0}<br><br>{0}</p>"
        "<p><a href=/2>Next</a> | <a href=/0>Previous</a></p></article><aside>Ads</aside><footer>©</footer>",
        ["# One", TALE, TALE],
    ),
    "medium": (
        "<header><h1>One</h1></header><section data-field=subtitle class=p-summary>The fox…</section><section class=e-content>"
        "<hr><p>{0}</p><p>{0}</p></section>",
        ["# One", "---", TALE, TALE],
    ),
    "pages": (
        "<p><a class=pageref name=page5>[5]</a> {0}</p>",
        [TALE],
    ),
    "library": (
        "<pre>\n<ul><h2>One</h2></ul>\n     {0}\n     {0}\n{0}\n</pre>",
        ["## One", TALE, f"{TALE}\n{TALE}"],
    ),
    "newsletter": (
        "<p>{0}</p><div class='subscription-widget-wrap'><p>Subscribe for free to receive new posts.</p></div><p>{0}</p>",
        [TALE, TALE],
    ),
    "old": (
        "<form><table><tr><td><font size=2>{0}<p>{0}<p align=center>#<p>{0}</font></table></form>",
        [TALE, TALE, "---", TALE],
    ),
}


@pytest.mark.parametrize("site", PAGES)
def test_web_pages(site: str):
    body, blocks = PAGES[site]
    data = (
        f"<!DOCTYPE html><html><head><title>A</title></head><body>{body.replace('{0}', TALE)}</body></html>"
    )
    assert shown(read(data.encode())) == blocks


def test_names_that_mean_something_else_lose_no_story():
    data = f"<html><body><div class='comments'>{f'<p>{TALE}</p>' * 9}</div></body></html>"
    assert shown(read(data.encode())) == [TALE] * 9


def test_epub_chapters_from_its_contents():
    pages = [
        ("cover.xhtml", page("<div><svg/></div>")),
        ("copy.xhtml", page("<p>Copyright 2020</p>")),
        (
            "a.xhtml",
            page(
                f'<p class="c3" id="a1"><b>Chapter One</b></p><p>{TALE}</p><a id="p2"/><p id="a2">Two:</p><p>{TALE}&nbsp;</p>'
            ),
        ),
        ("b.xhtml", page(f"<p>{TALE}</p>")),
        ("c.xhtml", page(f"<h2>Four</h2><p>{TALE}</p>")),
    ]
    chapters = [
        ("Copyright", "copy.xhtml"),
        ("Chapter One", "a.xhtml#a1"),
        ("Two", "a.xhtml#a2"),
        ("Three", "b.xhtml"),
        ("4", "c.xhtml"),
    ]
    document = read(epub(pages, chapters))
    assert shown(document) == ["# Chapter One", TALE, "# Two:", TALE, "# Three", TALE, "## Four", TALE]
    assert document.title == "Tales"
    assert reasons(document) == {"front_matter": "Copyright 2020"}


# PDF.


def test_pdf_without_page_numbers_and_running_heads():
    words = (
        "The fox ran down to the quay, and looked at the boats that were well-kept for a long and fool- ish while. "
        * 4
    ).split()
    lines = textwrap.wrap(" ".join(words), 60, break_on_hyphens=False)
    pages = []
    for number in range(1, 7):
        head = [(50, 560, 9, "A. Writer" if number % 2 else "The Tide-Table"), (200, 30, 9, str(number + 10))]
        body = [(70 if k % 8 == 0 else 50, 500 - 14 * k, 11, line) for k, line in enumerate(lines)]
        pages.append([*head, *([(150, 530, 18, f"Chapter {number}")] if number % 2 else []), *body])
    document = read(pdf(pages))
    assert [block.text for block in document.blocks if block.kind == "heading"] == [
        "Chapter 1",
        "Chapter 3",
        "Chapter 5",
    ]
    text = " ".join(block.text for block in document.blocks)
    assert "Tide-Table" not in text
    assert "Writer" not in text
    assert not any(str(number) in text for number in range(11, 17))
    assert set(reasons(document)) == {"page_number", "running_head"}


def test_pdf_of_a_web_page():
    lines = textwrap.wrap(TALE * 3, 60)
    page: list[tuple[float, float, float, str]] = [
        (50, 500 - 14 * k, 11, line) for k, line in enumerate(lines)
    ]
    page += [
        (30, 575, 8, "3/4/23, 10:12 AM"),
        (200, 575, 8, "The Lamp"),
        (30, 20, 8, "https://quay.example/lamp 1/1"),
    ]
    document = read(pdf([page]))
    assert shown(document) == [" ".join(lines)]
    assert reasons(document)["running_head"].startswith("3/4/23")


def test_pdf_chapters_in_the_size_of_the_text():
    lines = textwrap.wrap(TALE * 12, 60)
    pages: list[list[tuple[float, float, float, str]]] = [
        [(160, 480, 11, f"Chapter {word}"), *((70 if k % 6 == 0 else 50, 440 - 20 * k, 11, line) for k, line in enumerate(lines[:18]))]
        for word in ("One", "Two", "Three")
    ]  # fmt: skip
    headings = [block.text for block in read(pdf(pages)).blocks if block.kind == "heading"]
    assert headings == ["Chapter One", "Chapter Two", "Chapter Three"]


def test_pdf_hyphens():
    lines = [
        "He was a fool-",
        "ish man, and well-",
        "kept. He was well-kept and",
        "foolish all the same, as one",
        "would think of such.",
    ]
    document = read(pdf([[(50, 500 - 14 * k, 11, line) for k, line in enumerate(lines)]]))
    assert shown(document) == [
        "He was a foolish man, and well-kept. He was well-kept and foolish all the same, as one would think of such."
    ]


def test_pdf_without_text_names_ocr():
    with pytest.raises(FabulaError, match="OCR"):
        read(pdf([[], []]))


# Kinds, damage and attacks.


@pytest.mark.parametrize(
    ("data", "kind", "hint"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "doc", "save it as .docx"),
        (zip_of([("xl/workbook.xml", "<x/>")]), "xls", "CSV"),
        (zip_of([("Index/Document.iwa", b"x")]), "pages", "export it"),
        (bytes(60) + b"BOOKMOBI" + bytes(99), "mobi", "Calibre"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + "EncryptedPackage".encode("utf-16-le"), "locked", "password"),
    ],
)
def test_kinds_that_are_not_read_say_what_to_do(data: bytes, kind: str, hint: str):
    assert document_kind(data) == kind
    with pytest.raises(FabulaError, match=hint):
        read(data)


@pytest.mark.parametrize(
    "text",
    ["<sos> A tale <eos>", "<3 you", "Once < upon", "<s>A</s>", "[Verse 1]", "PK tale", "<|startoftext|>x"],
)
def test_text_is_not_a_document(text: str):
    assert document_kind(text.encode()) == ""


def test_entities_of_untrusted_files_are_not_expanded():
    bomb = '<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;"><!ENTITY f SYSTEM "file:///etc/passwd">]>'
    data = zip_of(
        [
            (
                "word/document.xml",
                f'{bomb}<w:document xmlns:w="x"><w:body><w:p><w:r><w:t>A&b;&f;z</w:t></w:r></w:p></w:body></w:document>',
            )
        ]
    )
    assert "aaa" not in "".join(shown(read(data)))
    assert "root" not in "".join(shown(read(data)))


def test_a_zip_bomb_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(packages, "MAX_PART_BYTES", 1 << 16)
    with pytest.raises(FabulaError, match="too large"):
        read(docx(paragraph("a" * (1 << 17))))


def test_a_locked_book_is_refused():
    lock = '<encryption xmlns:e="x"><e:EncryptedData><e:CipherReference URI="OPS/a.xhtml"/></e:EncryptedData></encryption>'
    with pytest.raises(FabulaError, match="DRM"):
        read(zip_of([("mimetype", "application/epub+zip"), ("META-INF/encryption.xml", lock)]))


SAMPLES = [
    docx(paragraph("One", "berschrift1") + paragraph(TALE)),
    odt(f'<text:h text:outline-level="1">One</text:h><text:p>{TALE}</text:p>'),
    epub([("a.xhtml", page(f"<h1>One</h1><p>{TALE}</p>"))], [("One", "a.xhtml")]),
    b"{\\rtf1\\ansi{\\fonttbl{\\f0 A;}}\\pard\\u233?\\'e9 tale\\par}",
    f"<html><body><h1>One</h1><p>{TALE}</p></body></html>".encode(),
    f"<FictionBook><body><section><title><p>One</p></title><p>{TALE}</p></section></body></FictionBook>".encode(),
    pdf([[(50, 500, 12, TALE)]]),
]


@given(
    st.integers(0, len(SAMPLES) - 1),
    st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=3)), min_size=1, max_size=6),
)
@settings(max_examples=300, deadline=None)
def test_damage_is_an_error_in_one_line(sample: int, changes: list[tuple[int, bytes]]):
    data = bytearray(SAMPLES[sample])
    kind = document_kind(bytes(data))
    for place, new in changes:
        place %= len(data)
        data[place : place + len(new)] = new
    with contextlib.suppress(FabulaError):
        read_document(bytes(data), kind, "a")


PROSE = st.text(
    st.characters(min_codepoint=33, max_codepoint=0x2FFF, exclude_categories=["C", "Z"]),
    min_size=1,
    max_size=20,
)


@given(st.lists(PROSE.filter(lambda text: not is_divider(text)), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_any_text_survives(texts: list[str]):
    import html

    inner = "".join(f"<p>{html.escape(text)}</p>" for text in texts)
    assert shown(read(docx("".join(map(paragraph, texts))))) == texts
    assert shown(read(odt("".join(f"<text:p>{html.escape(text)}</text:p>" for text in texts)))) == texts
    assert shown(read(epub([("a.xhtml", page(inner))]))) == texts
    escaped = ("".join(f"\\u{ord(c) - 65536 * (ord(c) > 32767)}?" for c in text) + "\\par" for text in texts)
    assert shown(read(("{\\rtf1 " + "\n".join(escaped) + "}").encode())) == texts


@pytest.mark.parametrize(
    "line", ["***", "* * *", "#", "---", "⁂", "~*~", "oOo", "xXx", "-x-x-", "[scene break]", "• • •", "———"]
)
def test_dividers(line: str):
    assert is_divider(line)


@pytest.mark.parametrize("line", ["...", "—", "-", "ox", "No.", "“…”", "", "Oh", "0", "x", "!!!", "XX"])
def test_no_dividers(line: str):
    assert not is_divider(line)


def test_books_that_are_folders_are_read(tmp_path: Path):
    chapters = [f"<h2>Chapter {k}</h2><p>{TALE} {k}</p>" for k in range(1, 7)]
    packed = tmp_path / "packed.epub"
    packed.write_bytes(epub([(f"c{k}.xhtml", page(body)) for k, body in enumerate(chapters)]))
    with zipfile.ZipFile(packed) as archive:
        archive.extractall(tmp_path / "Books" / "Quay.epub")
    for path in (tmp_path / "Books", tmp_path / "Books" / "Quay.epub"):
        source = open_stories(path)
        assert [story.text for story in source] == [story.text for story in open_stories(packed)]
        assert [plan.name for plan in source.plans] == ["Quay.epub"]
        assert source.fingerprint == open_stories(path).fingerprint

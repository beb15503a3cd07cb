"""Less common formats: XML, mail, Arrow, fine-tuning templates, Aozora Bunko, and formats that are refused."""

import email.message
import json
import textwrap
import time
import zipfile
from pathlib import Path

import pytest

from fabula.corpus.formats.base import ReadingLog
from fabula.corpus.read import open_stories
from fabula.errors import FabulaError
from fabula.story import Story

TALES = [
    f"The fox ran down to quay number {k}, and looked at the boats for a long while.\n"
    f"“It is late,” said gull {k}, and all the boats on the water went out at once & came back."
    for k in range(6)
]


def read(path: Path, content: str | bytes, **options) -> list[Story]:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(open_stories(path, **options))


def texts(stories: list[Story]) -> list[str]:
    return [story.text for story in stories]


def escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")


def paragraphs(text: str) -> str:
    return "".join(f"<p>{escaped(line)}</p>" for line in text.split("\n"))


def test_xml_with_its_own_elements(tmp_path: Path):
    records = "".join(
        f'<story id="{k}"><title>T{k}</title><author>A. Writer</author><text>{escaped(tale)}</text></story>'
        for k, tale in enumerate(TALES)
    )
    stories = read(tmp_path / "a.xml", f"<?xml version='1.0'?><stories>{records}</stories>")
    assert texts(stories) == TALES
    assert [story.title for story in stories] == [f"T{k}" for k in range(6)]


@pytest.mark.parametrize("field", ["description", "content:encoded"])
def test_feeds_and_exports_of_blogs(tmp_path: Path, field: str):
    items = "".join(
        f"<item><title>T{k}</title><link>https://example.org/{k}</link><{field}><![CDATA[<!-- wp:paragraph -->\n{paragraphs(tale)}]]></{field}>"
        "<wp:post_type>post</wp:post_type></item>"
        for k, tale in enumerate(TALES)
    )
    items += f"<item><title>Menu</title><{field}>{'menu ' * 50}</{field}><wp:post_type>nav_menu_item</wp:post_type></item>"
    spaces = (
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:wp="http://wordpress.org/export/1.2/"'
    )
    feed = f'<?xml version="1.0"?>\n<!-- the posts of a blog -->\n<rss version="2.0" {spaces}><channel><title>Quay</title>{items}</channel></rss>'
    assert texts(read(tmp_path / "feed.txt", feed)) == TALES


def test_tei_keeps_paragraphs_and_the_heads_of_chapters(tmp_path: Path):
    chapters = "".join(
        f"<div><head>Chapter {k}</head>{paragraphs(tale)}</div>" for k, tale in enumerate(TALES)
    )
    header = "<teiHeader><fileDesc><titleStmt><title>Quay</title></titleStmt></fileDesc></teiHeader>"
    book = f'<TEI xmlns="http://www.tei-c.org/ns/1.0">{header}<text><body>{chapters}</body></text></TEI>'
    stories = read(tmp_path / "book.xml", book)
    assert texts(stories) == TALES
    assert stories[1].title == "Chapter 1"


def message(tale: str, number: int) -> bytes:
    made = email.message.EmailMessage()
    made["From"], made["Subject"] = "Mara <m@example.org>", f"Tale {number}"
    made.set_content(tale)
    return made.as_bytes()


def test_a_mailbox(tmp_path: Path):
    box = b"".join(
        b"From m@example.org Mon Mar  1 10:00:00 2021\n" + message(tale, k) + b"\n"
        for k, tale in enumerate(TALES)
    )
    stories = read(tmp_path / "list.mbox", box)
    assert texts(stories) == TALES
    assert stories[2].title == "Tale 2"
    assert stories[1].source_line > stories[0].source_line
    signed = b"".join(message(f"{tale}\n\n-- \nMara Quill\nThe Quay", k) for k, tale in enumerate(TALES[:1]))
    assert texts(read(tmp_path / "a.eml", signed)) == TALES[:1]


def test_a_digest_of_a_mailing_list(tmp_path: Path):
    rule = "-" * 30
    heads = (
        f"Message: {k}\nDate: Mon, 1 Mar 2004\nFrom: a@example.org\nSubject: Tale {k}\n\n" for k in range(6)
    )
    messages = [f"{head}{tale}\n" for head, tale in zip(heads, TALES, strict=True)]
    footer = f"Subject: Digest Footer\n\nWrite to us.\n\n{rule}\n\nEnd of Quay Digest, Vol 3\n****\n"
    topics = "Today's Topics:\n\n   1. Tale 0\n\n" + "-" * 70
    stories = read(tmp_path / "v3.txt", f"\n\n{rule}\n\n".join([topics, *messages, footer]))
    assert texts(stories) == TALES
    assert stories[1].title == "Tale 1"


def test_a_page_saved_in_one_file(tmp_path: Path):
    made = email.message.EmailMessage()
    made["Subject"] = "The Quay"
    made.set_content(
        f"<html><body>{paragraphs(TALES[0])}</body></html>".encode(), "text", "html", cte="base64"
    )
    assert texts(read(tmp_path / "a.mhtml", made.as_bytes())) == TALES[:1]


TEMPLATES = {
    "llama-2": "<s>[INST] About quay {k} [/INST] {tale} </s>\n",
    "chatml": "<|im_start|>user\nAbout quay {k}<|im_end|>\n<|im_start|>assistant\n{tale}<|im_end|>\n",
    "llama-3": "<|start_header_id|>user<|end_header_id|>\n\nAbout quay {k}<|eot_id|><|start_header_id|>assistant<|end_header_id|>"
    "\n\n{tale}<|eot_id|>",
    "deepseek": "<｜begin▁of▁sentence｜><｜User｜>About quay {k}<｜Assistant｜>{tale}<｜end▁of▁sentence｜>\n",
    "gemma": "<start_of_turn>user\nAbout quay {k}<end_of_turn>\n<start_of_turn>model\n{tale}<end_of_turn>\n",
    "alpaca": "### Instruction:\nAbout quay {k}\n\n### Response:\n{tale}\n\n",
    "forum": "[WP] About quay {k} [RESPONSE] {tale}\n",
    "title": "<|title|>About quay {k}<|story|>{tale}<|end|>\n",
    "separator": "<BOS> About quay {k} <SEP> {tale} <EOS>\n",
    "pasted": "You said:\nAbout quay {k}\n\nChatGPT said:\n{tale}\n\n",
    "page": "**You:** About quay {k}\n\n**Claude:** {tale}\n\n",
    "labels": "Prompt: About quay {k}\nStory: {tale}\n\n",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_of_fine_tuning(tmp_path: Path, template: str):
    content = "".join(TEMPLATES[template].format(k=k, tale=tale) for k, tale in enumerate(TALES))
    stories = read(tmp_path / "a.txt", content, prompt_column="prompt")
    assert texts(stories) == TALES
    assert [story.prompt for story in stories] == [f"About quay {k}" for k in range(6)]


@pytest.mark.parametrize("template", ["llama-2", "chatml", "alpaca", "separator", "labels"])
def test_templates_in_the_cells_of_a_table(tmp_path: Path, template: str):
    rows = [{"text": TEMPLATES[template].format(k=k, tale=tale)} for k, tale in enumerate(TALES)]
    assert texts(read(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)))) == TALES


def test_a_mail_that_only_goes_with_its_attachment(tmp_path: Path):
    mail = email.message.EmailMessage()
    mail["From"] = mail["To"] = "a@example.org"
    mail["Subject"] = "Tales"
    mail["Message-ID"] = "<1@example.org>"
    mail.set_content("Here they are.")
    mail.add_attachment(b"PK", maintype="application", subtype="zip", filename="tales.zip")
    with pytest.raises(FabulaError, match=r"in the attachment .tales\.zip."):
        read(tmp_path / "a.eml", mail.as_bytes())


def test_what_a_browser_saves_beside_its_pages_is_passed_over(tmp_path: Path):
    for k, tale in enumerate(TALES):
        (tmp_path / f"{k}.html").write_text(f"<html><body>{paragraphs(tale)}</body></html>")
    (tmp_path / "0_files").mkdir()
    (tmp_path / "0_files" / "ad.html").write_text("<html><body><p>Buy boats.</p></body></html>")
    (tmp_path / "blank.html").write_text("<html><body></body></html>")
    (tmp_path / "index.html").write_text("<html><body><p>My tales</p><a href='0.html'>One</a></body></html>")
    source, log = open_stories(tmp_path), ReadingLog()
    assert [(one.source, one.text) for one in source.passed_over] == [
        ("0_files/ad.html", "a part of the web page beside it")
    ]
    found = [story for part in source.ranges() for story in source.read(part, log)]
    assert [text.replace("\n\n", "\n") for text in texts(found)] == TALES
    assert {one.source: one.text for one in log.removals if one.line == 0} == {
        "blank.html": "there is no text in this document",
        "index.html": "a page of links",
    }


def test_signatures_are_no_attachments_with_stories(tmp_path: Path):
    mail = email.message.EmailMessage()
    mail["From"] = mail["To"] = "a@example.org"
    mail["Subject"] = "A tale"
    mail["Message-ID"] = "<1@example.org>"
    mail.set_content(TALES[0])
    mail.add_attachment(b"x", maintype="application", subtype="pkcs7-signature", filename="smime.p7s")
    (tmp_path / "b.eml").write_bytes(mail.as_bytes())
    assert len(read(tmp_path / "a.eml", mail.as_bytes())) == 1


def test_arrow(tmp_path: Path):
    pa = pytest.importorskip("pyarrow")
    table = pa.table({"n": list(range(6)), "text": TALES})
    for name, writer in (("stream", pa.ipc.new_stream), ("file", pa.ipc.new_file)):
        folder = tmp_path / name
        folder.mkdir()
        with writer(str(folder / "data-00000-of-00001.arrow"), table.schema) as file:
            file.write_table(table)
        (folder / "state.json").write_text('{"_data_files": [{"filename": "data-00000-of-00001.arrow"}]}')
        assert texts(list(open_stories(folder))) == TALES


def test_aozora(tmp_path: Path):
    key = "-" * 55 + "\n【テキスト中に現れる記号について】\n\n《》：ルビ\n" + "-" * 55 + "\n"
    tale = "　海辺の老人《ろうじん》は｜櫂《かい》のない舟を持っていた。毎朝、潮が靴を運んできた。\n" * 8
    book = "".join(
        f"\n［＃５字下げ］{n}［＃「{n}」は中見出し］\n\n{tale.replace('靴', f'靴{n}')}" for n in "一二三四"
    )
    stories = read(
        tmp_path / "b.txt", f"海辺の老人\n作者名\n\n{key}{book}\n\n底本：「海辺」出版社\n".encode("cp932")
    )
    assert [story.title for story in stories] == list("一二三四")
    assert not any(mark in story.text for story in stories for mark in "《｜［底")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"SQLite format 3\0" + bytes(100), "SQLite"),
        (b'<?xml version="1.0"?>\n<abiword version="3"><section><p>The fox ran.</p></section></abiword>', "AbiWord"),
        (b"<mediawiki><page><revision><text>The fox ran.</text></revision></page></mediawiki>", "wiki"),
        (b"<html><body><h3 class='noteHeading'>Highlight</h3><div class='noteText'>The fox.</div></body></html>", "Kindle"),
        (b"\\documentclass{book}\n\\begin{document}\nThe fox ran.\n\\end{document}\n", "LaTeX"),
        (b"#+TITLE: Quay\n* One :draft:\nThe fox ran.\n", "Org mode"),
        (b"== Quay ==\n\n'''The''' fox ran to the [[quay]].\n", "wiki"),
        (b":: StoryTitle\nQuay\n\n:: Start\nThe fox ran. [[Go on->Quay]]\n", "Twine"),
        (b"- title: A\n  text: |\n    The fox ran.\n- title: B\n  text: |\n    The gull flew.\n", "YAML"),
        (b"".join(b"%d\n00:00:0%d,000 --> 00:00:0%d,900\nThe fox ran.\n\n" % (k, k, k) for k in range(1, 6)), "subtitles"),
        (b"[Script Info]\nTitle: Quay\n", "subtitles"),
        (b"[ar: Marl]\n" + b"[00:01.20]The fox ran.\n" * 4, "subtitles"),
        (b"-> quay\n=== quay ===\nThe fox ran.\n* [Go on] -> quay\n", "script of a game"),
        (b'define m = Character("M")\nlabel start:\n    scene quay\n    m "The fox ran."\n', "script of a game"),
        (b"The fox ran.\n*choice\n  #Go on\n    *goto quay\n*label quay\n", "script of a game"),
        (b'<?xml version="1.0"?>\n<FinalDraft DocumentType="Script"><Content/></FinalDraft>', "screenplay"),
        (b'{"cells": [{"cell_type": "code", "source": ["import os"]}], "nbformat": 4}', "notebook"),
        (b'// from Quay\n[\n{"text": "The fox ran."}\n]\n', "JSON with comments"),
        (b'// mine\nconst stories = [\n"The fox ran.",\n"The gull flew."\n];\n', "program"),
        (b'window.YTD.tweets.part0 = [ {"tweet": {"full_text": "The fox ran."}} ]', "program"),
        (b"2023-03-02T10:00:01 INFO server.py:1 handled in 1 ms\n" * 9, "log"),
        (b"<html><body><tw-storydata name='Quay'><tw-passagedata>The fox ran.</tw-passagedata></tw-storydata></body></html>", "Twine"),
        (b'{"doc_id": "1A", "email": "a@example.org"}', "Google Drive"),
        (b"bplist00" + bytes(60), "web archive"),
        (b"The%20fox%20ran%20down%20to%20the%20quay%20and%20looked%20at%20the%20boats.\n" * 9, "encoded"),
        (b"\x1b[1mOne\x1b[0m\n\nThe fox ran.\n" * 9, "colours"),
        (b"---\ntitle: A\ntext: |\n  The fox ran.\n---\ntitle: B\ntext: |\n  The gull flew.\n", "YAML"),
        (b'[[story]]\ntitle = "A"\ntext = "The fox ran."\n', "TOML"),
        (b"WARC/1.0\r\nWARC-Type: conversion\r\n\r\nThe fox ran.\r\n", "crawl"),
        (b"".join(b"0:%02d\nThe fox ran.\n" % k for k in range(9)), "subtitles"),
        (b"".join(b"[00:0%d.000 --> 00:0%d.900]  The fox ran.\n" % (k, k) for k in range(6)), "subtitles"),
        (b"-- MySQL dump\nCREATE TABLE `tales` (\n  `body` text\n);\nINSERT INTO `tales` VALUES (1,'The fox ran.');\n", "SQL"),
        (b"COPY public.tales (id, body) FROM stdin;\n1\tThe fox ran.\n\\.\n", "SQL"),
        (b".. contents::\n\nQuay\n====\n\nThe fox ran.\n", "reStructuredText"),
        (b"= Quay\nA. Writer\n:toc:\n\n== One\n\nThe fox ran.\n", "AsciiDoc"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "LFS"),
        (b"Quay (A. Writer)\r\n- Your Highlight on page 3\r\n\r\nThe fox.\r\n==========\r\n" * 3, "Kindle"),
    ],
)  # fmt: skip
def test_what_is_refused_says_what_to_do(tmp_path: Path, content: bytes, words: str):
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(FabulaError, match=words) as caught:
        list(open_stories(tmp_path / "a.txt"))
    assert caught.value.hint


def test_a_scrivener_project_is_to_be_compiled(tmp_path: Path):
    folder = tmp_path / "Novel.scriv"
    folder.mkdir()
    (folder / "Novel.scrivx").write_text("<ScrivenerProject/>")
    with pytest.raises(FabulaError, match="Scrivener"):
        open_stories(tmp_path)


def test_a_block_in_the_front_matter_of_markdown_does_not_make_it_yaml(tmp_path: Path):
    (tmp_path / "a.md").write_text(f"---\ntitle: Quay\nsummary: >\n  About a fox.\n---\n\n{TALES[0]}")
    (tmp_path / "b.md").write_text(f"---\ntitle: Gull\nsummary: |\n  About a gull.\n---\n\n{TALES[1]}")
    assert texts(list(open_stories(tmp_path))) == TALES[:2]


def test_a_spreadsheet_among_texts_is_passed_over(tmp_path: Path):
    (tmp_path / "a.txt").write_text(TALES[0])
    (tmp_path / "b.txt").write_text(TALES[1])
    with zipfile.ZipFile(tmp_path / "plan.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    source = open_stories(tmp_path)
    assert [(one.source, one.text) for one in source.passed_over] == [("plan.xlsx", "a spreadsheet")]
    assert texts(list(source)) == TALES[:2]


def test_a_book_that_cannot_be_read_beside_one_that_can_is_passed_over(tmp_path: Path):
    for name, tale in zip("ab", TALES, strict=False):
        (tmp_path / f"{name}.txt").write_text(tale)
        (tmp_path / f"{name}.azw3").write_bytes(bytes(60) + b"BOOKMOBI" + bytes(99))
    source = open_stories(tmp_path)
    assert [one.source for one in source.passed_over] == ["a.azw3", "b.azw3"]
    assert texts(list(source)) == TALES[:2]
    (tmp_path / "c.azw3").write_bytes(bytes(60) + b"BOOKMOBI" + bytes(99))
    with pytest.raises(FabulaError, match="Kindle"):
        list(open_stories(tmp_path))


def test_readings_in_a_web_novel_are_left_out(tmp_path: Path):
    tale = (
        "海辺《うみべ》の老人は｜櫂《かい》のない舟を持っていた。《火の玉》と叫ぶと、灯台《とうだい》の火が点いた。\n"
        * 8
    )
    stories = read(
        tmp_path / "a.txt", "\n\n".join(f"第{k}話　潮\n\n{tale.replace('舟', f'舟{k}')}" for k in (1, 2, 3))
    )
    assert [story.title for story in stories] == ["第1話 潮", "第2話 潮", "第3話 潮"]
    assert stories[0].text.startswith(
        "海辺の老人は櫂のない舟1を持っていた。《火の玉》と叫ぶと、灯台の火が点いた。"
    )


def test_a_page_without_text_beside_a_table_is_passed_over(tmp_path: Path):
    (tmp_path / "chat.html").write_text("<html><body><div></div><script>var a = 1;</script></body></html>")
    (tmp_path / "tales.json").write_text(json.dumps([{"text": tale} for tale in TALES]))
    source, log = open_stories(tmp_path), ReadingLog()
    assert texts([story for part in source.ranges() for story in source.read(part, log)]) == TALES
    assert [(one.source, one.text) for one in log.removals] == [
        ("chat.html", "there is no text in this document")
    ]


def test_the_properties_of_a_page_of_notion_are_left_out(tmp_path: Path):
    properties = "Status: Draft\nTags: sea, ghosts\nLast edited time: March 4, 2023 9:14 PM\nMood: grey\n"
    said = "Mara: Who is there?\nTom: It is late.\n"
    for name, below in (("a", properties), ("b", properties), ("c", said)):
        (tmp_path / f"{name}.md").write_text(f"# Tale {name}\n\n{below}\n{TALES[ord(name) - 97]}\n")
    said = "Mara: Who is there?\nTom: It is late.\n\n"
    assert texts(list(open_stories(tmp_path))) == [TALES[0], TALES[1], said + TALES[2]]


def test_a_manuskript_project_is_to_be_compiled(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "a.msk", "w") as archive:
        archive.writestr("MANUSKRIPT", "1")
        archive.writestr("outline/0-Quay.md", f"title: Quay\nID: 1\n\n{TALES[0]}")
    with pytest.raises(FabulaError, match="Manuskript"):
        list(open_stories(tmp_path / "a.msk"))


def test_backups_are_passed_over(tmp_path: Path):
    for name in ("a.txt", "a.txt~", "~$a.docx", "b.txt", "b.txt.bak"):
        (tmp_path / name).write_text(TALES["a" not in name])
    assert texts(list(open_stories(tmp_path))) == TALES[:2]


def test_what_python_prints_is_read_as_json(tmp_path: Path):
    lines = "".join(f"{ {'title': f'T{k}', 'text': tale.split(chr(10))} }\n" for k, tale in enumerate(TALES))
    assert texts(read(tmp_path / "a.jsonl", lines)) == TALES
    rows = "".join(json.dumps({"n": k, "text": str(tale.encode())}) + "\n" for k, tale in enumerate(TALES))
    assert texts(read(tmp_path / "b.jsonl", rows)) == TALES


def test_an_object_of_titles_and_texts(tmp_path: Path):
    stories = read(tmp_path / "a.json", json.dumps({f"T{k}": tale for k, tale in enumerate(TALES)}))
    assert texts(stories) == TALES
    assert stories[3].title == "T3"


def test_a_markdown_table_and_a_table_after_another_line(tmp_path: Path):
    flat = [tale.replace("\n", " ") for tale in TALES]
    rows = "".join(f"| {k} | T{k} | {tale} |\n" for k, tale in enumerate(flat))
    stories = read(tmp_path / "a.md", f"| # | Title | Story |\n|---|:---|---|\n{rows}")
    assert texts(stories) == flat
    assert stories[1].title == "T1"
    rows = "".join(f'T{k},"{tale}"\n' for k, tale in enumerate(TALES))
    for before in ("Exported on 2021-03-04\n\n", "# Exported by a program\n# 2021-03-04\n"):
        assert texts(read(tmp_path / "a.csv", f"{before}Title,Body\n{rows}")) == TALES


def test_numbered_stories(tmp_path: Path):
    content = "\n\n".join(f"{k}. {(tale + chr(10)) * 3}" for k, tale in enumerate(TALES, 1))
    stories = read(tmp_path / "a.txt", content)
    assert [story.text.split("\n")[0] for story in stories] == [tale.split("\n")[0] for tale in TALES]


def test_prompts_come_from_a_column_or_from_titles(tmp_path: Path):
    rows = "".join(
        json.dumps({"title": f"[WP] About  quay {k}", "text": tale}) + "\n" for k, tale in enumerate(TALES)
    )
    for named in ("title", "prompt"):
        (tmp_path / f"{named}.jsonl").write_text(rows.replace('"title"', f'"{named}"'))
        stories = list(open_stories(tmp_path / f"{named}.jsonl", prompt_column=named))
        assert [story.prompt for story in stories] == [f"About quay {k}" for k in range(6)]
    book = "\n\n".join(f"[WP] About quay {k}\n\n{(tale + chr(10)) * 3}" for k, tale in enumerate(TALES))
    stories = read(tmp_path / "book.txt", book, prompt_column="title")
    assert [story.prompt for story in stories] == [f"About quay {k}" for k in range(6)]
    with pytest.raises(FabulaError, match="has no columns"):
        open_stories(tmp_path / "book.txt", prompt_column="prompts")
    with pytest.raises(FabulaError, match="no column 'promt'"):
        open_stories(tmp_path / "prompt.jsonl", prompt_column="promt")


def test_prompts_beside_wp_target(tmp_path: Path):
    (tmp_path / "train.wp_source").write_text("".join(f"[ WP ] About quay {k} .\n" for k in range(6)))
    lines = "".join(tale.replace("\n", " <newline> ") + "\n" for tale in TALES)
    (tmp_path / "train.wp_target").write_text(lines)
    stories = list(open_stories(tmp_path / "train.wp_target", prompt_column="prompt"))
    assert [story.prompt for story in stories] == [f"About quay {k}." for k in range(6)]
    assert open_stories(tmp_path).passed_over
    assert not open_stories(tmp_path, prompt_column="prompt").passed_over


def test_comments_and_settings_of_blogger_are_left_out(tmp_path: Path):
    def entry(kind: str, title: str, body: str) -> str:
        return (
            f'<entry><category scheme="x#kind" term="http://schemas.google.com/blogger/2008/kind#{kind}"/>'
            f'<title>{title}</title><content type="html">{escaped(paragraphs(body))}</content></entry>'
        )

    entries = "".join(entry("post", f"T{k}", tale) for k, tale in enumerate(TALES))
    entries += "".join(entry("comment", "Nice", "I loved the part with the lamp. " * 9) for _ in TALES)
    entries += entry("settings", "The name of the blog", "Quay Tales")
    feed = (
        f"<?xml version='1.0'?><feed xmlns='http://www.w3.org/2005/Atom'><title>Quay</title>{entries}</feed>"
    )
    assert texts(read(tmp_path / "blog.xml", feed)) == TALES


def test_an_exported_chat_of_telegram(tmp_path: Path):
    messages = "".join(
        f'<div class="message default clearfix"><div class="body"><div class="date details">10:0{k}</div>'
        f'<div class="from_name">mara_q</div><div class="text">{escaped(tale)}</div></div></div>'
        for k, tale in enumerate(TALES)
    )
    head = '<div class="page_header"><div class="text bold">Tales</div></div>'
    service = '<div class="message service"><div class="body details">1 March 2021</div></div>'
    page = f'<html><body>{head}<div class="page_body chat_page">{service}{messages}</div></body></html>'
    text = "\n".join(texts(read(tmp_path / "messages.html", page)))
    assert text.count("The fox ran") == len(TALES)
    assert not any(word in text for word in ("mara_q", "10:0", "March", "Tales"))


def test_a_saved_page_of_ao3(tmp_path: Path):
    chapters = "".join(
        f'<div class="chapter"><h3 class="title">Chapter {k}</h3><div id="notes" class="notes module"><h3>Notes:</h3>'
        f'<blockquote class="userstuff"><p>Sorry for the wait!</p></blockquote></div>'
        f'<div class="userstuff module"><h3 class="landmark heading">Chapter Text</h3>{paragraphs(tale * 3)}</div></div>'
        for k, tale in enumerate(TALES, 1)
    )
    page = f'<html><body><div id="workskin"><div id="chapters">{chapters}</div></div><div id="feedback">Kudos</div></body></html>'
    stories = read(tmp_path / "work.html", page)
    assert [story.title for story in stories] == [f"Chapter {k}" for k in range(1, 7)]
    assert not any(
        word in text for text in texts(stories) for word in ("Sorry", "Notes", "Chapter Text", "Kudos")
    )


def test_templates_links_and_properties_beside_stories_are_passed_over(tmp_path: Path):
    for k, tale in enumerate(TALES):
        (tmp_path / f"{k}.md").write_text(f"# T{k}\n\n{(tale + chr(10)) * 4}")
    (tmp_path / "Template.md").write_text("# {{title}}\n\n{{date}}\n\nWrite here.\n")
    (tmp_path / "Home.md").write_text("# Home\n\n" + "".join(f"[T{k}]({k}.md)\n\n" for k in range(6)))
    (tmp_path / "Mara.md").write_text("---\ntype: character\n---\n- age: 41\n- wants: the lamp\n")
    source = open_stories(tmp_path)
    assert len(list(source)) == len(TALES)
    assert {one.source: one.text for one in source.passed_over} == {
        "Template.md": "a template", "Home.md": "a list of links", "Mara.md": "a list of properties",
    }  # fmt: skip


def test_numbers_alone_are_chapters_in_markdown(tmp_path: Path):
    chapters = ["\n\n".join([f"*And* so {tale}", *[tale] * 3]).replace("\n", "\n\n") for tale in TALES]
    content = "\n\n".join(f"{k}.\n\n{tale}" for k, tale in enumerate(chapters, 1))
    stories = read(tmp_path / "a.md", content)
    assert [(story.title, story.part) for story in stories] == [(f"{k}.", k) for k in range(1, 7)]


def test_a_list_of_the_other_files_is_passed_over(tmp_path: Path):
    for k, tale in enumerate(TALES):
        (tmp_path / f"TALE{k}.TXT").write_text(tale)
    (tmp_path / "00INDEX.TXT").write_text("".join(f"tale{k}.txt  {k * 31}  T{k}\n" for k in range(6)))
    source = open_stories(tmp_path)
    assert texts(list(source)) == TALES
    assert [(one.source, one.text) for one in source.passed_over] == [("00INDEX.TXT", "a list of the files")]


@pytest.mark.parametrize("head", ["**{}**", "***{}***", "__{}__", "> **[WP]** {}", "> {}", "{}"])
def test_titles_and_prompts_in_markdown_without_headings(tmp_path: Path, head: str):
    tales = ["\n\n".join([*tale.split("\n"), f"And *so* {tale.lower()}"]) for tale in TALES]
    heads = [head.format(f"The Lamp {'ABCDEF'[k]}") for k in range(6)]
    content = "\n\n".join(f"{line}\n\n{tale}" for line, tale in zip(heads, tales, strict=True))
    stories = read(tmp_path / "a.md", content)
    assert texts(stories) == [tale.replace("*", "") for tale in tales]
    assert all(story.title.endswith(f"The Lamp {'ABCDEF'[k]}") for k, story in enumerate(stories))


def test_bullets_and_properties_of_logseq(tmp_path: Path):
    bullets = "\n".join(f"- {line}" for line in TALES[0].split("\n"))
    stories = read(tmp_path / "a.md", f"tags:: fiction\n\n{bullets}\n")
    assert "\n\n".join(texts(stories)) == TALES[0].replace("\n", "\n\n")


def test_notes_of_joplin_have_titles_and_no_properties(tmp_path: Path):
    end = "id: {k:032x}\nparent_id: 0\ncreated_time: 2021-03-04T05:06:07.000Z\ntype_: {kind}"
    for k, tale in enumerate(TALES):
        (tmp_path / f"{k}.md").write_text(f"T{k}\n\n{tale}\n\n{end.format(k=k, kind=1)}")
    (tmp_path / "9.md").write_text(f"Stories\n\n{end.format(k=9, kind=2)}")
    source = open_stories(tmp_path)
    assert [(story.title, story.text) for story in source] == [
        (f"T{k}", tale) for k, tale in enumerate(TALES)
    ]
    assert [one.source for one in source.passed_over] == ["9.md"]


def test_markdown_without_footnotes_tags_and_shortcodes(tmp_path: Path):
    tale = TALES[0].split("\n")[0]
    text = f'# A\n\n{{{{< figure src="a.png" >}}}}\n\n{tale}[^1]\n\n<br>\n\n<center>{tale}</center>\n\n[^1]: Of the sea.\n'
    source = open_stories(_written(tmp_path / "a.md", text))
    assert "\n\n".join(texts(list(source))) == f"{tale}\n\n{tale}"


@pytest.mark.parametrize("unit", [" ", "- a\n", "![[", "[^", "{#a"])
def test_time_is_linear_in_what_repeats(tmp_path: Path, unit: str):
    repeated = unit * (400_000 // len(unit))
    began = time.monotonic()
    stories = read(tmp_path / "a.md", f"{TALES[0]}\n\nx{repeated}x", split_at="files")
    assert stories[0].text.startswith("The fox")
    assert time.monotonic() - began < 60


def test_notes_of_scrivener_beside_a_text_are_passed_over(tmp_path: Path):
    for k, tale in enumerate(TALES):
        (tmp_path / f"{k} The Quay.txt").write_text(tale)
        (tmp_path / f"{k} The Quay Notes.txt").write_text("Check the tide. Ask about lamps. Mara is 34.")
    (tmp_path / "Field Notes.txt").write_text(TALES[0].replace("quay", "field"))
    source = open_stories(tmp_path)
    assert [one.text for one in source.passed_over] == ["notes on the file beside it"] * 6
    assert len(list(source)) == 7


def test_a_page_of_preformatted_text(tmp_path: Path):
    book = "\n\n\n".join(
        f"Chapter {k}\n\n{escaped(textwrap.fill((tale + ' ') * 3, 60))}" for k, tale in enumerate(TALES)
    )
    stories = read(tmp_path / "a.html", f"<html><body><pre>\n{book}\n</pre></body></html>")
    assert texts(stories) == [" ".join(((tale + " ") * 3).split()) for tale in TALES]


def test_a_quoted_column_without_an_ending(tmp_path: Path):
    rows = "".join(f'"{tale}"\n' for tale in TALES)
    assert texts(read(tmp_path / "data", f"text\n{rows}")) == TALES


def test_an_exported_page_of_discord(tmp_path: Path):
    said = [line for tale in TALES for line in tale.split("\n")]
    chat = "".join(
        f'<div class="chatlog__message"><span class="chatlog__author">mara</span><span class="chatlog__timestamp">03/01/2023</span>'
        f'<div class="chatlog__content chatlog__markdown">{escaped(line)}</div></div>'
        for line in said
    )
    page = f'<html><body><div class="preamble">Quay</div><div class="chatlog">{chat}</div></body></html>'
    assert "\n\n".join(texts(read(tmp_path / "a.html", page))) == "\n\n".join(said)


def test_what_stands_around_a_book_is_left_out(tmp_path: Path):
    matter = {"Acknowledgements": "Thanks to my editor.", "About the Author": "A. Writer lives by the sea."}
    parts = {
        "Copyright": "Copyright 2021. All rights reserved by the author of these tales, and by nobody else at all."
    }
    parts |= {f"Tale {k}": (tale + "\n\n") * 6 for k, tale in enumerate(TALES)} | matter
    book = "".join(f"<h1>{title}</h1>{paragraphs(text)}" for title, text in parts.items())
    source = open_stories(_written(tmp_path / "book.html", f"<html><body>{book}</body></html>"))
    assert [story.title for story in source] == [f"Tale {k}" for k in range(6)]


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_pictures_of_project_gutenberg_are_left_out(tmp_path: Path):
    picture = "[Illustration: “He stood on\nthe quay.”]"
    tales = "".join(f"\n\nCHAPTER {k}\n\n{tale}\n\n{picture}\n\n{tale}\n" for k, tale in enumerate(TALES, 1))
    text = f"*** START OF THE PROJECT GUTENBERG EBOOK QUAY ***\n{tales}\n*** END OF THE PROJECT GUTENBERG EBOOK QUAY ***\n"
    stories = read(tmp_path / "pg.txt", text)
    assert len(stories) == len(TALES)
    assert not any("Illustration" in text or "He stood" in text for text in texts(stories))

"""Less common formats: XML, mail, Arrow, fine-tuning templates, Aozora Bunko, and formats that are refused."""

import email.message
import json
from pathlib import Path

import pytest

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
        f"<item><title>T{k}</title><link>https://example.org/{k}</link><{field}><![CDATA[{paragraphs(tale)}]]></{field}>"
        "<wp:post_type>post</wp:post_type></item>"
        for k, tale in enumerate(TALES)
    )
    items += f"<item><title>Menu</title><{field}>{'menu ' * 50}</{field}><wp:post_type>nav_menu_item</wp:post_type></item>"
    spaces = (
        'xmlns:content="http://purl.org/rss/1.0/modules/content/" xmlns:wp="http://wordpress.org/export/1.2/"'
    )
    feed = f'<?xml version="1.0"?><rss version="2.0" {spaces}><channel><title>Quay</title>{items}</channel></rss>'
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
    "gemma": "<start_of_turn>user\nAbout quay {k}<end_of_turn>\n<start_of_turn>model\n{tale}<end_of_turn>\n",
    "alpaca": "### Instruction:\nAbout quay {k}\n\n### Response:\n{tale}\n\n",
    "forum": "[WP] About quay {k} [RESPONSE] {tale}\n",
    "labels": "Prompt: About quay {k}\nStory: {tale}\n\n",
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_templates_of_fine_tuning(tmp_path: Path, template: str):
    content = "".join(TEMPLATES[template].format(k=k, tale=tale) for k, tale in enumerate(TALES))
    stories = read(tmp_path / "a.txt", content, prompt_column="prompt")
    assert texts(stories) == TALES
    assert [story.prompt for story in stories] == [f"About quay {k}" for k in range(6)]


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
        (b"\\documentclass{book}\n\\begin{document}\nThe fox ran.\n\\end{document}\n", "LaTeX"),
        (b"#+TITLE: Quay\n* One :draft:\nThe fox ran.\n", "Org mode"),
        (b"== Quay ==\n\n'''The''' fox ran to the [[quay]].\n", "wiki"),
        (b":: StoryTitle\nQuay\n\n:: Start\nThe fox ran. [[Go on->Quay]]\n", "Twine"),
        (b"- title: A\n  text: |\n    The fox ran.\n- title: B\n  text: |\n    The gull flew.\n", "YAML"),
        (b"".join(b"%d\n00:00:0%d,000 --> 00:00:0%d,900\nThe fox ran.\n\n" % (k, k, k) for k in range(1, 6)), "subtitles"),
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
    assert texts(read(tmp_path / "a.csv", f"Exported on 2021-03-04\n\nTitle,Body\n{rows}")) == TALES


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

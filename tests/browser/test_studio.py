"""The studio in a browser, from a dropped Word file to a model that writes."""

import json
import random
import shutil
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")
pytest.importorskip("playwright.sync_api", reason="needs playwright")

from hub import TOKEN, Hub
from playwright.sync_api import Browser, Page, expect
from served import served
from test_accessibility import axe, findings, findings_in_both_schemes

from fabula.studio_server.app import make_studio
from fabula.studio_server.projects import Projects

__all__ = ["axe"]  # a fixture

WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
NOTE = "Author's note: thank you all for reading! Follow me at patreon.com/lowquay for more."
THINGS = ["a lamp", "the key", "three coins", "a blue boat", "her hat", "the loaf", "a bell", "the net"]
PEOPLE = ["Ada", "Old Tom", "the miller", "a fox", "the queen", "Wren"]


def word_file(path: Path) -> Path:
    """A Word file of stories under headings; every fourth ends with an author's note."""
    draw = random.Random(0)
    body = ""
    for number in range(20):
        body += f'<w:p><w:pPr><w:pStyle w:val="Heading1"/></w:pPr><w:r><w:t>The Tale of Day {number}</w:t></w:r></w:p>'
        lines = [
            f"On day {number} {draw.choice(PEOPLE)} found {draw.choice(THINGS)}, and {draw.choice(PEOPLE)} lost {draw.choice(THINGS)} by the quay."
            for _ in range(8)
        ]
        for line in [*lines, *([NOTE] if number % 4 == 0 else [])]:
            body += f"<w:p><w:r><w:t>{line}</w:t></w:r></w:p>"
    types = '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/><Override PartName="/word/document.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"/><Override PartName="/word/styles.xml" ContentType="application/vnd.openxmlformats-officedocument.wordprocessingml.styles+xml"/></Types>'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    relations = '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"><Relationship Id="r1" Type="{}" Target="{}"/></Relationships>'
    styles = f'<w:styles xmlns:w="{WORD}"><w:style w:type="paragraph" w:styleId="Heading1"><w:name w:val="heading 1"/></w:style></w:styles>'
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("[Content_Types].xml", types)
        archive.writestr("_rels/.rels", relations.format(f"{office}/officeDocument", "word/document.xml"))
        archive.writestr("word/_rels/document.xml.rels", relations.format(f"{office}/styles", "styles.xml"))
        archive.writestr("word/styles.xml", styles)
        archive.writestr(
            "word/document.xml", f'<w:document xmlns:w="{WORD}"><w:body>{body}</w:body></w:document>'
        )
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "projects"


@pytest.fixture
def studio(root: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    source = Path(__file__).parent.parent.parent / "src"
    monkeypatch.setenv("PYTHONPATH", str(source))
    with served(make_studio(root)) as address:
        yield address


@pytest.fixture
def page(browser: Browser, studio: str) -> Iterator[Page]:
    """A page without hidden errors, from which nothing is sent to another machine."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(60_000)
    opened = context.new_page()
    faults: list[str] = []
    opened.on("pageerror", lambda error: faults.append(str(error)))
    opened.on(
        "request",
        lambda one: faults.append(one.url) if not one.url.startswith((studio, "blob:", "data:")) else None,
    )
    opened.goto(studio)
    yield opened
    context.close()
    assert not faults


def test_from_a_word_file_to_a_model_that_writes(
    page: Page, root: Path, tmp_path: Path, tiny_gpt2_dir: Path, axe: str
):
    page.locator("input[type=file]:not([webkitdirectory])").set_input_files(
        word_file(tmp_path / "tales.docx")
    )
    expect(page.locator("#stories .tiles dd").first).to_have_text("20")
    expect(page.locator("#stories .beginnings")).to_contain_text("On day 0")
    expect(page.locator(".removals del")).to_have_count(5)
    page.locator(".removals button").first.click()
    expect(page.locator(".removals ins")).to_have_count(1)
    project = Projects(root).find("tales")
    chosen = project.choices().model_copy(update={"base": str(tiny_gpt2_dir), "max_minutes": 0.15})
    project.choose(chosen)
    page.reload()
    expect(page.locator(".removals ins")).to_have_count(1)
    check(page, axe)
    page.locator("#start").click()
    expect(page.locator("#stop")).to_be_visible()
    page.reload()  # in the middle of the training
    expect(page.locator("#training .curve")).to_be_visible()
    expect(page.locator("#training .samples")).to_contain_text("After step")
    check(page, axe)
    expect(page.locator("#result .headline")).to_be_visible()
    corpus = project.corpus_manifest()
    assert corpus is not None
    assert corpus.counts.num_removals == 4  # the restored text counts as story
    check(page, axe)
    with page.expect_popup() as report:
        page.get_by_text("Open the report").click()
    expect(report.value.locator("h1")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_text("the model (.zip)").click()
    download.value.save_as(tmp_path / "model.zip")
    with zipfile.ZipFile(tmp_path / "model.zip") as archive:
        assert "tales-model/config.json" in archive.namelist()
    page.locator("#desk").click()
    expect(page.locator("#model-name")).not_to_be_empty()
    page.locator("#story").fill("On day 7")
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("more")
    page.locator("#tab-guess").click()
    expect(page.locator(".passage")).to_have_count(2)
    check(page, axe)
    page.locator(".passage").first.click()
    expect(page.locator("#guess .quiet").last).to_contain_text("of 1 pairs")
    page.go_back()
    expect(page.locator("#result")).to_contain_text("The person's passage was recognised in")
    with page.expect_popup() as report:
        page.get_by_text("Open the report").click()
    expect(report.value.locator("body")).to_contain_text("The person's passage was recognised in")
    page.locator("#desk").click()
    expect(page.locator("#model-name")).not_to_be_empty()
    page.locator("#story").fill("On day 7 the miller found a bell, and nobody knew whose it was. " * 5)
    page.locator("#menu summary").click()
    page.locator("#teach").click()
    expect(page.locator("#model")).to_contain_text("Training continues from the model of tales")
    page.locator("#remove").click()
    expect(page.locator(".projects strong")).to_have_text(["tales"])
    page.locator("#removed button").click()
    expect(page.locator(".project-name")).to_have_text("tales-2")
    expect(page.locator("#stories .tiles dd").first).to_have_text("21")


def check(page: Page, axe: str) -> None:
    """The page fits a phone, and the checker finds nothing in light and dark mode."""
    page.evaluate(axe)
    assert findings_in_both_schemes(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert findings(page) == []
    page.set_viewport_size({"width": 1280, "height": 900})


def test_publishing_asks_before_it_uploads(
    page: Page, root: Path, studio: str, online: Hub, tiny_gpt2_dir: Path, axe: str
):
    """After a dry run: the page names the account and the repository, and sends nothing before it is confirmed."""
    project = Projects(root).create("tales")
    shutil.copytree(tiny_gpt2_dir, project.model)
    (project.model / "manifest.json").write_text("{}")
    (project.folder / "publish" / "model").mkdir(parents=True)
    (project.folder / "publish" / "model" / "README.md").write_text("a card")
    page.goto(f"{studio}/#/tales")
    expect(page.locator("#repo")).to_be_attached()
    page.evaluate("document.querySelector('#share').open = true")  # the page may have opened it, too
    page.locator("#repo").fill("ada/tales")
    page.locator("#token").fill(TOKEN)
    page.locator("#upload").click()
    expect(page.locator("main > .problem")).to_have_text("State both licences first, above.")
    for name in ("licence", "corpus-licence"):
        page.locator(f"#{name}").fill("cc-by-4.0")
    page.locator("#upload").click()
    expect(page.locator(".confirm")).to_contain_text(
        "Upload the model to ada/tales as ada? Everyone will be able"
    )
    check(page, axe)
    page.locator("#upload-not").click()
    expect(page.locator("#token")).to_have_value("")
    page.locator("#token").fill(TOKEN)
    page.locator("#private").check()
    page.locator("#upload").click()
    expect(page.locator(".confirm")).to_contain_text("Only this account will see it.")
    assert not online.repos
    page.locator("#upload-now").click()
    expect(page.locator("#share a", has_text=f"{online.address}/ada/tales")).to_be_visible()
    assert online.repos["model", "ada/tales"]["visibility"] == "private"
    assert not page.evaluate("JSON.stringify([localStorage, sessionStorage])").count(TOKEN)


def test_two_readings_to_choose_from(page: Page, tmp_path: Path):
    words = ["lamp", "key", "boat", "coin", "hat", "loaf", "fox", "queen", "miller", "tide", "bell", "gate"]
    draw = random.Random(1)
    files = []
    for number in range(3):
        lines = [
            " ".join(
                f"The {draw.choice(words)} stood by the {draw.choice(words)}, and nobody asked the {draw.choice(words)} why."
                for _ in range(14)
            )
            for _ in range(3)
        ]
        files.append(tmp_path / f"day {number}.txt")
        files[-1].write_text("\n".join(lines))
    page.locator("input[type=file]:not([webkitdirectory])").set_input_files(files)
    expect(page.locator(".readings article")).to_have_count(2)
    page.locator(".readings article", has_text="one story a file").get_by_role("button").click()
    expect(page.locator("#stories .tiles dd").first).to_have_text("3")
    expect(page.locator("#start")).to_be_visible()


def test_markup_in_a_strangers_stories_is_text(page: Page, studio: str, root: Path):
    markup = '<img src=x onerror="window.hacked = 1"><script>window.hacked = 2</script>'
    project = Projects(root).create("tales")
    with (project.inputs / "tales.jsonl").open("w") as file:
        for number in range(12):
            text = (
                f"On day {number} Wren carried the lamp home. " * 8 + f"\n\nEDIT: Thanks for the gold! {NOTE}"
            )
            file.write(json.dumps({"title": markup, "text": f"{markup if number == 5 else ''}{text}"}) + "\n")
    page.goto(f"{studio}/#/tales")
    expect(page.locator(".beginnings h4").first).to_have_text(markup)
    expect(page.locator(".removals article")).not_to_have_count(0)
    assert page.evaluate("window.hacked") is None
    review = page.context.new_page()
    review.goto(f"{studio}/files/tales/review.html")
    assert review.evaluate("[window.hacked ?? null, window.origin, document.images.length]") == [
        None,
        "null",
        0,
    ]
    assert review.evaluate("fetch('/api/projects').then(() => 'read', () => 'refused')") == "refused"
    assert review.evaluate("window.open('/')") is None


def test_a_file_that_is_not_a_story_is_reported(page: Page, tmp_path: Path):
    (tmp_path / "empty.txt").write_text("")
    page.locator("input[type=file]:not([webkitdirectory])").set_input_files(tmp_path / "empty.txt")
    expect(page.locator("main > .problem")).to_contain_text("empty.txt: this file is empty")

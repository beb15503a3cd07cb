"""Checks the page with axe-core, the common checker of accessibility rules."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")
pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python")

from playwright.sync_api import Browser, Page, expect
from served import HeldEngine, served

from fabula.corpus.copies import CopyIndex
from fabula.corpus.store import open_corpus
from fabula.models.records import ModelRecords
from fabula.serving.app import make_app


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of the checker."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def address(tiny_gpt2_dir: Path, tiny_corpus_dir: Path) -> Iterator[str]:
    engine = HeldEngine(tiny_gpt2_dir)
    copies = CopyIndex(open_corpus(tiny_corpus_dir).stories("train"))
    with served(make_app(engine, ModelRecords.of(engine.folder), copies=copies)) as address:
        yield address


def findings(page: Page, *rules: str) -> list[str]:
    """Rules that are broken and where, without the minor ones.

    Args:
        rules: the only ones to check; none for all.
    """
    options = {"resultTypes": ["violations"], **({"runOnly": list(rules)} if rules else {})}
    result = page.evaluate("options => axe.run(document, options)", options)
    return [
        f"{violation['impact']}: {violation['id']}: {node['target']}: {node['failureSummary']}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical", "moderate")
        for node in violation["nodes"]
    ]


def findings_in_both_schemes(page: Page) -> list[str]:
    """Only contrast can differ between light and dark."""
    page.emulate_media(color_scheme="light")
    found = findings(page)
    page.emulate_media(color_scheme="dark")
    found += findings(page, "color-contrast")
    page.emulate_media(color_scheme="light")
    return found


@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing(browser: Browser, axe: str, address: str, tiny_corpus_dir: Path, width: int):
    context = browser.new_context(viewport={"width": width, "height": 844})
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#model-name")).not_to_be_empty()
    page.evaluate(axe)
    assert findings_in_both_schemes(page) == []
    copied = next(iter(open_corpus(tiny_corpus_dir).stories("train"))).text
    page.locator("#story").fill(f"It was said: {copied[:100]} and")
    expect(page.locator("#mirror .copied").first).not_to_be_empty()
    page.locator("#words-at-caret").click()
    expect(page.locator("#words li")).to_have_count(8)
    assert findings_in_both_schemes(page) == []
    page.keyboard.press("Escape")
    page.locator("#copied summary").click()
    page.locator("#settings summary").click()
    assert findings_in_both_schemes(page) == []
    page.locator("#set-max_new_tokens").fill("10")
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("more")
    page.locator("#menu summary").click()
    assert findings_in_both_schemes(page) == []
    page.keyboard.press("Escape")
    page.locator("#three").click()
    expect(page.locator("#status")).to_contain_text("Choose")
    assert findings_in_both_schemes(page) == []
    page.keyboard.press("Escape")
    for tab in ("stories", "about"):
        page.locator(f"#tab-{tab}").click()
        expect(page.locator(f"#{tab}")).to_be_visible()
        assert findings_in_both_schemes(page) == []
    page.locator("#tab-write").click()
    page.route("**/write", lambda route: route.abort())
    page.locator("#go").click()
    expect(page.locator("#problem")).to_be_visible()
    assert findings_in_both_schemes(page) == []
    page.evaluate("document.body.append(document.createElement('button'))")
    assert "button-name" in findings(page)[0]  # the checker does find what is wrong
    context.close()

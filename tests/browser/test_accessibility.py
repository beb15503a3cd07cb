"""Checks the page with axe-core, the common checker of accessibility rules."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")
pytest.importorskip("playwright.sync_api", reason="needs playwright")

from playwright.sync_api import Browser, Page, expect
from served import HeldEngine, served

from fabula.corpus.copies import CopyIndex
from fabula.corpus.store import open_corpus
from fabula.errors import FabulaError
from fabula.models.records import ModelRecords
from fabula.publishing.vendor import Library, archive
from fabula.serving.app import make_app

AXE = Library(
    "axe-core",
    "4.14.1",
    "sha512-FHfa+lmNjQZfJz1q8wKqIDwC6DExcHt/pkjNQb09a3NPjCKg2rhu5qb2S4r76ASyFNNtuFooJpZe37OgudVGtQ==",
    {"package/axe.min.js": "axe.js"},
)


@pytest.fixture(scope="module")
def axe(monkeypatch_module: pytest.MonkeyPatch) -> str:
    """The checker, from the user's cache. `FABULA_FETCH=1 pytest` downloads it there."""
    import tarfile

    monkeypatch_module.delenv("FABULA_CACHE", raising=False)
    if not os.environ.get("FABULA_FETCH"):
        monkeypatch_module.setattr("fabula.publishing.vendor.shutil.which", lambda _: None)
    try:
        path = archive(AXE)
    except FabulaError:
        pytest.skip("needs axe-core in the cache: FABULA_FETCH=1 pytest tests/browser fetches it with npm")
    with tarfile.open(path) as opened:
        file = opened.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


@pytest.fixture(scope="module")
def monkeypatch_module() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def address(tiny_gpt2_dir: Path, tiny_corpus_dir: Path) -> Iterator[str]:
    engine = HeldEngine(tiny_gpt2_dir)
    copies = CopyIndex(open_corpus(tiny_corpus_dir).stories("train"))
    with served(make_app(engine, ModelRecords.of(engine.folder), copies=copies)) as address:
        yield address


def findings(page: Page) -> list[str]:
    """Rules that are broken and where, without the minor ones."""
    result = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"{violation['impact']}: {violation['id']}: {node['target']}: {node['failureSummary']}"
        for violation in result["violations"]
        if violation["impact"] in ("serious", "critical", "moderate")
        for node in violation["nodes"]
    ]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing(browser: Browser, axe: str, address: str, tiny_corpus_dir: Path, scheme: str):
    context = browser.new_context(viewport={"width": 1280, "height": 860}, color_scheme=scheme)  # pyright: ignore[reportArgumentType]
    page = context.new_page()
    page.goto(address)
    expect(page.locator("#model-name")).not_to_be_empty()
    page.evaluate(axe)
    assert findings(page) == []
    copied = next(iter(open_corpus(tiny_corpus_dir).stories("train"))).text
    page.locator("#story").fill(f"It was said: {copied[:100]} and")
    expect(page.locator("#mirror .copied")).not_to_be_empty()
    page.locator("#copied summary").click()
    page.locator("#settings summary").click()
    assert findings(page) == []
    page.locator("#set-max_new_tokens").fill("10")
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("more")
    page.locator("#menu summary").click()
    assert findings(page) == []
    page.keyboard.press("Escape")
    page.locator("#three").click()
    expect(page.locator("#status")).to_contain_text("Choose")
    assert findings(page) == []
    page.keyboard.press("Escape")
    for tab in ("stories", "about"):
        page.locator(f"#tab-{tab}").click()
        expect(page.locator(f"#{tab}")).to_be_visible()
        assert findings(page) == []
    page.set_viewport_size({"width": 390, "height": 844})
    page.locator("#tab-write").click()
    page.route("**/write", lambda route: route.abort())
    page.locator("#go").click()
    expect(page.locator("#problem")).to_be_visible()
    assert findings(page) == []
    page.evaluate("document.body.append(document.createElement('button'))")
    assert "button-name" in findings(page)[0]  # the checker does find what is wrong
    context.close()

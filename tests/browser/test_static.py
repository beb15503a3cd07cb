"""The static site in a browser: the model runs there, and no other server is asked."""

import os
import re
import shutil
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright.sync_api", reason="needs playwright")
pytest.importorskip("onnxscript", reason="needs the export extra")
pytest.importorskip("onnxruntime", reason="needs the export extra")

from playwright.sync_api import Browser, Page, Route, expect
from tiny_models import make_model

from fabula.errors import FabulaError
from fabula.exporting.export import export
from fabula.models.records import ModelRecords
from fabula.publishing.static import copy_model, copy_page, publish_static, write_data, write_offline
from fabula.publishing.vendor import CDN, LIBRARIES, archive, cdn_files

LICENCES: Any = {"license": "cc0-1.0", "corpus_license": "cc0-1.0"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, tiny_gpt2_dir: Path) -> Path:
    """The site of the tiny model. The libraries come from the user's cache; `FABULA_FETCH=1 pytest` fetches them."""
    out = tmp_path_factory.mktemp("static") / "site"
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("FABULA_CACHE", raising=False)
        if not os.environ.get("FABULA_FETCH"):
            patch.setattr("fabula.publishing.vendor.shutil.which", lambda _: None)
        try:
            for library in LIBRARIES:
                archive(library)
        except FabulaError:
            pytest.skip(
                "needs the libraries in the cache: FABULA_FETCH=1 pytest tests/browser fetches them with npm"
            )
        result = publish_static(tiny_gpt2_dir, out, **LICENCES)
    files = [path for path in out.rglob("*") if path.is_file()]
    assert result.model_bytes + result.library_bytes + result.page_bytes == sum(
        f.stat().st_size for f in files
    )
    return out


@pytest.fixture(scope="module")
def other_site(site: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site of a model like SmolLM2: a Llama whose query heads share keys and values."""
    folder = make_model("llama-chat", tmp_path_factory.mktemp("other") / "model")
    export(folder, "onnx", out=folder.parent / "onnx")
    out = folder.parent / "site"
    shutil.copytree(site, out, ignore=shutil.ignore_patterns("model"))
    copy_model(folder.parent / "onnx", out / "model")
    write_data(out, ModelRecords.of(folder), [])
    return out


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def served(site: Path) -> Iterator[str]:
    """The address of a server with these files."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    with served(site) as address:
        yield address


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page with its model loaded. Only its own files were requested, and no policy was violated."""
    context = browser.new_context()
    context.set_default_timeout(30_000)
    page = context.new_page()
    elsewhere, faults = [], []
    context.on(
        "request",
        lambda request: (
            elsewhere.append(request.url) if not request.url.startswith((address, "blob:", "data:")) else None
        ),
    )
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(address)
    expect(page.locator("#model-name")).not_to_be_empty(timeout=30_000)
    yield page
    context.close()
    assert not elsewhere
    assert not faults


def choose(page: Page, **settings: float) -> None:
    if not page.locator("#settings .fields").is_visible():
        page.locator("#settings summary").click()
    for name, value in settings.items():
        page.locator(f"#set-{name}").fill(str(value))


def finished(page: Page) -> str:
    expect(page.locator("#status")).to_contain_text("more")
    return page.locator("#story").input_value()


def check_greedy_story(page: Page, site: Path) -> None:
    """It writes what the exported model predicts."""
    from fabula.exporting.onnx_format import predict
    from fabula.tokens.tokenizer import load_tokenizer

    choose(page, temperature=0, max_new_tokens=10)
    page.locator("#story").fill("Once upon a time")
    page.locator("#go").click()
    text = finished(page)
    tokenizer = load_tokenizer(site / "model")
    ids = [tokenizer.bos_token_id, *tokenizer.encode("Once upon a time", add_special_tokens=False)]
    begun = len(ids)
    for _ in range(10):
        ids.append(int(predict(site / "model", [ids], len(tokenizer))[0].argmax()))
    assert text.startswith("Once upon a time" + str(tokenizer.decode(ids[begun:])))  # then its sentence ends


def test_it_writes_what_the_exported_model_writes(page: Page, site: Path):
    check_greedy_story(page, site)


def test_a_llama_writes_in_the_browser(browser: Browser, other_site: Path):
    with served(other_site) as address:
        page = browser.new_page()
        page.set_default_timeout(30_000)
        page.goto(address)
        expect(page.locator("#model-name")).not_to_be_empty(timeout=30_000)
        check_greedy_story(page, other_site)
        page.close()


def test_seeds_rewriting_and_three_ways(page: Page):
    choose(page, max_new_tokens=12, seed=5)
    page.locator("#story").fill("The fox")
    page.locator("#go").click()
    first = finished(page)
    page.locator("#undo").click()
    page.locator("#go").click()
    assert finished(page) == first
    page.locator("#again").click()
    expect(page.locator("#story")).not_to_have_value(first)
    finished(page)
    page.locator("#three").click()
    expect(page.locator("#status")).to_contain_text("Choose one")
    assert len({text.strip() for text in page.locator(".continuation span").all_inner_texts()}) == 3
    page.keyboard.press("1")
    expect(page.locator("#continuations")).to_be_hidden()


def test_phrases_are_banned_and_a_note_is_read(page: Page):
    choose(page, max_new_tokens=20, temperature=1, seed=5)
    page.locator("#story").fill("The fox")
    page.locator("#go").click()
    free = finished(page).removeprefix("The fox")
    page.locator("#undo").click()
    word = re.findall(r"\b\w+\b", free)[0]
    choose(page)
    page.locator("#bans").fill(word)
    page.locator("#go").click()
    banned = finished(page).removeprefix("The fox")
    assert banned.strip()
    assert not re.search(rf"\b{word}\b", banned)
    page.locator("#undo").click()
    choose(page)
    page.locator("#note").fill("fox")
    page.locator("#go").click()
    assert finished(page) != "The fox" + banned


def test_it_stops_at_once_and_continues_long_stories(page: Page):
    choose(page, max_new_tokens=32)
    page.locator("#story").fill("Once upon a time there was a fox. " * 60)  # many times its context
    page.locator("#go").click()
    assert len(finished(page)) > 60 * 34
    page.locator("#three").click()
    page.keyboard.press("Escape")
    expect(page.locator("#go")).to_have_text("Continue")
    page.keyboard.press("Escape")
    expect(page.locator("#continuations")).to_be_hidden()


def test_what_needs_a_server_is_absent(page: Page):
    """Nothing is there that cannot work, and the rest of the desk works: shelf, memory, presets, export."""
    page.locator("#settings summary").click()
    for control in ("#words-at-caret", "#tab-guess", "#teach", "#copied"):
        assert page.locator(control).is_hidden(), control
    page.locator("#memory").fill("Wren is a fox.")
    page.get_by_role("button", name="Wild").click()
    expect(page.get_by_role("button", name="Wild")).to_have_attribute("aria-pressed", "true")
    choose(page, max_new_tokens=10)
    page.keyboard.press("Escape")
    page.locator("#story").fill("The fox and the lamp")
    page.locator("#story").evaluate("field => field.setSelectionRange(7, 7)")
    page.locator("#story").dblclick()
    expect(page.locator("#words")).to_be_hidden()
    page.locator("#story").evaluate("field => field.setSelectionRange(7, 7)")
    expect(page.locator("#go")).to_have_text("Insert")
    page.locator("#go").click()
    text = finished(page)
    assert text.startswith("The fox")
    assert text.endswith(" and the lamp")
    page.locator("#tab-stories").click()
    expect(page.locator("#shelf strong")).to_have_count(1)
    page.locator("#tab-write").click()
    page.locator("#menu summary").click()
    with page.expect_download() as download:
        page.locator("#as-docx").click()
    assert download.value.suggested_filename.endswith(".docx")


def test_it_works_without_a_network_once_it_was_loaded(page: Page):
    page.evaluate("() => navigator.serviceWorker.ready.then(() => true)")
    page.context.set_offline(True)
    page.reload()
    expect(page.locator("#model-name")).not_to_be_empty(timeout=30_000)
    choose(page, max_new_tokens=10)
    page.locator("#story").fill("Without a network")
    page.locator("#go").click()
    assert finished(page).startswith("Without a network")


def test_libraries_from_a_cdn(browser: Browser, site: Path, tmp_path: Path):
    """Files from npm's archive replace the CDN. A file that was changed on the way is refused."""
    out = tmp_path / "site"
    shutil.copytree(site, out)
    shutil.rmtree(out / "vendor")
    wanted = cdn_files()
    copy_page(out, wanted)
    write_offline(out, [file["url"] for file in wanted.values()])
    content = {}
    for library in LIBRARIES:
        with tarfile.open(archive(library)) as opened:
            for path, name in library.files.items():
                source = opened.extractfile(path)
                assert source is not None
                content[name] = source.read()
    served = {file["url"]: content[name] for name, file in wanted.items()}
    asked, tampered = [], False

    def answer(route: Route) -> None:
        asked.append(route.request.url)
        kind = "application/wasm" if asked[-1].endswith("wasm") else "text/javascript"
        body = served[asked[-1]] + (b"\n//" if tampered and kind != "application/wasm" else b"")
        route.fulfill(body=body, content_type=kind, headers={"access-control-allow-origin": "*"})

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(out)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for tampered in (False, True):
        context = browser.new_context(service_workers="block")
        context.route(f"{CDN}/**", answer)
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        if tampered:
            expect(page.locator("body")).to_contain_text("is not the file that it should be", timeout=30_000)
        else:
            expect(page.locator("#model-name")).not_to_be_empty(timeout=30_000)
            choose(page, max_new_tokens=10)
            page.locator("#story").fill("From afar")
            page.locator("#go").click()
            assert finished(page).startswith("From afar")
            assert set(asked) == set(served)
        context.close()
    server.shutdown()
    server.server_close()


def test_what_a_site_needs_and_does_not_hold(site: Path, tiny_gpt2_dir: Path):
    names = {path.relative_to(site).as_posix() for path in site.rglob("*")}
    assert {
        "index.html",
        "offline.js",
        ".nojekyll",
        "model/onnx/model_quantized.onnx",
        "vendor/transformers.js",
    } <= names
    assert "model/onnx/model.onnx" not in names
    text = "".join(
        (site / name).read_text(encoding="utf-8")
        for name in names
        if name.endswith((".html", ".js")) and "/" not in name
    )
    names_of_formats = r"http://(?:www\.w3\.org|schemas\.openxmlformats\.org|www\.idpf\.org|purl\.org)/"
    assert "://" not in re.sub(names_of_formats, "", text)
    assert "@FILES@" not in text
    with pytest.raises(FabulaError, match="the licence of the model is not stated"):
        publish_static(tiny_gpt2_dir, site)
    with pytest.raises(FabulaError, match="has unexpected files"):
        publish_static(tiny_gpt2_dir, tiny_gpt2_dir, **LICENCES)

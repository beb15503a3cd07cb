"""The page in a browser, as a writer uses it."""

import json
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("uvicorn", reason="needs the serve extra")
pytest.importorskip("playwright.sync_api", reason="needs playwright")

from made_results import evaluation, model, sample
from playwright.sync_api import Browser, Dialog, Page, expect
from served import HeldEngine, served

from fabula.corpus.copies import CopyIndex
from fabula.corpus.read import open_stories
from fabula.corpus.store import open_corpus
from fabula.models.records import ModelRecords
from fabula.serving.app import Place, make_app
from fabula.serving.guess import Guesses
from fabula.serving.settings import Limits
from fabula.story import Story

OpenPage = Callable[..., Page]


@pytest.fixture(scope="module")
def engine(tiny_gpt2_dir: Path) -> HeldEngine:
    return HeldEngine(tiny_gpt2_dir)


@pytest.fixture(scope="module")
def stories(tiny_corpus_dir: Path) -> list[Story]:
    return list(open_corpus(tiny_corpus_dir).stories("train"))


@pytest.fixture(scope="module")
def address(engine: HeldEngine, stories: list[Story]) -> Iterator[str]:
    limits = Limits(max_prompt_chars=3_000, max_per_minute=10_000, max_per_address=10_000)
    records = ModelRecords.of(engine.folder)
    with served(make_app(engine, records, limits=limits, copies=CopyIndex(stories))) as address:
        yield address


@pytest.fixture
def open_page(browser: Browser, engine: HeldEngine, address: str) -> Iterator[OpenPage]:
    """Opens the page as a new visitor. At the end there were no hidden errors, and nothing was sent to another
    machine."""
    engine.seconds_a_step = 0.0
    contexts, elsewhere, faults = [], [], []

    def watch(page: Page) -> None:
        page.on(
            "request",
            lambda request: (
                elsewhere.append(request.url)
                if not request.url.startswith((address, "blob:", "data:"))
                else None
            ),
        )
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda message: (
                faults.append(message.text)
                if message.type == "error" and "status of" not in message.text
                else None
            ),
        )

    def open_one(**options: object) -> Page:
        context = browser.new_context(**options)  # pyright: ignore[reportArgumentType]
        contexts.append(context)
        context.set_default_timeout(15_000)
        page = context.new_page()
        watch(page)
        page.goto(address)
        expect(page.locator("#model-name")).not_to_be_empty()
        return page

    yield open_one
    for context in contexts:
        context.close()
    assert not elsewhere
    assert not faults


def story(page: Page) -> str:
    return page.locator("#story").input_value()


def marked(page: Page, kind: str) -> str:
    """The text with a mark, which has an element on each line."""
    return "".join(page.locator(f"#mirror .{kind}").all_text_contents()).removesuffix("\u200b")


def expect_marked_words(page: Page) -> None:
    """Wait for the mark of the last passage; its first line may be empty, since it may begin with a line break."""
    expect(page.locator("#mirror .last").filter(has_text=re.compile(r"\S")).first).to_be_attached()


def open_settings(page: Page) -> None:
    if not page.locator("#settings .fields").is_visible():
        page.locator("#settings summary").click()


def set_range(page: Page, name: str, value: float) -> None:
    open_settings(page)
    page.locator(f"#set-{name}").fill(str(value))


def write(page: Page, text: str = "Once upon a time", tokens: int = 20) -> str:
    """Type a beginning and let the model continue it; return the story."""
    set_range(page, "max_new_tokens", tokens)
    page.locator("#story").fill(text)
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("more")
    return story(page)


def begin_long_passage(page: Page, engine: HeldEngine) -> None:
    """Let the model write for twelve seconds; returns after the first words."""
    engine.seconds_a_step = 0.03
    set_range(page, "max_new_tokens", 400)
    page.locator("#story").fill("Once")
    page.locator("#go").click()
    expect_marked_words(page)


def test_type_and_continue_by_keyboard_alone(open_page: OpenPage):
    page = open_page()
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "story":
            break
    page.keyboard.type("There was a lamp")
    expect(page.locator("#three")).to_be_enabled()  # the model is there
    page.keyboard.press("Control+Enter")
    expect(page.locator("#status")).to_contain_text("more")
    assert story(page).startswith("There was a lamp")
    assert len(story(page)) > len("There was a lamp") + 20
    assert marked(page, "last").strip() == story(page).removeprefix("There was a lamp").strip()


def test_an_opening_begins_a_story(open_page: OpenPage):
    page = open_page()
    opening = page.locator(".opening").first
    text = opening.inner_text()
    opening.click()
    expect(page.locator("#status")).to_contain_text("more")
    assert story(page).startswith(text)
    expect(page.locator("#openings")).to_be_hidden()


def test_words_stream_and_stop_at_once(open_page: OpenPage, engine: HeldEngine):
    page = open_page()
    begin_long_passage(page, engine)
    expect(page.locator("#go")).to_have_text("Stop")
    grown = len(story(page))
    page.wait_for_timeout(400)
    assert len(story(page)) > grown
    page.keyboard.press("Escape")
    expect(page.locator("#status")).to_contain_text("Stopped.")
    stopped = story(page)
    page.wait_for_timeout(400)  # a busy machine may take another step or two before it stops
    steps = engine.num_steps
    page.wait_for_timeout(400)
    assert story(page) == stopped
    assert engine.num_steps == steps
    expect(page.locator("#go")).to_have_text("Continue")


def test_rewrite_undo_redo_and_edit_by_hand(open_page: OpenPage):
    page = open_page()
    first = write(page)
    page.locator("#again").click()
    expect(page.locator("#status")).to_contain_text("more")
    second = story(page)
    assert second != first
    assert second.startswith("Once upon a time")
    page.locator("#undo").click()
    assert story(page) == first
    page.locator("#undo").click()
    assert story(page) == "Once upon a time"
    page.keyboard.press("Control+Shift+z")
    page.keyboard.press("Control+y")
    assert story(page) == second
    field = page.locator("#story")
    field.press("End")
    page.locator("#story").evaluate("field => field.setSelectionRange(0, 4)")
    page.keyboard.type("Twice")
    assert story(page) == "Twice" + second[4:]
    assert marked(page, "last") == second.removeprefix("Once upon a time")
    page.keyboard.press("Control+z")
    assert story(page) == second
    field.evaluate("field => field.setSelectionRange(field.value.length, field.value.length)")
    page.keyboard.type(" I said.")
    page.locator("#again").click()  # the model's passage before the writer's own words is written again
    expect(page.locator("#status")).to_contain_text("more")
    assert story(page).startswith("Once upon a time")
    assert story(page).endswith(" I said.")
    assert story(page) != second + " I said."


def test_choose_one_of_three(open_page: OpenPage):
    page = open_page()
    set_range(page, "max_new_tokens", 10)
    page.locator("#story").fill("The fox ")
    page.locator("#three").click()
    expect(page.locator("#status")).to_contain_text("Choose one")
    ways = [text.strip() for text in page.locator(".continuation span").all_inner_texts()]
    assert len(set(ways)) == 3
    expect(page.locator("#go")).to_be_disabled()
    page.keyboard.press("2")
    expect(page.locator("#continuations")).to_be_hidden()
    assert story(page).startswith("The fox")
    assert re.sub(r"\s+", " ", story(page)).endswith(re.sub(r"\s+", " ", ways[1]))
    taken = story(page)
    page.keyboard.press("Control+Shift+Enter")
    expect(page.locator("#status")).to_contain_text("Choose one")
    page.keyboard.press("Escape")
    expect(page.locator("#continuations")).to_be_hidden()
    assert story(page) == taken
    page.locator("#undo").click()
    assert story(page) == "The fox "


def test_other_words_in_place_of_one(open_page: OpenPage):
    page = open_page()
    page.locator("#story").fill("Once upon a time there was a lamp.")
    page.locator("#story").evaluate("field => field.setSelectionRange(7, 7)")
    expect(
        page.locator("#words-at-caret")
    ).to_be_enabled()  # the model is there; a key before that does nothing
    page.keyboard.press("Alt+ArrowDown")
    words = page.locator("#words li .word")
    expect(words).to_have_count(8)
    expect(page.locator("#words h2")).to_have_text("In place of “upon”")
    shares = [float(text.split()[0]) for text in page.locator("#words .percent").all_inner_texts()]
    assert shares == sorted(shares, reverse=True)
    expect(page.locator("#words li button").first).to_be_focused()
    second = words.nth(1).evaluate("word => word.firstChild.data")
    page.keyboard.press("2")
    expect(page.locator("#words")).to_be_hidden()
    assert story(page) == f"Once {second} a time there was a lamp."
    page.locator("#undo").click()
    assert story(page) == "Once upon a time there was a lamp."
    page.locator("#story").dblclick(position={"x": 40, "y": 40})
    expect(page.locator("#words")).to_be_visible()  # before that it holds the words shown last
    expect(words).to_have_count(8)
    expect(page.locator("#story")).to_be_focused()  # typing replaces the selection, as everywhere
    page.keyboard.type("Twice")
    expect(page.locator("#words")).to_be_hidden()
    page.locator("#words-at-caret").click()
    expect(page.locator("#words")).to_be_visible()
    expect(words).to_have_count(8)
    page.keyboard.press("Escape")
    expect(page.locator("#words")).to_be_hidden()
    page.locator("#story").fill("…")
    page.locator("#words-at-caret").click()
    expect(page.locator("#status")).to_contain_text("There is no word at the caret")


def test_settings_start_from_the_models_and_matter(open_page: OpenPage):
    page = open_page()
    assert page.locator("#set-temperature").input_value() == "1"
    assert page.locator("#set-top_p").input_value() == "0.95"
    set_range(page, "temperature", 0)
    greedy = write(page)
    page.locator("#undo").click()
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("more")
    assert story(page) == greedy
    open_settings(page)
    page.locator("#own-settings").click()
    assert page.locator("#set-temperature").input_value() == "1"
    page.locator("#set-seed").fill("11")
    seeded = write(page)
    page.locator("#undo").click()
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("more")
    assert story(page) == seeded
    page.locator("#again").click()
    expect(page.locator("#status")).to_contain_text("more")
    assert story(page) != seeded


def test_a_story_of_any_length_is_continued(open_page: OpenPage):
    """Its end is sent, and a line shows where the part that the model reads begins."""
    page = open_page()
    text = "".join(f"{number} words stand on this line.\n" for number in range(300))
    assert len(text) > 3_000
    assert write(page, text).startswith(text)
    assert page.locator("#mirror .from").count() == 1
    before = page.evaluate(  # in one call, since the marks of copied passages draw the mirror again
        "() => { const range = document.createRange(); range.setStart(document.querySelector('#mirror'), 0); range.setEndBefore(document.querySelector('#mirror .from')); return range.toString().length; }"
    )
    assert len(text) - 400 < before < len(text)  # the model of the tests has 64 tokens of context
    page.locator("#story").fill("short")
    assert page.locator("#mirror .from").count() == 0


def test_an_error_is_shown(open_page: OpenPage, engine: HeldEngine):
    page = open_page()
    page.locator("#story").fill("short")
    engine.fault = RuntimeError("broken")
    page.locator("#go").click()
    expect(page.locator("#problem")).to_contain_text("Writing failed")
    assert story(page) == "short"


def test_two_visitors_take_turns(browser: Browser, engine: HeldEngine):
    """If only one story is written at a time."""
    app = make_app(engine, ModelRecords.of(engine.folder), limits=Limits(max_stories=1))
    with served(app) as address:
        one, two = browser.new_page(), browser.new_page()
        one.goto(address)
        two.goto(address)
        take_turns(one, two, engine)
        two.close()


def take_turns(one: Page, two: Page, engine: HeldEngine) -> None:
    engine.seconds_a_step = 0.02
    set_range(one, "max_new_tokens", 400)
    one.locator("#story").fill("One")
    one.locator("#go").click()
    expect(one.locator("#status")).to_have_text("Writing …")
    set_range(two, "max_new_tokens", 10)
    two.locator("#story").fill("Two")
    two.locator("#go").click()
    expect(two.locator("#status")).to_have_text("Your request is next.")
    one.close()  # and the machine is free at once
    expect(two.locator("#status")).to_contain_text("more")
    assert story(two).startswith("Two")


def test_a_reload_in_mid_story_loses_nothing(open_page: OpenPage, engine: HeldEngine):
    page = open_page()
    set_range(page, "temperature", 0.7)
    begin_long_passage(page, engine)
    page.wait_for_timeout(300)
    before = story(page)
    page.reload()
    expect(page.locator("#model-name")).not_to_be_empty()
    assert story(page).startswith(before)
    assert len(before) > len("Once")
    assert page.locator("#set-temperature").input_value() == "0.7"
    engine.seconds_a_step = 0.0
    set_range(page, "max_new_tokens", 10)
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("more")
    expect(page.locator("#again")).to_be_enabled()


def test_files(open_page: OpenPage, tmp_path: Path):
    page = open_page()
    text = write(page, "# A title\n\n* one")

    def saved(button: str) -> str:
        page.locator("#menu summary").click()
        with page.expect_download() as download:
            page.locator(button).click()
        path = tmp_path / download.value.suggested_filename
        download.value.save_as(path)
        return path.read_text(encoding="utf-8")

    assert saved("#as-text") == text.strip() + "\n"
    assert saved("#as-markdown").startswith("\\# A title\n\n\\* one")
    record = json.loads(saved("#save"))
    assert record["text"] == text
    file = next(tmp_path.glob("*.json"))
    page.locator("#menu summary").click()
    page.locator("#new").click()
    expect(page.locator("#story")).to_have_value("")
    page.locator("#file").set_input_files(file)
    expect(page.locator("#status")).to_contain_text("is open")
    assert story(page) == text
    expect_marked_words(page)
    (tmp_path / "plain.txt").write_bytes("Drei Brüder\r\nzogen".encode())
    page.locator("#file").set_input_files(tmp_path / "plain.txt")
    expect(page.locator("#story")).to_have_value("Drei Brüder\nzogen")
    (tmp_path / "old.txt").write_bytes("“Drei Brüder”".encode("cp1252"))
    page.locator("#file").set_input_files(tmp_path / "old.txt")
    expect(page.locator("#story")).to_have_value("“Drei Brüder”")
    odd = "1. *She* & <b>he</b> &lt; they\n- # `it` 3 < 4"
    page.locator("#story").fill(odd)
    saved("#as-markdown")
    page.locator("#file").set_input_files(
        max(tmp_path.glob("*.md"), key=lambda path: path.stat().st_mtime_ns)
    )
    expect(page.locator("#story")).to_have_value(odd.replace("\n", "\n\n"))
    (tmp_path / "story.docx").write_bytes(b"PK\x03\x04\0\0")
    page.locator("#file").set_input_files(tmp_path / "story.docx")
    expect(page.locator("#problem")).to_contain_text("story.docx is not a text file")
    page.locator("#file").set_input_files(tmp_path / "plain.txt")
    expect(page.locator("#story")).to_have_value("Drei Brüder\nzogen")
    (tmp_path / "broken.json").write_text("{")
    page.locator("#file").set_input_files(tmp_path / "broken.json")
    expect(page.locator("#problem")).to_contain_text("broken.json is not a saved story")
    assert story(page) == "Drei Brüder\nzogen"


def caret(page: Page, start: int, end: int | None = None) -> None:
    page.locator("#story").focus()
    page.locator("#story").evaluate(
        f"field => field.setSelectionRange({start}, {start if end is None else end})"
    )


def test_insert_at_the_caret(open_page: OpenPage):
    page = open_page()
    set_range(page, "max_new_tokens", 12)
    page.locator("#story").fill("Ada found a lamp. The queen lost the key.")
    caret(page, 17)
    expect(page.locator("#go")).to_have_text("Insert")
    page.locator("#go").click()
    expect(page.locator("#status")).to_contain_text("more")
    text = story(page)
    assert text.startswith("Ada found a lamp.")
    assert text.endswith("The queen lost the key.")
    assert len(text) > 45
    page.locator("#undo").click()
    assert story(page) == "Ada found a lamp. The queen lost the key."
    caret(page, 41)
    expect(page.locator("#go")).to_have_text("Continue")


def test_rewrite_a_selection_and_go_through_the_alternatives(open_page: OpenPage):
    page = open_page()
    set_range(page, "max_new_tokens", 12)
    page.locator("#story").fill("Ada found a lamp. Wren hid the loaf. The end.")
    page.locator("#again").click()
    expect(page.locator("#status")).to_contain_text("Select the text that you want to rewrite")
    caret(page, 18, 36)
    page.locator("#again").click()
    expect(page.locator("#which")).to_have_text("2/2")
    second = story(page)
    assert second.startswith("Ada found a lamp. ")
    assert second.endswith(" The end.")
    page.locator("#again").click()
    expect(page.locator("#which")).to_have_text("3/3")
    third = story(page)
    assert third != second
    page.locator("#previous").click()
    expect(page.locator("#which")).to_have_text("2/3")
    assert story(page) == second
    page.keyboard.press("Alt+ArrowLeft")
    assert story(page) == "Ada found a lamp. Wren hid the loaf. The end."
    page.locator("#next").click()
    page.locator("#next").click()
    assert story(page) == third
    page.locator("#undo").click()
    assert story(page) == second


def test_undo_is_kept_over_a_reload(open_page: OpenPage):
    page = open_page()
    first = write(page, "It began")
    page.locator("#again").click()
    expect(page.locator("#status")).to_contain_text("more")
    second = story(page)
    page.wait_for_timeout(600)  # the shelf saves changes after 0.4 s
    page.reload()
    expect(page.locator("#model-name")).not_to_be_empty()
    assert story(page) == second
    expect(page.locator("#which")).to_have_text("2/2")
    page.locator("#undo").click()
    assert story(page) == first
    page.locator("#undo").click()
    assert story(page) == "It began"
    page.locator("#redo").click()
    assert story(page) == first


def test_the_shelf(open_page: OpenPage):
    page = open_page()
    page.locator("#name").fill("The lamp")
    page.locator("#story").fill("Ada found a lamp.")
    page.locator("#menu summary").click()
    page.locator("#new").click()
    expect(page.locator("#story")).to_have_value("")
    page.locator("#story").fill("The queen lost the key.")
    page.locator("#tab-stories").click()
    rows = page.locator("#shelf li")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("The queen lost the key.")
    expect(rows.nth(1)).to_contain_text("The lamp")
    expect(rows.nth(1)).to_contain_text("4 words")
    page.locator("#find").fill("queen")
    expect(rows).to_have_count(1)
    page.locator("#find").fill("")
    rows.nth(1).locator(".delete").click()
    expect(page.locator("#shelf .deleted")).to_have_count(1)  # the offer to undo the removal
    expect(rows).to_have_count(2)
    page.locator(".delete").click()
    expect(page.locator("#shelf .deleted")).to_have_count(2)
    page.locator("#tab-write").click()
    page.locator("#tab-stories").click()
    for _ in range(2):
        page.get_by_text("Put it back").first.click()
    expect(page.locator(".delete")).to_have_count(2)
    page.locator("#shelf .open", has_text="The lamp").click()
    expect(page.locator("#story")).to_have_value("Ada found a lamp.")
    expect(page.locator("#name")).to_have_value("The lamp")


def test_two_tabs_write_one_story_in_turn(open_page: OpenPage):
    one = open_page()
    one.locator("#story").fill("Written in the first tab.")
    one.wait_for_timeout(600)
    two = one.context.new_page()
    two.goto(one.url)
    expect(two.locator("#elsewhere")).to_be_visible()
    expect(two.locator("#story")).to_have_value("Written in the first tab.")
    expect(two.locator("#go")).to_be_disabled()
    one.locator("#story").fill("Written in the first tab, and more.")  # not on the shelf yet
    two.locator("#take").click()
    expect(two.locator("#elsewhere")).to_be_hidden()
    expect(two.locator("#story")).to_have_value("Written in the first tab, and more.")
    expect(one.locator("#elsewhere")).to_be_visible()
    expect(one.locator("#story")).to_have_attribute("readonly", "")
    two.locator("#story").fill("Now the second.")
    two.wait_for_timeout(600)
    one.locator("#take").click()
    expect(one.locator("#story")).to_have_value("Now the second.")


def change_in_another_tab(one: Page) -> None:
    """Write a story, and change it in a second tab of which this one does not hear."""
    one.locator("#story").fill("Ada.")
    one.wait_for_timeout(600)
    two = one.context.new_page()
    two.add_init_script("delete window.BroadcastChannel")
    two.goto(one.url)
    expect(two.locator("#story")).to_have_value("Ada.")
    two.locator("#story").fill("Ada, from the second tab.")
    two.wait_for_timeout(600)


def test_tabs_that_do_not_hear_of_each_other_keep_both_versions(open_page: OpenPage):
    one = open_page()
    change_in_another_tab(one)
    one.locator("#story").fill("Ada, from the first tab.")
    expect(one.locator("#elsewhere")).to_be_visible()
    expect(one.locator("#status")).to_contain_text("Your version is on the shelf")
    one.locator("#tab-stories").click()
    rows = one.locator("#shelf .open")
    expect(rows).to_have_count(2)
    expect(rows.nth(0)).to_contain_text("(from another tab)")
    rows.nth(0).click()
    expect(one.locator("#story")).to_have_value("Ada, from the first tab.")


def test_a_version_that_cannot_be_copied_stays_on_the_page(open_page: OpenPage):
    one = open_page()
    change_in_another_tab(one)
    one.evaluate(  # as on a full disk
        "() => { IDBObjectStore.prototype.put = function () { const { transaction } = this; queueMicrotask(() => { try { transaction.abort(); } catch {} }); }; }"
    )
    one.locator("#story").fill("Ada, from the first tab.")
    expect(one.locator("#problem")).to_contain_text("cannot store the story")
    expect(one.locator("#elsewhere")).to_be_hidden()
    assert story(one) == "Ada, from the first tab."
    assert one.locator("#story").get_attribute("readonly") is None


def test_another_story_is_begun_while_the_model_writes(open_page: OpenPage, engine: HeldEngine):
    page = open_page()
    begin_long_passage(page, engine)
    page.locator("#menu summary").click()
    page.locator("#new").click()
    expect(page.locator("#status")).to_contain_text("new story")
    page.wait_for_timeout(300)
    assert story(page) == ""
    page.locator("#three").click()
    expect(page.locator("#continuations")).to_be_visible()
    page.locator("#tab-stories").click()
    page.locator("#shelf .open").click()
    expect(page.locator("#continuations")).to_be_hidden()
    expect(page.locator("#story")).to_have_value(re.compile("^Once."))
    engine.seconds_a_step = 0.0
    set_range(page, "max_new_tokens", 10)
    page.locator("#again").click()  # the passage that was cut short is one of its alternatives
    expect(page.locator("#which")).to_have_text("2/2")


def test_the_last_act_before_a_reload_can_be_undone(open_page: OpenPage):
    page = open_page()
    written = write(page)
    page.locator("#undo").click()
    page.locator("#name").fill("The lamp")
    page.reload()
    expect(page.locator("#model-name")).not_to_be_empty()
    expect(page.locator("#name")).to_have_value("The lamp")
    assert story(page) == "Once upon a time"
    page.locator("#redo").click()
    assert story(page) == written


def test_a_browser_that_stores_nothing_says_so(browser: Browser, address: str):
    with browser.new_context() as context:
        page = context.new_page()
        page.add_init_script("Object.defineProperty(window, 'indexedDB', { get() { throw new Error(); } })")
        page.goto(address)
        expect(page.locator("#problem")).to_contain_text("This browser stores no stories")
        page.locator("#story").fill("Ada found a lamp.")
        asked: list[str] = []

        def accept(dialog: Dialog) -> None:
            asked.append(dialog.type)
            dialog.accept()

        page.on("dialog", accept)
        page.close(run_before_unload=True)
        page.wait_for_event("close")
        assert asked == ["beforeunload"]


def test_word_and_epub_files_are_read_as_documents(open_page: OpenPage, tmp_path: Path):
    page = open_page()
    page.locator("#name").fill("Ada & the <lamp>")
    text = "Ada found a lamp, “old & cracked”.\nThe queen <lost> the key.\x01 🙂"
    page.locator("#story").fill(text)
    for ending in ("docx", "epub"):
        page.locator("#menu summary").click()
        with page.expect_download() as download:
            page.locator(f"#as-{ending}").click()
        path = tmp_path / f"story.{ending}"
        assert download.value.suggested_filename == f"ada-the-lamp.{ending}"
        download.value.save_as(path)
        with zipfile.ZipFile(path) as archive:
            assert archive.testzip() is None
        (found,) = open_stories(path, split_at="files")
        whole = f"{found.title}\n{found.text}"
        assert "Ada & the <lamp>" in whole
        for line in ("Ada found a lamp, “old & cracked”.", "The queen <lost> the key. 🙂"):
            assert line in whole


def test_memory_and_note_are_read_and_a_phrase_is_banned(open_page: OpenPage):
    page = open_page()
    asked = []
    page.on(
        "request", lambda request: asked.append(request.post_data_json) if "write" in request.url else None
    )
    page.locator("#settings summary").click()
    page.locator("#memory").fill("Ada")
    page.locator("#note").fill("fox")
    page.locator("#bans").fill("lamp\nthe key")
    page.locator("[data-preset=careful]").click()
    assert float(page.locator("#set-temperature").input_value()) == pytest.approx(0.7)
    write(page, "One.\nTwo.\nThree.\nFour.", tokens=10)
    assert asked[-1]["text"] == "One.\nTwo.\nThree.\nFour."
    assert asked[-1]["settings"]["memory"] == "Ada"
    assert asked[-1]["settings"]["note"] == "fox"
    assert asked[-1]["settings"]["banned_phrases"] == ["lamp", "the key"]
    page.wait_for_timeout(600)
    page.reload()
    expect(page.locator("#model-name")).not_to_be_empty()
    assert page.locator("#memory").input_value() == "Ada"
    assert page.locator("#bans").input_value() == "lamp\nthe key"


def test_guess_which_passage_a_person_wrote(
    browser: Browser,
    engine: HeldEngine,
    stories: list[Story],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
):
    words = "and the fox went home by the river, where the lamp was lit and nobody asked why "
    held_out = [Story("a", f"Once upon a time {words * 4}", "stories.txt", 1)]
    written = sample(prompt="Once upon a time", text=f" there was a bell {words * 4}")
    guesses = Guesses(
        evaluation(model("base", 2.0), model("tuned", 1.9)), [written], held_out, tmp_path / "votes.jsonl"
    )
    monkeypatch.setattr("fabula.serving.app.Guesses.of", lambda _: guesses)
    app = make_app(engine, ModelRecords.of(engine.folder), place=Place(guess=True))
    with served(app) as address:
        page = browser.new_page()
        page.goto(address)
        page.locator("#tab-guess").click()
        expect(page.locator(".passage")).to_have_count(2)
        page.keyboard.press("1")
        expect(page.locator("#guess .result")).to_contain_text("person wrote")
        expect(page.locator("#guess")).to_contain_text("of 1 pairs")
        expect(page.locator(".passage.person")).to_have_count(1)
        page.close()
    assert len((tmp_path / "votes.jsonl").read_text().splitlines()) == 1


def test_markup_in_stories_is_text(open_page: OpenPage):
    page = open_page()
    hostile = (
        "<img src=x onerror=\"document.title='gone'\"><script>document.title='gone'</script> & <b>bold</b>"
    )
    text = write(page, hostile)
    assert text.startswith(hostile)
    assert page.locator("#mirror img, #mirror b, #mirror script").count() == 0
    assert "gone" not in page.title()


def test_copied_passages_are_marked(open_page: OpenPage, stories: list[Story]):
    told = stories[3].text
    page = open_page()
    page.locator("#story").fill("It was said: " + told[10:110])
    expect(page.locator("#mirror .copied").first).not_to_be_empty()
    assert told[30:100] in marked(page, "copied")
    page.locator("#copied summary").click()
    expect(page.locator("#copied li")).to_contain_text("stories.txt, line")
    page.locator("#story").fill("It was not said.")
    expect(page.locator("#copied")).to_be_hidden()


def test_about_tab(open_page: OpenPage):
    page = open_page()
    page.locator("#tab-write").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#stories")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#about")).to_be_visible()
    expect(page.locator("#write")).to_be_hidden()
    expect(page.locator("#facts")).to_contain_text("64 tokens")


def test_everything_fits_the_screen(open_page: OpenPage):
    page = open_page()
    write(page, "A very" + "y" * 200 + " long word, and the end")
    for width in (320, 390, 1280):
        page.set_viewport_size({"width": width, "height": 844})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for button in page.locator(".tools > button, .menu summary").all():
            box = button.bounding_box()
            assert box
            assert box["height"] >= 44
            assert box["x"] >= 0
            assert box["x"] + box["width"] <= width
            assert button.evaluate("button => button.scrollWidth <= button.clientWidth")


def test_marks_are_under_their_words(open_page: OpenPage):
    """The marks are drawn by a second, invisible copy of the text; both must break lines at the same places."""
    page = open_page(viewport={"width": 390, "height": 844})
    write(page, "Once upon a time\n\n  there  were\ttwo 🙂 lamps — and " * 8, tokens=60)
    field, mirror = (page.locator(each) for each in ("#story", "#mirror"))
    assert field.evaluate("each => each.scrollHeight") == pytest.approx(
        mirror.evaluate("each => each.scrollHeight"), abs=1
    )
    style = "each => { const s = getComputedStyle(each); return [s.font, s.lineHeight, s.padding, s.whiteSpace, s.overflowWrap, s.letterSpacing, s.width]; }"
    assert field.evaluate(style) == mirror.evaluate(style)

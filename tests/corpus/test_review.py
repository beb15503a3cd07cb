"""The page that shows what was removed: it is correct, limited in size, safe to open, and records decisions."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from made import NOTE, clean, stories_file, story

from fabula.corpus import review
from fabula.corpus.ledger import read_decisions
from fabula.corpus.options import Filters

if TYPE_CHECKING:
    from playwright.sync_api import Browser

EVIL = "<script>alert('x')</script> & <b>bold</b>"


@pytest.fixture
def page(tmp_path: Path) -> Path:
    texts = [f"{story(number)}{NOTE} {EVIL} {number}" for number in range(8)]
    texts += [texts[0], f"Short {EVIL}", texts[1].replace("winter", "summer", 1)]
    path = stories_file(tmp_path / f"{EVIL.replace('/', '')}.jsonl", texts)
    clean(path, tmp_path / "out", rules="reddit", filters=Filters(min_words=20))
    return tmp_path / "out" / "review.html"


def test_what_it_shows(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", html.partition("</style>")[2]))
    assert "8 of 11 stories kept" in text
    assert "exact_copy 1" in text
    assert "near_copy 1" in text
    assert "min_words 1" in text
    assert html.count('class="choice"') == 8
    assert html.count("<svg") == 1
    assert "http://" not in html.replace("http://www.w3.org", "")
    assert "https://" not in html


def test_no_text_of_a_story_is_markup(page: Path) -> None:
    html = page.read_text(encoding="utf-8")
    assert html.count("<script>") == 1
    assert "<b>bold" not in html
    assert "&lt;script&gt;" in html


def test_what_may_be_a_note_is_asked_about_and_stays(tmp_path: Path) -> None:
    night = (
        "I work nights at the depot. I have heard the north door, and I was told that I must not open it. "
        * 9
    )
    edit = "EDIT: I opened it. My own booth was behind it, and I was in it."
    path = stories_file(tmp_path / "a.jsonl", [f"{night}\n\n{edit}", story(1) + NOTE])
    counts = clean(path, tmp_path / "out", rules="reddit").counts
    assert (counts.num_removals, counts.num_doubts, counts.num_doubtful) == (1, 1, 0)
    html = (tmp_path / "out" / "review.html").read_text()
    assert html.index("Left in: notes or story?") < html.index(f"<mark>{edit}</mark>") < html.index("By rule")
    place = re.search(r'data-story="(\w+)" data-start="(\d+)" data-end="(\d+)"', html)
    assert place is not None
    for decision, num_removals in (("confirm", 2), ("undo", 1)):
        row = {"story": place[1], "start": int(place[2]), "end": int(place[3]), "decision": decision}
        decided = tmp_path / f"{decision}.jsonl"
        decided.write_text(json.dumps(row))
        counts = clean(path, tmp_path / decision, rules="reddit", decisions=decided).counts
        assert (counts.num_removals, counts.num_doubts) == (num_removals, 0)


def test_its_size_does_not_grow_with_the_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(review, "MAX_REMOVALS", 3)
    path = stories_file(tmp_path / "a.jsonl", [story(number) + NOTE for number in range(9)])
    result = clean(path, tmp_path / "out", rules="reddit")
    html = (tmp_path / "out" / "review.html").read_text()
    assert result.counts.num_removals == 9
    assert html.count('class="choice"') == 3
    assert "6 more, at least as sure, are in ledger.jsonl" in html


def test_it_fits_a_phone(browser: "Browser", page: Path) -> None:
    view = browser.new_page(viewport={"width": 390, "height": 844})
    view.goto(page.as_uri())
    view.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert view.evaluate("document.documentElement.scrollWidth") <= 390
    view.close()


def test_certainty_is_a_word() -> None:
    words = [review.certainty(each) for each in (0.0, 0.5, 0.9, 0.9989, 0.999, 1.0)]
    assert words == ["doubtful", "doubtful", "likely", "likely", "clear", "clear"]


def test_decisions_are_marked_and_saved_in_a_browser(browser: "Browser", page: Path, tmp_path: Path) -> None:
    tab = browser.new_page()
    faults: list[str] = []
    tab.on("pageerror", lambda error: faults.append(str(error)))
    tab.on("dialog", lambda dialog: faults.append(dialog.message))
    tab.goto(page.as_uri())
    assert not tab.locator("#save").is_visible()
    tab.locator(".choice input[value=undo]").first.check()
    tab.locator(".choice input[value=undo]").nth(1).check()
    tab.locator(".choice input[value=confirm]").nth(1).check()
    with tab.expect_download() as download:
        tab.locator("#save button").click()
    download.value.save_as(tmp_path / "decisions.jsonl")
    tab.close()
    assert not faults
    decisions = read_decisions(tmp_path / "decisions.jsonl")
    assert sorted(one.decision for found in decisions.values() for one in found) == ["confirm", "undo"]
    rows = [json.loads(line) for line in (page.parent / "ledger.jsonl").read_text().splitlines()]
    places = {(row["story"], row["start"], row["end"]) for row in rows if "rule" in row}
    assert {(story, one.start, one.end) for story, found in decisions.items() for one in found} <= places

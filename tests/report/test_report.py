"""The report: one file that needs no others, shows the results of the run, and escapes all text."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from conftest import TINY_STORIES, write_corpus
from made_results import evaluation, learning_curve, model, sample, writing

from fabula.errors import FabulaError
from fabula.evaluation.evaluate import evaluate
from fabula.evaluation.options import EvaluationOptions, TuningOptions
from fabula.evaluation.tune import tune
from fabula.files import write_json
from fabula.report.compare import compare
from fabula.report.pages import code, nearest_to_people
from fabula.report.render import pair_samples, render
from fabula.results import CopiedSpan, Evaluation, RunArguments, Vote, add_vote, read_samples, write_samples

ARGUMENTS = dict.fromkeys(RunArguments.model_fields) | {
    "base": "tiny",
    "recipe": "default",
    "seed": 1,
    "force": False,
}
EVIL = "<script>alert('&')</script>"


class Page(HTMLParser):
    """Elements, ids, links and addresses of a page; fails on tags that do not match."""

    VOID = frozenset(
        {"meta", "link", "br", "img", "hr", "input", "path", "use", "rect", "circle", "polyline"}
    )

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        values = dict(attrs)
        self.ids += [value for name, value in values.items() if name == "id" and value]
        self.links += [
            value for name, value in values.items() if name in ("href", "src", "xlink:href") and value
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in self.VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def run_folder(tiny_gpt2_dir, tmp_path_factory) -> Path:
    """A run folder with everything that a report shows, including malicious text."""
    folder = tmp_path_factory.mktemp("run") / "evil <run>"
    folder.mkdir()
    corpus = write_corpus(folder / "corpus", TINY_STORIES[:32], TINY_STORIES[32:])
    manifest = json.loads((corpus / "manifest.json").read_text())
    manifest["counts"] |= {
        "format": f"plain text {EVIL} with `code`",
        "rule_set": "reddit",
        "rule_set_reason": EVIL,
        "num_read": 45,
        "num_kept": 40,
        "num_dropped": {"near_copy": 5},
        "num_removals": 2,
        "removals_by_rule": {"edit": 2},
        "words_by_rule": {"edit": 9},
        "words_removed": 9,
        "words_kept": 991,
        "repairs": {"unicode": 3},
    }
    manifest["inputs"] = {"stories": "abc123"}
    (corpus / "manifest.json").write_text(json.dumps(manifest))
    place = {"source": EVIL, "source_line": 3}
    rows = [
        {
            "story": "a",
            **place,
            "start": 0,
            "end": 4,
            "rule": "edit",
            "confidence": 1.0,
            "text": f"EDIT: {EVIL}",
        },
        {
            "story": "b",
            **place,
            "dropped": "near_copy",
            "copy_of": "a",
            "similarity": 0.9,
            "title": "",
            "text": None,
        },
    ]
    (corpus / "ledger.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    model = folder / "model"
    model.mkdir()
    log = [{"step": 0, "seconds": 0.1, "val_loss": 6.0, "bits_per_byte": 3.0}]
    log += [
        {
            "step": s,
            "epoch": 0.1,
            "seconds": s / 2,
            "train_loss": 6 - s / 10,
            "learning_rate": 1e-3,
            "tokens_per_second": 900.0,
        }
        for s in range(1, 11)
    ]
    log += [{"step": 10, "seconds": 5.2, "val_loss": 4.9, "bits_per_byte": 2.4}]
    (model / "log.jsonl").write_text("".join(json.dumps(row) + "\n" for row in log))
    (model / "recipe.toml").write_text(f"# {EVIL}\nlearning_rate = 1e-3\n")
    (folder / "run.json").write_text(
        json.dumps(
            {
                "name": f"run {EVIL}",
                "arguments": ARGUMENTS,
                "command": f"fabula run '{EVIL}'",
                "versions": {"fabula": "0.1.0"},
            }
        )
    )
    evaluate(
        [tiny_gpt2_dir, tiny_gpt2_dir],
        corpus,
        names=["base", "tuned"],
        out=folder,
        options=EvaluationOptions(num_samples=4, max_new_tokens=10),
    )
    curve = learning_curve()
    evil = curve.unusual[0].model_copy(update={"first_line": EVIL, "source": EVIL})
    metrics = Evaluation.load(folder / "metrics.json")
    metrics.model_copy(
        update={"learning_curve": curve.model_copy(update={"unusual": [evil], "conclusion": EVIL})}
    ).save(folder / "metrics.json")
    quick = TuningOptions(num_settings=1, num_stories=2, max_new_tokens=8)
    tune(tiny_gpt2_dir, corpus, out=folder, options=quick)
    samples = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    passage = TINY_STORIES[2][:60]
    samples[4]["text"] = f"{EVIL} {passage} and on."
    samples[4]["spans"] = [
        {"start": len(EVIL) + 1, "end": len(EVIL) + 61, "story_id": "c", "source": EVIL, "source_line": 3,
         "title": EVIL, "source_start": 0, "before": "", "after": TINY_STORIES[2][60:90]}
    ]  # fmt: skip
    (folder / "samples.jsonl").write_text("".join(json.dumps(row) + "\n" for row in samples))
    return folder


def test_the_report_is_one_whole_safe_file(run_folder):
    path = render(run_folder)
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert "script" not in page.tags
    assert {"svg", "mark", "details", "table"} <= page.tags
    assert [link for link in page.links if not link.startswith("#")] == []
    assert len(page.ids) == len(set(page.ids))
    assert {link[1:] for link in page.links} <= set(page.ids)
    assert not re.search(r"url\((?!#)|@import", text)
    assert "prefers-color-scheme: dark" in text
    assert "@media print" in text
    assert "#010203" not in text  # every colour of a drawing is the page's
    assert page.text.count(EVIL) >= 8
    for said in (
        "2 removed, 9 words",
        "near copy",
        "EDIT:",
        "10 steps",
        "unicode 3",
        "abc123",
        "learning_rate = 1e-3",
        "Training stories that stand out",
    ):
        assert said in page.text
    assert TINY_STORIES[2][:60] in page.text
    path.unlink()
    assert render(run_folder).read_text(encoding="utf-8") == text  # the same bytes again


@pytest.mark.parametrize("name", ["metrics.json", "corpus/manifest.json"])
def test_a_report_is_made_again_only_when_something_in_it_has_changed(run_folder, tmp_path, name):
    folder = tmp_path / "run"
    shutil.copytree(run_folder, folder)
    first = render(folder).stat().st_mtime_ns
    assert render(folder).stat().st_mtime_ns == first
    with (folder / name).open("a") as file:
        file.write("\n")
    assert render(folder).stat().st_mtime_ns > first


def test_parts_without_a_file_are_left_out(tiny_gpt2_dir, tiny_corpus_dir, tmp_path):
    evaluate([tiny_gpt2_dir], tiny_corpus_dir, out=tmp_path, options=EvaluationOptions(num_samples=0))
    page = Page(render(tmp_path).read_text(encoding="utf-8"))
    assert "prediction" in page.ids
    assert not {"stories", "writing", "memory", "training", "cleaning", "settings"} & set(page.ids)


def test_a_folder_without_a_run_is_refused(tmp_path):
    with pytest.raises(FabulaError, match="neither a run nor an evaluation"):
        render(tmp_path)
    run = {"name": "r", "arguments": ARGUMENTS, "command": "fabula run", "versions": {}}
    write_json(tmp_path / "run.json", run)
    row = json.dumps(sample().model_dump(mode="json"))
    (tmp_path / "samples.jsonl").write_text(f"{row}\nbroken\n")
    with pytest.raises(FabulaError, match=r"samples\.jsonl:2: this row is not a JSON object"):
        render(tmp_path)
    (tmp_path / "samples.jsonl").write_text("{}\n")
    with pytest.raises(FabulaError, match=r"samples\.jsonl:1: field 'index' is required"):
        render(tmp_path)
    (tmp_path / "samples.jsonl").unlink()
    write_json(tmp_path / "run.json", {**run, "nam": "r"})
    with pytest.raises(FabulaError, match=r"run\.json: unknown field 'nam'; did you mean name"):
        render(tmp_path)


def test_a_comparison_of_runs(run_folder, tiny_gpt2_dir, tiny_corpus_dir, tmp_path):
    other = tmp_path / "other"
    evaluate(
        [tiny_gpt2_dir],
        tiny_corpus_dir,
        out=other,
        options=EvaluationOptions(num_samples=2, max_new_tokens=8),
    )
    path = compare([run_folder, run_folder], out=tmp_path / "c.html")
    page = Page(path.read_text(encoding="utf-8"))
    assert "same 8 held-out stories" in page.text
    assert "script" not in page.tags
    assert [link for link in page.links if not link.startswith("#")] == []
    mixed = Page(compare([run_folder, other], out=path).read_text(encoding="utf-8"))
    assert "different stories" in mixed.text
    with pytest.raises(FabulaError, match="two runs or more"):
        compare([run_folder])
    with pytest.raises(FabulaError, match="no finished run"):
        compare([run_folder, tmp_path])


def test_code_is_set_as_code():
    assert code("a `b<` c") == "a <code>b&lt;</code> c"


def test_copied_passages_are_numbered_and_stand_where_they_are():
    span = CopiedSpan(start=2, end=5, story_id="a", source="s.txt", source_line=1, title="", source_start=0)
    pairs, sources = pair_samples([sample(prompt="P", text="abcdefg", spans=[span])], {"tuned": "base"})
    assert pairs[0].stories[0].segments == [("ab", None), ("cde", 1), ("fg", None)]
    assert [(source.span, source.passage) for source in sources] == [(span, "cde")]


def test_nearest_to_people_names_no_winner_of_a_tie():
    def nearest(*ended: float) -> int | None:
        models = [model(f"m{share}", 2.0, writing=writing(ended=share)) for share in ended]
        return nearest_to_people(evaluation(*models, human=writing(ended=0.5)))["ended_share"]

    assert nearest(0.1, 0.6) == 1
    assert nearest(0.25, 0.75) is None
    assert nearest(0.5) is None


def test_nothing_is_cut_off_on_paper_or_a_phone(browser, run_folder: Path):
    page = browser.new_page()
    page.goto(render(run_folder).as_uri())
    too_wide = '() => [...document.querySelectorAll("html, .scroll, pre")].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.tagName + " " + e.innerText.slice(0, 80))'
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(too_wide)  # tables scroll inside their own box
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.emulate_media(media="print")
    page.set_viewport_size({"width": 700, "height": 1000})  # A4 between its margins
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.evaluate(too_wide) == []
    page.close()


@pytest.mark.parametrize(("width", "tallest"), [(1280, 2500), (390, 3500)])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_what_matters_is_seen_at_first_sight(
    browser, run_folder: Path, tmp_path: Path, width: int, tallest: int, scheme: str
):
    folder = tmp_path / "a run with a name of some length"
    shutil.copytree(run_folder, folder)
    (folder / "run.json").unlink()
    metrics = Evaluation.load(folder / "metrics.json")
    long = "A sentence of the verdict that is as long as the longest of them, with its figures (20.1 % of 34.5 %)."
    verdict = metrics.verdict.model_copy(
        update={"headline": f"{long} {long}", "doubts": [long] * 3, "learned": [long] * 3}
    )
    metrics.model_copy(update={"verdict": verdict}).save(folder / "metrics.json")
    samples = read_samples(folder / "samples.jsonl")
    vote = Vote(
        question="person",
        authors=("people", "tuned"),
        passages=("a", "b"),
        chosen=0,
        fingerprint=metrics.fingerprint,
    )
    for _ in range(3):
        add_vote(folder / "votes.jsonl", vote)
    whole = [each.model_copy(update={"text": "All was quiet in the harbour. " * 100}) for each in samples]
    write_samples(folder / "samples.jsonl", whole)
    context = browser.new_context(viewport={"width": width, "height": 860}, color_scheme=scheme)
    page = context.new_page()
    page.goto(render(folder).as_uri())
    size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert page.evaluate(size)[0] <= width
    assert page.evaluate(size)[1] < tallest
    assert page.locator(".part[open]").count() == 0
    expected = "The person's passage was recognised in 3 of 3 pairs"
    assert expected in page.locator(".verdict").inner_text()
    page.locator("a[href='#stories']").click()  # a link opens the part that it leads to
    assert page.locator(".part[open] #stories").count() == 1
    assert page.evaluate(size)[0] <= width
    context.close()

"""How well the notes of authors are found, and training of the classifier that helps to find them.

    python benchmarks/boilerplate.py score --data ../shared/data     # F1 on hand-labelled stories, rules alone and with the classifier
    python benchmarks/boilerplate.py sites                     # F1 on cases in the manner of many sites
    python benchmarks/boilerplate.py harm --data ../shared/data      # what is taken out of clean fiction, and the speed
    python benchmarks/boilerplate.py cases --data ../shared/data     # cross-validated figures over the cases of the tests
    python benchmarks/boilerplate.py train --data ../shared/data     # writes src/fabula/corpus/boilerplate/classifier.json

`--data` is a folder with `wp-gold/` (stories with hand-labelled notes), `stories/*.jsonl`, `bench/ohenry.txt` (clean
fiction). The classifier learns from the cases in `tests/data/boilerplate/` and paragraphs of clean fiction, all of it free to use;
`wp-gold`, whose authors were never asked, only tests it. All of it takes about a minute.
"""

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "corpus"))
from site_cases import site_cases  # pyright: ignore[reportMissingImports]

from fabula.corpus.boilerplate import RULE_SETS, classifier, evidence, examine, find_boilerplate
from fabula.corpus.boilerplate.paragraphs import fold, from_the_end, from_the_start
from fabula.story import Span

ROOT = Path(__file__).parent.parent
CASES = ROOT / "tests" / "data" / "boilerplate"
WEIGHTS = ROOT / "src" / "fabula" / "corpus" / "boilerplate" / "classifier.json"
SAMPLES = ROOT / "src" / "fabula" / "data" / "sample_stories.txt"
SAMPLE_LABELS = ROOT / "tests" / "data" / "sample_stories.gold.jsonl"
BODY = (
    "The lamp had burned for nine hundred years, and on the morning that it went out nobody noticed but Ilse.\n"
    'She was nine. She stood at the foot of the tower and looked up at the dark glass.\n"Grandfather," she called, '
    '"it\'s out."\n"Nonsense," said the old man. "It can\'t go out. It never has."\nBut he came down all the same, and when '
    "he had looked for a long while he put his hand on her shoulder.\nThat night the first ship came, and it did not need a light."
)
L2, MIN_COUNT, MIN_COUNT_STORY, MIN_WEIGHT, TRAP_WEIGHT, ROUNDS = 1.0, 2, 15, 0.05, 2.0, 200
MAX_CHARS = 1200
FOLDS = 10

Weights = dict[classifier.Feature, float]
Labelled = list[tuple[str, list[tuple[int, int]]]]  # texts, and what is not story in each


def decode(line: str) -> str:
    """A story of the notebook's format, as the labels count its characters."""
    line = re.sub(r"^<sos>\s?|\s?<eos>$", "", line.strip())
    return re.sub(r"\s?<nl>\s?", "\n", line).strip()


def labelled(stories: Path, gold: Path) -> Labelled:
    texts = [decode(line) for line in stories.read_text(encoding="utf-8").splitlines()]
    rows = [json.loads(line) for line in gold.read_text(encoding="utf-8").splitlines()]
    return [(text, [(a, b) for a, b, _ in row["spans"]]) for text, row in zip(texts, rows, strict=True)]


def clean_fiction(data: Path) -> Iterator[tuple[str, str]]:
    """Name and text of every clean story."""
    for path in sorted((data / "stories").glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            yield f"{path.name}:{number}", json.loads(line)["text"]
    for number, line in enumerate(
        (data / "bench" / "ohenry.txt").read_text(encoding="utf-8").splitlines(), 1
    ):
        yield f"ohenry.txt:{number}", decode(line)


def cases() -> list[tuple[str, str, bool]]:
    """Where (head, tail), text and whether it is a note, of every case of the tests."""
    rows = (
        json.loads(line)
        for path in sorted(CASES.glob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    return [(row["where"], row["text"], row["note"]) for row in rows if "note" in row]


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a case as the classifier sees them, without dividers."""
    found = [
        part.raw for part in from_the_end(text, 10**9) if not part.is_divider and len(part.raw) <= MAX_CHARS
    ]
    return [fold(raw) for raw in found]


def fiction_paragraphs(data: Path) -> list[str]:
    """Paragraphs at the ends of every third clean story, and all story paragraphs of the bundled samples."""
    _, found = gold_paragraphs(labelled(SAMPLES, SAMPLE_LABELS))
    for _, text in islice(clean_fiction(data), 0, None, 3):
        ends = [*islice(from_the_end(text, 6000), 5), *islice(from_the_start(text, 3000), 2)]
        found += [fold(part.raw) for part in ends if not part.is_divider and len(part.raw) <= MAX_CHARS]
    return found


def gold_paragraphs(stories: Labelled) -> tuple[list[str], list[str]]:
    """Paragraphs of the notes, and of the stories, of labelled texts."""
    notes, story = [], []
    for text, spans in stories:
        position = 0
        for a, b in [*spans, (len(text), len(text))]:
            story += paragraphs(text[position:a])
            notes += paragraphs(text[a:b])
            position = b
    return notes, story


def _name(feature: classifier.Feature) -> str:
    """A feature as `classifier.json` writes it."""
    return feature if isinstance(feature, str) else " ".join(feature)


def train(notes: Sequence[str], fiction: Sequence[str], traps: Sequence[str]) -> Weights:
    """Logistic regression (L2, AdaGrad, whole batches) on the features of `classifier.features`; notes and story weigh the same."""
    texts = [*notes, *fiction, *traps]
    features = [sorted(set(classifier.features(classifier.words(text))), key=_name) for text in texts]
    in_notes = Counter(name for row in features[: len(notes)] for name in row)
    in_story = Counter(name for row in features[len(notes) :] for name in row)
    kept = {name for name, count in in_notes.items() if count >= MIN_COUNT}
    kept |= {name for name, count in in_story.items() if count >= MIN_COUNT_STORY}
    number = {name: i for i, name in enumerate(sorted(kept, key=_name))}
    columns = [np.array([number[name] for name in row if name in number], dtype=np.int64) for row in features]
    rows, cols = np.repeat(np.arange(len(texts)), [len(row) for row in columns]), np.concatenate(columns)
    label = np.arange(len(texts)) < len(notes)
    sample = np.ones(len(texts))
    sample[len(notes) + len(fiction) :] = TRAP_WEIGHT
    sample[label] = sample[~label].sum() / len(notes)
    sample /= sample.mean()
    weights, bias, squares, bias_squares = np.zeros(len(number)), 0.0, np.zeros(len(number)), 0.0
    for _ in range(ROUNDS):
        logits = np.bincount(rows, weights[cols], len(texts)) + bias
        slope = (1 / (1 + np.exp(-np.clip(logits, -30, 30))) - label) * sample
        gradient = np.bincount(cols, slope[rows], len(number)) + L2 * weights
        squares, bias_squares = squares + gradient**2, bias_squares + slope.sum() ** 2
        weights -= 0.5 * gradient / np.sqrt(squares + 1e-9)
        bias -= 0.5 * slope.sum() / np.sqrt(bias_squares + 1e-9)
    named = {name: round(float(weights[i]), 2) for name, i in number.items() if abs(weights[i]) >= MIN_WEIGHT}
    return {"": round(float(bias), 2), **named}


def site_paragraphs() -> tuple[list[str], list[str]]:
    """Paragraphs of the notes and of the traps of the sites: those of `dev.txt` and the single lines of `lines.txt`."""
    notes, traps = [], []
    for case in site_cases("dev.txt"):
        if case.boilerplate:
            notes += gold_paragraphs([(case.text, case.boilerplate)])[0]
    for line in (CASES / "sites" / "lines.txt").read_text(encoding="utf-8").splitlines():
        (notes if line[0] == "+" else traps).append(fold(line[2:]))
    return notes, traps


def case_paragraphs(chosen: Sequence[tuple[str, str, bool]]) -> tuple[list[str], list[str]]:
    notes = [part for _, text, note in chosen if note for part in paragraphs(text)]
    traps = [part for _, text, note in chosen if not note for part in paragraphs(text)]
    return notes, traps


def with_weights(weights: Weights | None):
    """A context in which notes are found with these weights of the classifier, or (None) by the rules alone."""
    if weights is None:
        return mock.patch.multiple(evidence, CLASSIFIER_WEIGHT=0.0, MIN_CLASSIFIED=-1e9)
    return mock.patch.object(classifier, "weights", return_value=weights)


def count_words(
    text: str, spans: Sequence[tuple[int, int]], found: Sequence[Span]
) -> tuple[int, int, int, int]:
    """Words rightly removed, wrongly removed, wrongly kept, and of the story."""
    right = wrong = kept = story = 0
    for match in re.finditer(r"\S+", text):
        is_note = any(match.start() < b and match.end() > a for a, b in spans)
        is_found = any(match.start() < span.end and match.end() > span.start for span in found)
        right, wrong, kept = (
            right + (is_note and is_found),
            wrong + (is_found and not is_note),
            kept + (is_note and not is_found),
        )
        story += not is_note
    return right, wrong, kept, story


def print_score(name: str, counts: Sequence[tuple[int, int, int, int]]) -> None:
    right, wrong, kept, story = (sum(column) for column in zip(*counts, strict=True))
    exact = sum(row[1] == row[2] == 0 for row in counts)
    f1 = 2 * right / max(1, 2 * right + wrong + kept)
    print(
        f"{name}: precision {right / max(1, right + wrong):.4f}  recall {right / max(1, right + kept):.4f}  F1 {f1:.4f}  "
        f"story words lost {wrong / story:.4%}  exact {exact}/{len(counts)}"
    )


def score(data: Path) -> None:
    stories = labelled(data / "wp-gold" / "dev.txt", data / "wp-gold" / "dev.gold.jsonl")
    samples = labelled(SAMPLES, SAMPLE_LABELS)
    for name, chosen in (("wp-gold", stories), ("bundled sample stories", samples)):
        print_score(
            f"{name}, as shipped",
            [count_words(text, spans, find_boilerplate(text)) for text, spans in chosen],
        )
        with with_weights(None):
            print_score(
                f"{name}, rules alone",
                [count_words(text, spans, find_boilerplate(text)) for text, spans in chosen],
            )


def score_sites(data: Path) -> None:
    """Of the cases in the manner of many sites: those that the detector was tuned on, and those that it was not."""
    for name in (
        "dev.txt",
        "heldout.txt",
        "independent.jsonl",
        "usual.txt",
        "first_sight.txt",
        "first_sight_heldout.txt",
        "second_sight.txt",
        "second_sight_heldout.txt",
        "mended.txt",
        "third_sight.txt",
        "third_sight_heldout.txt",
        "fourth_sight.txt",
        "fourth_sight_heldout.txt",
        "fifth_sight.txt",
        "sixth_sight.txt",
        "sixth_sight_heldout.txt",
    ):
        counts: dict[str, list[tuple[int, int, int, int]]] = {}
        for case in site_cases(name):
            found = find_boilerplate(case.text, case.site if case.site in RULE_SETS else "web")
            row = count_words(case.text, case.boilerplate, found)
            for group in ("all", case.site):
                counts.setdefault(group, []).append(row)
        for group, rows in counts.items():
            print_score(f"sites, {name}, {group}", rows)


def cross_validate(data: Path) -> None:
    """Of the cases: notes found exactly, and traps left alone, when the classifier was trained on the other cases."""
    rows = cases()
    fiction = fiction_paragraphs(data)
    for name in ("rules alone", "rules and classifier"):
        counts: Counter[str] = Counter()
        for fold_number in range(FOLDS):
            notes, traps = case_paragraphs([row for i, row in enumerate(rows) if i % FOLDS != fold_number])
            with with_weights(None if name == "rules alone" else train(notes, fiction, traps)):
                for where, text, is_note in rows[fold_number::FOLDS]:
                    for divider in ("", "---\n") if is_note else ("",):
                        whole = f"{text}\n{divider}{BODY}" if where == "head" else f"{BODY}\n{divider}{text}"
                        left = whole
                        for span in reversed(find_boilerplate(whole)):
                            left = left[: span.start] + left[span.end :]
                        kind = (
                            "traps"
                            if not is_note
                            else "notes after a divider"
                            if divider
                            else "notes after a paragraph"
                        )
                        counts[kind] += 1
                        counts[f"{kind}, right"] += left.strip() == (BODY if is_note else whole.strip())
        figures = [
            f"{kind} {counts[f'{kind}, right']}/{counts[kind]}"
            for kind in sorted(counts)
            if "right" not in kind
        ]
        print(f"{FOLDS}-fold over the cases, {name}: {', '.join(figures)} right")


def harm(data: Path) -> None:
    stories = list(clean_fiction(data))
    started = time.process_time()
    found = [examine(text) for _, text in stories]
    seconds = time.process_time() - started
    removed = 0
    for (name, text), (spans, _) in zip(stories, found, strict=True):
        for span in spans:
            removed += len(text[span.start : span.end].split())
            print(f"{name} {span.rule} {span.confidence} {text[span.start : span.end]!r}")
    words = sum(len(text.split()) for _, text in stories)
    size = sum(len(text.encode()) for _, text in stories) / 1e6
    print(f"{len(stories)} clean stories, {words} words: {removed} removed ({removed / words:.4%})")
    print(f"{sum(len(doubtful) for _, doubtful in found)} passages are left in as doubtful")
    print(f"{size:.1f} MB in {seconds:.2f} s of processor time: {size / seconds:.1f} MB/s on one core")


def write_weights(data: Path) -> None:
    notes, traps = case_paragraphs(cases())
    site_notes, site_traps = site_paragraphs()
    notes, traps = notes + site_notes, traps + site_traps
    fiction = fiction_paragraphs(data)
    weights = train(notes, fiction, traps)
    trained_on = f"{len(notes)} paragraphs of notes, {len(fiction)} of stories, {len(traps)} traps"
    named = {_name(feature): weight for feature, weight in weights.items()}
    text = json.dumps({"trained_on": trained_on, "weights": named}, ensure_ascii=False, indent=0)
    WEIGHTS.write_text(text + "\n", encoding="utf-8")
    print(f"{WEIGHTS.name}: {len(weights)} weights from {trained_on}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = {
        "score": score,
        "sites": score_sites,
        "cases": cross_validate,
        "harm": harm,
        "train": write_weights,
    }
    parser.add_argument("command", choices=commands)
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    arguments = parser.parse_args()
    commands[arguments.command](arguments.data)


if __name__ == "__main__":
    main()

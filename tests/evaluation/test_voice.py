"""The voice of an author: figures with known answers, stories by others, and the classifier of style."""

import random
from pathlib import Path

import numpy as np
import pytest
from conftest import write_corpus

from fabula.corpus.store import open_corpus
from fabula.evaluation.evaluate import evaluate
from fabula.evaluation.likelihood import TextScores
from fabula.evaluation.options import EvaluationOptions
from fabula.evaluation.others import PASSAGE_CHARS, find_others, is_english, load_others, why_missing
from fabula.evaluation.style import FEATURES, frequencies, judge_style, passages_of, tell_apart
from fabula.evaluation.voice import measure_voice
from fabula.story import Story

GERMAN = "Es war einmal ein König, der hatte eine Tochter, und sie war so schön, dass die Sonne selber sich wunderte. "


def scores(nats: list[float], num_bytes: int = 1000) -> TextScores:
    size = np.full(len(nats), num_bytes)
    return TextScores(np.array(nats) * np.log(2), size // 4, size)


def story(text: str) -> Story:
    return Story("a", text, "s.txt", 1)


AUTHORS = [author for author in "abcdef" for _ in range(4)]


def test_a_model_of_the_author_gains_on_the_author_alone():
    base = scores([1200.0] * 20), scores([1300.0] * 24)
    tuned = scores([1000.0] * 20), scores([1310.0] * 24)
    voice = measure_voice(base, tuned, ([str(each) for each in range(20)], AUTHORS))
    assert voice.gain.value == pytest.approx(0.2)
    assert voice.gain_on_others.value == pytest.approx(-0.01)
    assert voice.difference.value == pytest.approx(0.21)
    assert voice.told_apart.value == 1.0
    assert (voice.num_passages, voice.num_others) == (20, 24)


def test_a_model_of_somebody_else_tells_nothing():
    """It gains on both sides alike, by chance a little more or less."""
    draw = random.Random(0)
    base = scores([1200.0] * 30), scores([1300.0] * 24)
    tuned = (
        scores([1100.0 + draw.gauss(0, 20) for _ in range(30)]),
        scores([1200.0 + draw.gauss(0, 20) for _ in range(24)]),
    )
    voice = measure_voice(base, tuned, ([str(each) for each in range(30)], AUTHORS))
    for estimate, chance in ((voice.difference, 0.0), (voice.told_apart, 0.5)):
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < chance < estimate.high


def test_one_cluster_has_no_interval():
    voice = measure_voice(
        (scores([9.0]), scores([9.0] * 24)), (scores([8.0]), scores([9.0] * 24)), (["a"], AUTHORS)
    )
    assert voice.told_apart.value == 1.0
    assert voice.told_apart.low is None


def test_the_bundled_stories():
    others = load_others()
    assert len(others) > 90
    assert len({passage.author for passage in others[:14]}) == 14
    assert all(1500 < len(passage.text) <= PASSAGE_CHARS for passage in others)
    assert is_english([story(passage.text) for passage in others])
    assert not is_english([story(GERMAN * 20)])
    assert "English" in why_missing([story(GERMAN * 20)], 48)
    assert "time" in why_missing([story("The end.")], 0)


def test_an_author_is_not_told_from_himself(tmp_path: Path):
    others = load_others()
    own = next(passage for passage in others if passage.author == "Edgar Allan Poe")
    curly = [f"“Once upon a time there was a fox,” said number {number}, and it was." for number in range(9)]
    corpus = open_corpus(write_corpus(tmp_path / "poe", [own.text, *curly], curly[:2]))
    found, famous = find_others(corpus, list(corpus.stories("validation")))
    assert found == [passage for passage in others if passage.author != own.author]
    assert famous == ["Edgar Allan Poe"]
    straight = [text.replace("“", '"').replace("”", '"') for text in curly]
    corpus = open_corpus(write_corpus(tmp_path / "straight", straight, straight[:2]))
    found, famous = find_others(corpus, list(corpus.stories("validation")))
    assert (len(found), famous) == (len(others), [])
    assert not any(mark in passage.text for passage in found for mark in "“”—")


def written_by(author: str, number: int) -> str:
    """A text of function words at rates of the author's own, and of subjects at any rate."""
    rates, draw = random.Random(author), random.Random(f"{author} {number}")
    words = [
        *[
            "the",
            "of",
            "and",
            "a",
            "to",
            "in",
            "he",
            "it",
            "was",
            "upon",
            "but",
            "then",
            ",",
            ".",
            ";",
            "—",
            "!",
            "”",
        ],
        "harbour",
        "engine",
        "queen",
    ]
    weights = [rates.uniform(0.3, 1) for _ in words[:-3]] + [draw.uniform(0, 1) for _ in range(3)]
    return " ".join(draw.choices(words, weights, k=300))


def test_style_tells_authors_apart():
    own = [written_by("the author", number) for number in range(30)]
    others = [(f"author {number % 10}", written_by(f"author {number % 10}", number)) for number in range(50)]
    sets = [own[20:], [written_by("a stranger", number) for number in range(10)], [], ["Too short."]]
    found = judge_style(own[:20], own[20:], others, sets)
    assert found is not None
    assert found.author.value > 0.9
    assert found.others.value < 0.3
    assert found.sets[0] == found.author
    assert found.sets[1] is not None
    assert found.sets[1].value < 0.5
    assert found.sets[2:] == [None, None]
    assert judge_style(own[:3], own[20:], others, []) is None
    assert judge_style(own[:20], own[20:], others[:3], []) is None
    assert found == judge_style(own[:20], own[20:], others, sets)


def test_sets_of_stories_are_told_apart_only_by_a_difference():
    halves = [text for passage in load_others() for text in (passage.text[:1000], passage.text[1000:])]
    same = tell_apart(halves[::2], halves[1::2])  # beginnings and ends of the same
    assert same is not None
    assert same.value < 0.7
    other = tell_apart(halves[:80], [text.replace(" the ", " a ").replace(",", "") for text in halves[80:]])
    assert other is not None
    assert other.value > 0.9
    assert tell_apart(halves[:39], halves) is None


def test_typography_is_no_style():
    curly, straight = "“Well,” he said—and left… ", '"Well," he said--and left... '
    assert passages_of(curly * 20) == passages_of(straight * 20)
    rows = frequencies(passages_of(curly * 20))
    assert rows.shape == (len(passages_of(curly * 20)), len(FEATURES))
    assert passages_of("Too short.") == []


def test_an_evaluation_measures_the_voice_or_says_why_not(tiny_gpt2_dir: Path, tmp_path: Path):
    texts = [f'"{passage.text[:300]} and so on", she said.' for passage in load_others()]
    texts = [text.replace("a", "o") for text in texts]  # nobody's
    corpus = write_corpus(tmp_path / "corpus", texts[:30], texts[30:36])
    options = EvaluationOptions(num_samples=0, num_others=4)
    found = evaluate([tiny_gpt2_dir] * 2, corpus, names=["base", "tuned"], options=options)
    if found.voice_missing is None:
        assert found.models[0].voice is None
        voice = found.models[1].voice
        assert voice is not None
        assert (voice.num_passages, voice.num_others) == (6, 4)
        assert voice.difference.value == 0  # the same model twice
        assert voice.told_apart.value == 0.5
    german = write_corpus(tmp_path / "german", [GERMAN * 3 + str(n) for n in range(8)], [GERMAN * 3] * 2)
    found = evaluate([tiny_gpt2_dir] * 2, german, names=["base", "tuned"], options=options)
    assert found.models[1].voice is None
    assert found.voice_missing is not None
    assert "English" in found.voice_missing

"""The choice of sampling settings: what counts as near, the limit on copying, and what is written."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from conftest import Command, write_corpus

from fabula.corpus.words import words_of
from fabula.errors import FabulaError
from fabula.evaluation.coherence import coherence_bits, middle_of
from fabula.evaluation.known_words import KnownWords
from fabula.evaluation.options import TuningOptions
from fabula.evaluation.people import PeoplesStories
from fabula.evaluation.tune import PENALTY, SAMPLERS, apply_settings, choose, tune
from fabula.evaluation.word_lists import is_word, language_of
from fabula.evaluation.writing import measure_story
from fabula.generation.settings import SamplingSettings
from fabula.results import Candidate, TuningFigures

PEOPLE = [
    f"{who} {did} {what} {where}, and {then}."
    for who in ("Ada", "The miller", "Old Tom", "A fox")
    for did, what in (("found", "a lamp"), ("lost", "the key"), ("hid", "three coins"))
    for where, then in (("by the well", "nobody saw it"), ("in the barn", "went home to sleep"))
]


def candidate(
    distance: float, copied_share: float, gap: float | None = None, non_words: float | None = None
) -> Candidate:
    return Candidate(
        sampler="top_p",
        settings=SamplingSettings(),
        figures=TuningFigures.parse(
            dict.fromkeys(TuningFigures.model_fields) | {"perplexity_gap": gap, "non_words": non_words}
        ),
        deviations=dict.fromkeys("abcd", 1.0),
        distance=distance,
        copied_share=copied_share,
    )


def test_the_nearest_within_the_limit_is_chosen():
    tried = [candidate(1.0, 0.5), candidate(2.0, 0.02), candidate(3.0, 0.0)]
    assert choose(tried, 0.02, None) == 1
    assert choose(tried, 1.0, None) == 0
    assert choose(tried[:2], 0.01, None) == 1  # none is within: the one that copies least


def test_of_settings_that_differ_by_chance_the_likeliest_is_chosen():
    """Chance moves a distance by 0.5 where there are 4 figures."""
    tried = [candidate(1.0, 0, gap=0.3), candidate(1.4, 0, gap=-0.5), candidate(1.6, 0, gap=-0.9)]
    assert choose(tried, 0.02, None) == 1


def test_settings_that_make_non_words_are_not_chosen():
    tried = [
        candidate(1.0, 0, non_words=0.03),
        candidate(2.0, 0, non_words=0.012),
        candidate(2.1, 0, non_words=0.02),
    ]
    assert choose(tried, 0.02, 0.012) == 1
    assert choose(tried, 0.02, 0.001) == 1  # all have more: the fewest
    assert choose(tried, 0.02, None) == 0


def test_words_of_languages():
    english = words_of(
        "The miller went to the barn, and nobody saw him; the fox didn't tell the others' names."
    )
    assert language_of(english) == "en"
    assert (
        language_of(words_of("Le meunier alla à la grange, et personne ne le vit ; le renard se tut."))
        == "fr"
    )
    assert language_of(words_of("Мельник пошёл в амбар, и никто его не видел.")) == "ru"
    assert language_of(words_of("磨坊主走进谷仓，没有人看见他。")) is None
    assert language_of([]) is None
    assert all(is_word(word, "en") for word in (*english, "miller's", "1912", "…"))
    assert not any(is_word(word, "en") for word in ("fulfilence", "miltim", "dutifulgress"))


def test_a_story_whose_second_half_follows_from_the_first_is_coherent(tiny_gpt2_dir: Path):
    from fabula.evaluation.models import Scorer

    assert middle_of("One two. Three four. Five six.") in (8, 20)
    assert middle_of("No end here") == 0
    scorer = Scorer.load(tiny_gpt2_dir)
    texts = ["A fox ran. A fox ran.", "No end here"]
    scored = scorer.score_tokens(texts)
    bits = coherence_bits(scorer, scored)
    assert bits[0, 1] == len("A fox ran.")
    alone, first, whole = scorer.score(["A fox ran.", "A fox ran.", texts[0]]).nats / np.log(2)
    assert bits[0, 0] == pytest.approx(alone - (whole - first), abs=0.5)
    assert bits[1].tolist() == [0, 0]


def test_each_sampler_gets_the_same_number_of_settings():
    assert len({len(grid) for grid in SAMPLERS.values()}) == 1
    off = SamplingSettings(top_p=1.0)
    for sampler, grid in SAMPLERS.items():
        settings = [off.with_changes(**changes) for changes in grid]
        assert len(set(map(str, settings))) == len(grid)
        assert sum(getattr(each, sampler) == getattr(off, sampler) for each in settings) <= 1


def test_people_are_near_to_people_and_a_parrot_is_far():
    bits = np.array([[float(len(text)), float(len(text))] for text in PEOPLE])
    stories = [measure_story(text, True) for text in PEOPLE]
    words = {word for story in stories for word in story.words}
    pairs = {pair for story in stories for pair in pairwise(story.words)}
    bits = np.concatenate([bits, bits * [0.05, 0.5]], axis=1)
    people = PeoplesStories(stories, bits, 8, KnownWords(words, pairs, "en"))

    def judge(texts: list[str], its_bits: np.ndarray = bits[:8], ended: bool = True) -> Candidate:
        measured = [measure_story(text, ended) for text in texts]
        return people.judge("top_p", SamplingSettings(), measured, its_bits, 0.0)

    num_non_words = (people.most_non_words() or 0.0) * people.num_words
    assert num_non_words == pytest.approx(2.0)  # people have none, and one or two are chance
    near = judge(PEOPLE[::3])
    parrot = judge(["and then " * 10] * 8, bits[:8] * [[0.1, 1, 0.1, 1]], ended=False)
    assert near.distance < 2 < parrot.distance
    assert parrot.deviations["ended_share"] < -2
    assert parrot.deviations["looping_share"] > 2
    assert parrot.figures.perplexity_gap == pytest.approx(-0.9)
    assert parrot.deviations["perplexity_gap"] == 0  # to be predictable is judged by what repeats
    assert parrot.deviations["coherence"] < -2
    misspelt = judge([text.replace("a", "aq") for text in PEOPLE[::3]]).deviations
    assert misspelt["unknown_words"] > 2
    assert misspelt["non_words"] > 2
    assert judge(PEOPLE[::3], bits[:8] * [[1, 1, 3, 1]]).deviations["coherence"] == 0
    jumble = judge([" ".join(sorted(text.split())) for text in PEOPLE[::3]]).deviations
    assert jumble["unknown_words"] == 0
    assert jumble["unknown_pairs"] > 2
    silent = judge([""] * 8, bits[:8] * 0)
    assert silent.figures.distinct_2 is None
    assert silent.distance > 2


def test_settings_are_kept_with_the_model(tmp_path: Path):
    config = tmp_path / "generation_config.json"
    config.write_text('{"eos_token_id": 7, "max_new_tokens": 300, "top_k": 50}')
    apply_settings(tmp_path, SamplingSettings(max_new_tokens=20, top_p=0.9, temperature=0.8))
    stated = json.loads(config.read_text())
    assert stated["eos_token_id"] == 7
    assert stated["do_sample"] is True
    found = SamplingSettings.of_model(tmp_path)
    assert (found.top_p, found.temperature, found.top_k, found.max_new_tokens) == (0.9, 0.8, 0, 300)


def test_tune_sweeps_and_remembers(tiny_gpt2_dir, tiny_corpus_dir, tmp_path):
    import shutil

    model = tmp_path / "model"
    shutil.copytree(tiny_gpt2_dir, model)
    options = TuningOptions(num_settings=1, num_stories=2, max_new_tokens=8)
    tuning = tune(model, tiny_corpus_dir, out=tmp_path, options=options)
    assert [each.sampler for each in tuning.candidates] == list(SAMPLERS)
    assert {each.settings.repetition_penalty for each in tuning.candidates} == {PENALTY}
    chosen = tuning.best
    found = SamplingSettings.of_model(model)
    assert found.max_new_tokens == SamplingSettings().max_new_tokens
    assert found.with_changes(max_new_tokens=8).generation_config() == chosen.settings.generation_config()
    written = (tmp_path / "tuning.json").stat().st_mtime_ns
    (model / "generation_config.json").unlink()
    assert tune(model, tiny_corpus_dir, out=tmp_path, options=options) == tuning
    assert (tmp_path / "tuning.json").stat().st_mtime_ns == written
    assert SamplingSettings.of_model(model) == found


def test_tune_refuses_what_it_cannot_do(tiny_gpt2_dir, tmp_path, fabula: Command):
    with pytest.raises(FabulaError, match="num_settings"):
        TuningOptions.parse({"num_settings": 7})
    few = write_corpus(tmp_path / "few", ["A story."], ["Another."])
    done = fabula("tune", tiny_gpt2_dir, few)
    assert done.returncode == 2
    assert "too few to compare with" in done.stderr
    assert "Traceback" not in done.stderr

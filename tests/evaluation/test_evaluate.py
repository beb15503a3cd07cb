"""The measures: known answers, models built by hand that each measure must catch, and the command."""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import TINY_STORIES, Command, write_corpus
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from fabula.baseline.loss import NUM_TOKENS, notebook_loss
from fabula.cli.evaluate import print_evaluation
from fabula.corpus.store import open_corpus
from fabula.errors import FabulaError
from fabula.evaluation.evaluate import evaluate, measure_sets
from fabula.evaluation.intervals import Bootstrap, mean_estimate, share_estimate
from fabula.evaluation.known_words import KnownWords
from fabula.evaluation.likelihood import TextScores, score_texts, sum_scores, summarise_scores
from fabula.evaluation.models import LoadedModels, unique_names
from fabula.evaluation.options import EvaluationOptions
from fabula.evaluation.stories import choose_prompts, cut_stories
from fabula.evaluation.writing import (
    compression_ratio,
    distinct,
    ends_a_sentence,
    loops,
    measure_story,
    measure_writing,
    repeated_ngrams,
    self_bleu,
    words_of,
    zipf_slope,
)
from fabula.generation.engine import Batch, Engine, TextSide
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import write_stories
from fabula.models.load import load_model
from fabula.models.story_format import story_format_by_rule
from fabula.story import Story
from fabula.tokens.tokenizer import end_of_text_id, load_tokenizer

# Intervals


def test_whole_clusters_are_resampled():
    columns = np.array([[1.0, 1.0], [1.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    apart = Bootstrap(["a", "b", "c", "d"], columns).estimate(lambda sums: sums[..., 0] / sums[..., 1])
    together = Bootstrap(["a", "a", "c", "c"], columns).estimate(lambda sums: sums[..., 0] / sums[..., 1])
    assert apart.value == together.value == 0.5
    assert (together.low, together.high) == (0, 1)
    one = Bootstrap(["a"] * 4, columns)
    assert one.num_clusters == 1
    assert one.estimate(lambda sums: sums[..., 0] / sums[..., 1]).low is None


def test_the_interval_of_a_mean_covers_it_as_often_as_it_says():
    draw = np.random.default_rng(0)
    covered = 0
    for _ in range(100):
        estimate = mean_estimate(draw.normal(3, 2, size=40).tolist())
        assert estimate.low is not None
        assert estimate.high is not None
        covered += estimate.low <= 3 <= estimate.high
    assert 0.88 <= covered / 100 <= 0.99


def test_a_share_of_none_is_not_certain():
    estimate = share_estimate([False] * 16)
    assert estimate.value == 0
    assert estimate.low == 0
    assert estimate.high == pytest.approx(0.1936, abs=1e-3)  # Wilson's interval for 0 of 16


def test_differences_between_models_are_paired():
    # Stories differ far more than the models do, but a paired interval does not depend on that.
    hard = np.array([100.0, 300.0, 900.0, 2700.0])
    sizes = np.array([100, 100, 100, 100])
    scores = [TextScores(hard + shift, sizes, sizes) for shift in (0.0, -5.0)]
    first, second = summarise_scores(scores, [20, 20, 20, 20], list("abcd"))
    assert first.bits_per_byte_difference is None
    difference = second.bits_per_byte_difference
    assert difference is not None
    assert difference.value == pytest.approx(-0.05 / math.log(2))
    assert difference.low == pytest.approx(difference.high)
    assert first.bits_per_byte.value == pytest.approx(4000 / 400 / math.log(2))
    assert first.perplexity_per_token.value == pytest.approx(math.exp(10))
    assert second.perplexity_per_word.value == pytest.approx(math.exp(3980 / 80))


# The notebook's own figure


def test_the_notebooks_loss_counts_padding_and_markers(tiny_gpt2_dir):
    import torch

    model, tokenizer = load_model(tiny_gpt2_dir), load_tokenizer(tiny_gpt2_dir)
    text = "Ada found a lamp.\nThe end."
    length = min(NUM_TOKENS, model.config.n_positions)
    ids = tokenizer("<sos> Ada found a lamp. <nl> The end. <eos>", add_special_tokens=False)["input_ids"][
        :length
    ]
    padded = torch.tensor([ids + [tokenizer.eos_token_id] * (length - len(ids))])
    mask = torch.tensor([[1] * len(ids) + [0] * (length - len(ids))])
    with torch.no_grad():
        expected = model(padded, attention_mask=mask, labels=padded).loss.item()
    assert notebook_loss(model, tokenizer, [text]) == pytest.approx(expected, abs=1e-5)
    assert notebook_loss(model, tokenizer, [text, text]) == pytest.approx(expected, abs=1e-5)


# Measures of writing


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("and then " * 8, True),
        ("He went up the hill and down the hill and sat. " * 3, True),
        ("He went up the hill and down the hill and sat. " * 2, False),
        ("no " * 11, False),
        ("no " * 12, True),
        ("Fly, fly, fly away, said the wren, and the wren flew, and the day was over and done with.", False),
        ("", False),
    ],
)
def test_loops(text: str, expected: bool):
    assert loops(words_of(text)) is expected


def test_repeated_and_distinct_ngrams():
    words = ["a", "b", "c", "d", "a", "b", "c", "d"]
    assert repeated_ngrams(words) == pytest.approx(1 - 4 / 5)
    assert repeated_ngrams(["a"]) == 0
    assert distinct(words, 2) == pytest.approx(4 / 7)
    assert distinct(["a"], 2) is None


def test_zipf_slope_of_a_zipfian_text():
    words = [f"w{rank}" for rank in range(1, 200) for _ in range(round(10_000 / rank))]
    assert zipf_slope(words) == pytest.approx(-1, abs=0.02)
    assert zipf_slope(["a", "a"]) is None


def test_compression_ratio_grows_with_sameness():
    assert compression_ratio(["same"] * 500) > 20  # pyright: ignore[reportOptionalOperand]
    assert compression_ratio([]) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It ended.", True),
        ("“It ended.”\n", True),
        ("It ended.*", True),
        ("So it goes…", True),
        ("It ended and", False),
        ("It ended,”", False),
        ("", False),
    ],
)
def test_ends_a_sentence(text: str, expected: bool):
    assert ends_a_sentence(text) is expected


def test_a_stride_as_long_as_the_window_is_refused(tiny_gpt2_dir: Path, tiny_corpus_dir: Path):
    options = EvaluationOptions(num_samples=0, num_others=0, context_length=32, stride=32)
    with pytest.raises(FabulaError, match="leaves no context in windows of 32; choose a smaller --stride"):
        evaluate([tiny_gpt2_dir], tiny_corpus_dir, options=options)


def test_self_bleu_is_higher_the_more_stories_share():
    stories = [f"the {one} saw a {two} by the sea .".split() for one, two in ("fd", "gh", "fh", "gd")]
    different = [[f"{number} {word}" for word in range(9)] for number in range(4)]
    assert self_bleu([stories[0], stories[0]]) == pytest.approx(1)
    assert self_bleu(different) == 0
    some = self_bleu(stories)
    assert some is not None
    assert 0.3 < some < 1
    assert self_bleu(stories[:1]) is None
    assert self_bleu([stories[0], ["short"]]) is None


@given(st.lists(st.lists(st.sampled_from("abc"), min_size=4, max_size=12), min_size=2, max_size=5))
def test_self_bleu_equals_its_definition(stories: list[list[str]]):
    """Each story against the largest counts of all others, one by one."""

    def grams(story: list[str], n: int) -> Counter[tuple[str, ...]]:
        return Counter(tuple(story[i : i + n]) for i in range(len(story) - n + 1))

    found = []
    for index, story in enumerate(stories):
        others = [each for other, each in enumerate(stories) if other != index]
        logs = []
        for n in range(1, 5):
            most: Counter[tuple[str, ...]] = Counter()
            for each in others:
                most |= grams(each, n)
            own = grams(story, n)
            extra = int(n > 1)
            precision = ((own & most).total() + extra) / (own.total() + extra)
            logs.append(math.log(precision) if precision else -math.inf)
        nearest = min((len(each) for each in others), key=lambda size: abs(size - len(story)))
        found.append(math.exp(sum(logs) / 4 + min(0, 1 - nearest / len(story))))
    assert self_bleu(stories) == pytest.approx(sum(found) / len(found))


def test_a_set_is_measured_at_the_size_that_is_asked_for():
    measures = measure_writing(
        [measure_story("one two three.", True), measure_story("four five six.", False)],
        KnownWords({"one", "two", "four"}, set(), "en"),
        num_words=4,
    )
    assert measures.new_words == 0.5  # "three" and "."
    assert measures.non_words == 0
    assert measures.num_words == 4
    assert measures.num_stories == 2
    assert measures.mean_words.value == 3
    assert measures.ended_share.value == 0.5


# Models built by hand, each of which one measure must catch


class HandBuilt(Engine):
    """Draws tokens from the logits that `logits_of` gives for the tokens so far."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, TextSide.of(folder))
        self.tokenizer: Any = load_tokenizer(folder)

    def read(self, windows: Sequence[Sequence[int]]) -> "HandBuiltBatch":
        return HandBuiltBatch(self, [list(window) for window in windows])

    def only(self, token: int) -> np.ndarray:
        logits = np.full(len(self.tokenizer), -1e4, dtype=np.float32)
        logits[token] = 0
        return logits

    def logits_of(self, ids: list[int]) -> np.ndarray:
        raise NotImplementedError


class HandBuiltBatch(Batch):
    def __init__(self, engine: HandBuilt, ids: list[list[int]]) -> None:
        self.engine, self.ids = engine, ids
        self.logits_BV = np.stack([engine.logits_of(each) for each in ids])

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        self.ids = [[*self.ids[row], token] for row, token in zip(rows, input_ids, strict=True)]
        self.logits_BV = np.stack([self.engine.logits_of(each) for each in self.ids])


class Repeater(HandBuilt):
    name = "repeater"

    def logits_of(self, ids: list[int]) -> np.ndarray:
        phrase = self.tokenizer(" and the fox sang", add_special_tokens=False)["input_ids"]
        return self.only(phrase[(phrase.index(ids[-1]) + 1) % len(phrase) if ids[-1] in phrase else 0])


class Copier(HandBuilt):
    """Writes the third training story."""

    name = "copier"

    def logits_of(self, ids: list[int]) -> np.ndarray:
        story = self.tokenizer(TINY_STORIES[2], add_special_tokens=False)["input_ids"]
        place = len(ids) - 1
        return self.only(story[place] if place < len(story) else end_of_text_id(self.tokenizer))


class Dice(HandBuilt):
    name = "dice"

    def logits_of(self, ids: list[int]) -> np.ndarray:
        return np.zeros(len(self.tokenizer), dtype=np.float32)


@pytest.fixture(scope="module")
def hand_built(tiny_gpt2_dir: Path, tiny_corpus_dir: Path):
    """Measures of people and of each model built by hand: name -> Writing."""
    corpus = open_corpus(tiny_corpus_dir)
    human = cut_stories(list(corpus.stories("validation")), load_tokenizer(tiny_gpt2_dir), 50)
    settings = SamplingSettings(max_new_tokens=50, top_p=1.0)
    sets = [[(story.text, story.ended) for story in human]]
    for kind in (Repeater, Copier, Dice):
        written = write_stories(kind(tiny_gpt2_dir), [""] * 8, settings=settings, seeds=range(8))
        sets.append([(story.text, story.finish_reason == "end") for story in written])
    writing, copying = measure_sets(sets, corpus, lambda _: None)
    return dict(
        zip(("people", "repeater", "copier", "dice"), zip(writing, copying, strict=True), strict=True)
    )


def test_a_model_that_repeats_is_caught(hand_built):
    people, repeater = hand_built["people"][0].measures, hand_built["repeater"][0].measures
    assert (people.looping_share.value, repeater.looping_share.value) == (0, 1)
    assert repeater.repeated_4grams.value > 0.5 > people.repeated_4grams.value
    assert repeater.compression_ratio > 2 * people.compression_ratio
    assert repeater.distinct_2 < people.distinct_2 / 2
    assert repeater.ended_share.value == 0


def test_a_model_that_copies_is_caught(hand_built):
    writing, copying = hand_built["copier"]
    assert writing.memorisation.copied_share.value == 1
    assert writing.memorisation.longest > 2 * hand_built["people"][0].memorisation.longest
    assert {span.source_line for copy in copying for span in copy.spans} == {3}
    assert hand_built["dice"][0].memorisation.copied_share.value == 0
    assert hand_built["repeater"][0].memorisation.copied_share.value == 0


def test_a_random_model_is_caught(hand_built, tiny_gpt2_dir, tiny_corpus_dir):
    people, dice = hand_built["people"][0].measures, hand_built["dice"][0].measures
    assert dice.distinct_2 > people.distinct_2 + 0.1
    assert dice.zipf_slope > people.zipf_slope + 0.2
    assert dice.compression_ratio < people.compression_ratio
    # Also by its likelihood: untrained, it needs about log2(vocabulary) bits per token.
    texts = [story.text for story in open_corpus(tiny_corpus_dir).stories("validation")]
    tokenizer = load_tokenizer(tiny_gpt2_dir)
    scores = sum_scores(
        score_texts(load_model(tiny_gpt2_dir), tokenizer, texts, story_format_by_rule(tokenizer))
    )
    per_token = scores.nats.sum() / math.log(2) / scores.num_tokens.sum()
    assert per_token > 0.9 * math.log2(len(tokenizer))


# The pieces of `evaluate`


def test_human_stories_are_cut_like_written_ones(tiny_gpt2_dir):
    tokenizer = load_tokenizer(tiny_gpt2_dir)
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen. The end."
    [short] = cut_stories([Story("a", text)], tokenizer, 500)
    assert short.opening == "one two three four five six seven eight nine ten eleven twelve"
    assert (short.text, short.ended) == (" thirteen fourteen. The end.", True)
    [cut] = cut_stories([Story("a", text)], tokenizer, 3)
    assert not cut.ended
    assert len(tokenizer(cut.text, add_special_tokens=False)["input_ids"]) == 3
    [tiny] = cut_stories([Story("a", "Too short.")], tokenizer, 500)
    assert (tiny.opening, tiny.text) == ("", "Too short.")
    told = replace(short, story_prompt="A lamp")
    assert choose_prompts([tiny, told], 4) == ([short.opening, "", short.opening, ""], ["A lamp"] * 4)
    assert choose_prompts([tiny], 2) == (["", ""], ["", ""])


def test_models_get_names_that_tell_them_apart():
    assert unique_names([Path("/runs/a/model"), Path("/runs/b/model")]) == ["a", "b"]
    assert unique_names([Path("/runs/a/tuned"), Path("/runs/b/tuned")]) == ["a/tuned", "b/tuned"]


def test_evaluate_writes_its_files_once(tiny_gpt2_dir, tiny_corpus_dir, tmp_path):
    first = evaluate(
        [tiny_gpt2_dir, tiny_gpt2_dir],
        tiny_corpus_dir,
        names=["base", "tuned"],
        out=tmp_path,
        options=EvaluationOptions(num_samples=4, max_new_tokens=12),
    )
    assert first.held_out.num_stories == 8
    base, tuned = first.models
    assert tuned.likelihood.bits_per_byte_difference is not None
    assert tuned.likelihood.bits_per_byte_difference.value == 0
    assert base.likelihood.bits_per_byte == tuned.likelihood.bits_per_byte
    rows = [json.loads(line) for line in (tmp_path / "samples.jsonl").read_text().splitlines()]
    assert [(row["model"], row["seed"]) for row in rows] == [
        (name, seed) for name in ("base", "tuned") for seed in range(42, 46)
    ]
    assert rows[0]["text"] == rows[4]["text"]  # the same model, prompt and seed
    assert rows[1]["prompt"] == ""
    written = (tmp_path / "metrics.json").stat().st_mtime_ns
    again = evaluate(
        [tiny_gpt2_dir, tiny_gpt2_dir],
        tiny_corpus_dir,
        names=["base", "tuned"],
        out=tmp_path,
        options=EvaluationOptions(num_samples=4, max_new_tokens=12),
    )
    assert again == first
    assert (tmp_path / "metrics.json").stat().st_mtime_ns == written


def test_evaluate_needs_held_out_stories(tiny_gpt2_dir, tiny_corpus_dir, tmp_path):
    corpus = write_corpus(tmp_path / "corpus", ["One story."], [])
    with pytest.raises(FabulaError, match="no 'validation' stories"):
        evaluate([tiny_gpt2_dir], corpus)
    with pytest.raises(FabulaError, match="no model"):
        evaluate([], corpus)
    with pytest.raises(FabulaError, match="two models have the same name"):
        evaluate([tiny_gpt2_dir] * 2, tiny_corpus_dir, names=["a", "a"])


def test_the_table_shows_all_models_and_people(tiny_gpt2_dir, tiny_corpus_dir, capsys):
    evaluation = evaluate(
        [tiny_gpt2_dir] * 2,
        tiny_corpus_dir,
        names=["base", "tuned"],
        options=EvaluationOptions(num_samples=2, max_new_tokens=8),
    )
    print_evaluation(evaluation)
    lines = capsys.readouterr().out.splitlines()
    assert next(line for line in lines if "people" in line).split() == ["base", "tuned", "people"]
    figures = next(line for line in lines if line.strip().startswith("Bits per byte"))
    assert figures.count(f"{evaluation.models[0].likelihood.bits_per_byte.value:.3f}") == 2
    bare = evaluate([tiny_gpt2_dir], tiny_corpus_dir, options=EvaluationOptions(num_samples=0, max_stories=3))
    assert bare.held_out.num_stories == 3
    assert bare.human is None
    print_evaluation(bare)
    assert "people" not in capsys.readouterr().out


def test_the_command(tiny_gpt2_dir, tiny_corpus_dir, tmp_path, fabula: Command):
    done = fabula(
        "evaluate", tiny_gpt2_dir, "--on", tiny_corpus_dir, "--num-samples", "2", "--max-new-tokens", "8",
        "--out", tmp_path / "e", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert figures["models"][0]["likelihood"]["bits_per_byte"]["value"] > 1
    assert json.loads((tmp_path / "e" / "metrics.json").read_text()) == figures
    assert (tmp_path / "e" / "report.html").read_text().startswith("<!doctype html>")
    missing = fabula("evaluate", tiny_gpt2_dir, "--on", tmp_path / "none")
    assert missing.returncode == 2
    assert "no such corpus" in missing.stderr
    assert "Traceback" not in missing.stderr


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.text("aé🦊 \n.", min_size=1, max_size=150), share=st.floats(0, 1))
def test_the_beginning_of_a_text_costs_what_it_costs_alone(tiny_gpt2_dir, text: str, share: float):
    """The text after a beginning does not change its loss, so beginnings are not scored separately."""
    model, tokenizer = loaded_gpt2(tiny_gpt2_dir)
    ends = [end for _, end in tokenizer(text, return_offsets_mapping=True)["offset_mapping"]]
    cut = ends[round(share * (len(ends) - 1))]
    ids = tokenizer(text)["input_ids"]
    assume(tokenizer(text[:cut])["input_ids"] == ids[: ends.index(cut) + 1] and ends.count(cut) == 1)
    whole = score_texts(model, tokenizer, [text], story_format_by_rule(tokenizer))
    alone = sum_scores(score_texts(model, tokenizer, [text[:cut]], story_format_by_rule(tokenizer)))
    beginning = sum_scores(whole, [cut])
    assert beginning.nats == pytest.approx(alone.nats, abs=1e-4)
    assert beginning.num_tokens == alone.num_tokens
    assert beginning.num_bytes == alone.num_bytes


@cache
def loaded_gpt2(folder: Path) -> tuple[Any, Any]:
    return load_model(folder), load_tokenizer(folder)


def test_a_shortened_evaluation_leaves_the_notebooks_loss_out(tiny_gpt2_dir, tmp_path, capsys):
    corpus = write_corpus(tmp_path / "corpus", TINY_STORIES[:10], TINY_STORIES[10:16])
    options = EvaluationOptions(num_samples=2, max_new_tokens=8, max_stories=4)
    shortened = evaluate([tiny_gpt2_dir], corpus, options=options)
    assert shortened.models[0].notebook_loss is None
    print_evaluation(shortened)
    assert "notebook" not in capsys.readouterr().out
    whole = evaluate([tiny_gpt2_dir], corpus, options=options.model_copy(update={"max_stories": None}))
    assert whole.models[0].notebook_loss is not None


def test_stages_that_follow_each_other_load_a_model_once(tiny_gpt2_dir, tmp_path):
    loaded = LoadedModels()
    corpus = write_corpus(tmp_path / "corpus", TINY_STORIES[:10], TINY_STORIES[10:16])
    engine, scorer = loaded.engine(tiny_gpt2_dir), loaded.scorer(tiny_gpt2_dir)
    options = EvaluationOptions(num_samples=2, max_new_tokens=8)
    evaluate([tiny_gpt2_dir], corpus, options=options, loaded=loaded)
    assert loaded.engine(tiny_gpt2_dir) is engine
    assert loaded.scorer(tiny_gpt2_dir) is scorer
    assert scorer.with_windows(16, None).stride == 8
    loaded.release()
    assert loaded.scorer(tiny_gpt2_dir) is not scorer

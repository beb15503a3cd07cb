"""What the samplers for stories do: readable text, the copy guard, bridges, tuning with DRY, XTC and top-n-sigma, and what
they cost in speed.

python benchmarks/story_samplers.py {readable,blind,guard,bridge,best,tuning,speed} MODEL CORPUS
"""

import json
import random
import re
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from fabula.corpus.copies import MIN_CHARS, CopyIndex
from fabula.corpus.store import open_corpus
from fabula.corpus.words import loops, words_of
from fabula.defaults import SEED
from fabula.evaluation import tune
from fabula.evaluation.coherence import coherence_bits
from fabula.evaluation.known_words import KnownWords
from fabula.evaluation.memorisation import find_copied_passages, measure_memorisation
from fabula.evaluation.models import LoadedModels, Scorer
from fabula.evaluation.options import TuningOptions
from fabula.evaluation.stories import OPENING, held_out_stories
from fabula.evaluation.writing import ends_a_sentence, repeated_ngrams
from fabula.generation import candidates
from fabula.generation.sentences import sentence_ends
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import Writer, load, write_stories
from fabula.progress import silent
from fabula.results import WrittenStory

SAFE: dict[str, Any] = {"temperature": 0.8, "top_p": 0.95}

NOT_TUNED: dict[str, list[dict[str, float]]] = {
    "dry": [
        {"dry_multiplier": m, "dry_allowed_length": n, "temperature": t, "top_p": 0.95}
        for m, n, t in (
            (0.8, 2, 0.8),
            (0.4, 2, 0.8),
            (0.8, 3, 0.8),
            (1.6, 2, 0.8),
            (0.8, 2, 0.9),
            (0.8, 2, 1),
        )
    ],
    "xtc": [
        {"xtc_probability": p, "xtc_threshold": h, "temperature": t, "top_p": 0.95}
        for p, h, t in (
            (0.25, 0.1, 0.8),
            (0.1, 0.1, 0.8),
            (0.25, 0.2, 0.8),
            (0.5, 0.1, 0.8),
            (0.5, 0.2, 0.6),
            (0.25, 0.1, 0.6),
        )
    ],
    "top_n_sigma": [
        {"top_n_sigma": n, "temperature": t}
        for n, t in ((1.5, 0.8), (1, 1), (2, 0.8), (1.5, 1), (1, 0.8), (2, 1))
    ],
    "untuned": [
        {"temperature": t, "top_p": 0.95, "repetition_penalty": r} for t, r in ((0.6, 1.1), (0.5, 1.15))
    ],
}
"""Settings that tuning does not try; see docs/benchmarks.md."""


def openings(corpus: str, split: str, number: int) -> list[str]:
    stories = held_out_stories(open_corpus(corpus), split, None)
    found = [match.group() for story in stories if (match := OPENING.match(story.text))]
    return [found[index % len(found)] for index in range(number)]


def readable(writer: Writer, corpus: str, number: int = 32, max_new_tokens: int = 120) -> None:
    """Non-words, and stories that end within a sentence, with the model's settings and at temperature 0.8, top-p 0.95."""
    known = KnownWords.of_corpus(open_corpus(corpus))
    prompts = openings(corpus, "validation", number)

    def share(texts: list[str]) -> float:
        return known.non_word_share([word for text in texts for word in words_of(text)]) or 0.0

    people = [story.text[:600] for story in held_out_stories(open_corpus(corpus), "validation", None)]
    print(f"people: {share(people):.2%} non-words")
    for name, settings in (
        ("the model's", writer.settings),
        ("temperature 0.8, top-p 0.95", SamplingSettings.parse(SAFE)),
        ("temperature 1", SamplingSettings(top_p=1)),
    ):
        stories = write_stories(
            writer.engine,
            prompts,
            settings=settings.with_changes(max_new_tokens=max_new_tokens),
            seeds=range(number),
        )
        texts = [story.text for story in stories]
        within = sum(not ends_a_sentence(text) for text in texts)
        print(f"{name}: {share(texts):.2%} non-words, {within} of {number} end within a sentence")


BLIND: dict[str, dict[str, Any]] = {
    "0.6": {},
    "penalty 1.05": {"repetition_penalty": 1.05},
    "penalty 1.1": {"repetition_penalty": 1.1},
    "DRY": {"dry_multiplier": 0.8},
    "DRY, penalty 1.05": {"dry_multiplier": 0.8, "repetition_penalty": 1.05},
    "XTC": {"xtc_probability": 0.5},
    "0.8, min-p": {"temperature": 0.8, "top_p": 1.0, "min_p": 0.1},
}
"""Settings for blind reading, as changes to temperature 0.6, top-p 0.95."""

NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}")


def blind(
    writer: Writer, corpus: str, base: str, out: str, number: int = 10, max_new_tokens: int = 200
) -> None:
    """Passages with each of `BLIND`, after the same openings and with the same seeds; half of them begin by themselves.

    Writes OUT.txt, the passages in random order, and OUT.json, which names their settings. Prints measures that need no judge:
    repeated 4-grams, names and how often each is said, non-words, and coherence and bits per byte under the base model.
    """
    known, scorer = KnownWords.of_corpus(open_corpus(corpus)), Scorer.load(Path(base))
    prompts = [
        opening if index % 2 else "" for index, opening in enumerate(openings(corpus, "validation", number))
    ]
    passages: list[tuple[str, str]] = []
    print(
        "settings | words | repeated 4-grams | loops | names | times each | non-words | within a sentence | coherence | bits per byte"
    )
    for name, changes in BLIND.items():
        settings = SamplingSettings(temperature=0.6, max_new_tokens=max_new_tokens).with_changes(**changes)
        stories = write_stories(writer.engine, prompts, settings=settings, seeds=range(number))
        passages += [(name, str(story)) for story in stories]
        words = [words_of(story.text) for story in stories]
        names = [NAME.findall(story.text) for story in stories]
        num_names = sum(len(set(each)) for each in names)
        bits, num_bytes = coherence_bits(scorer, scorer.score_tokens(list(map(str, stories)))).sum(axis=0)
        cells = [
            str(sum(map(len, words))),
            f"{np.mean([repeated_ngrams(each) for each in words]):.2%}",
            str(sum(map(loops, words))),
            f"{num_names / number:.1f}",
            f"{sum(map(len, names)) / max(1, num_names):.2f}",
            f"{known.non_word_share([word for each in words for word in each]) or 0:.2%}",
            str(sum(not ends_a_sentence(story.text) for story in stories)),
            f"{bits / num_bytes:.3f}",
            f"{scorer.score([story.text for story in stories]).bits_per_byte:.3f}",
        ]
        print(f"{name} | " + " | ".join(cells), flush=True)
    random.Random(SEED).shuffle(passages)
    lines = [f"=== {index}\n{text}\n" for index, (_, text) in enumerate(passages)]
    Path(f"{out}.txt").write_text("\n".join(lines), encoding="utf-8")
    Path(f"{out}.json").write_text(json.dumps([name for name, _ in passages]), encoding="utf-8")


def guard(writer: Writer, corpus: str, number: int = 24, max_new_tokens: int = 120) -> None:
    """Copied passages without and with the guard, of stories that begin as training stories do, and bits per byte."""
    writer.engine.copies = CopyIndex.of_corpus(corpus)
    prompts = openings(corpus, "train", number)
    scorer = Scorer.load(writer.engine.folder)
    for name, settings in (("temperature 0.8, top-p 0.95", SAFE), ("temperature 0", {"temperature": 0.0})):
        for limit in (0, MIN_CHARS):
            began = time.perf_counter()
            stories = write_stories(
                writer.engine,
                prompts,
                settings=SamplingSettings.parse(
                    {"max_new_tokens": max_new_tokens, "copy_guard": limit, **settings}
                ),
                seeds=range(number),
            )
            seconds = time.perf_counter() - began
            texts = [story.text for story in stories]
            found = find_copied_passages(texts, lambda: open_corpus(corpus).stories("train"))
            copied = measure_memorisation(texts, found)
            bits = scorer.score([str(story) for story in stories]).bits_per_byte
            print(
                f"{name}, guard {limit}: {copied.copied_share.value:.2%} copied, longest {copied.longest}, {bits:.3f}"
                f" bits per byte, {sum(story.num_tokens for story in stories) / seconds:.0f} tokens/s"
            )


def bridge(
    writer: Writer, corpus: str, number: int = 50, max_new_tokens: int = 16, first: int = 0, judge: str = ""
) -> None:
    """How much likelier the true continuation is after the chosen bridge than after the first draw.

    The bridge leads to the true continuation's first 240 characters. Judged are these, and the next 240, which
    nothing that chose the bridge has read; by the model in `judge` in full precision, such as the base, which chose nothing.
    """
    from fabula.models.load import load_model
    from fabula.tokens.tokenizer import load_tokenizer

    folder = Path(judge) if judge else writer.engine.folder
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    gains: list[tuple[float, float]] = []
    place_number = -1
    for story in held_out_stories(open_corpus(corpus), "validation", None) * 2:
        ends = sentence_ends(story.text)
        place = len(ends) * (1 + (place_number + 1) // 36) // 3
        if place_number + 1 == number or place + 3 >= len(ends):
            continue
        place_number += 1
        if place_number < first:
            continue
        before, following = story.text[: ends[place]][-800:], story.text[ends[place + 2] :][: 2 * READ]
        given: dict[str, Any] = {"seed": place_number, "max_new_tokens": max_new_tokens, **SAFE}
        drawn = writer.write(before, **given).text
        chosen = writer.write(before, following=following[:READ], **given).text
        after_drawn = losses_in_parts(model, tokenizer, before + drawn, following)
        after_chosen = losses_in_parts(model, tokenizer, before + chosen, following)
        gains.append((after_drawn[0] - after_chosen[0], after_drawn[1] - after_chosen[1]))
        print(
            f"{place_number}: {gains[-1][0]:+.1f} bits, {gains[-1][1]:+.1f} in the text not read; {chosen!r}",
            flush=True,
        )
    for name, found in zip(
        ("text that was read", "text that was not"), zip(*gains, strict=True), strict=True
    ):
        better = sum(gain > 0 for gain in found)
        print(f"{name}: likelier at {better} of {len(found)} places, {np.mean(found):+.2f} bits on average")


READ = candidates.FOLLOWING_CHARS


def losses_in_parts(model: Any, tokenizer: Any, before: str, following: str) -> tuple[float, float]:
    """The bits of the first `READ` characters of `following` after the end of `before`, and of the others."""
    import torch

    before = before[-700:]
    encoded = tokenizer(before + following, return_offsets_mapping=True, add_special_tokens=False)
    ids, ends = torch.tensor([encoded["input_ids"]]), np.array([end for _, end in encoded["offset_mapping"]])
    with torch.inference_mode():
        log_probs = model(ids).logits[0, :-1].float().log_softmax(-1)
    bits = -log_probs[range(len(log_probs)), ids[0, 1:]].numpy() / np.log(2)
    ends = ends[1:] - len(before)
    return float(bits[(ends > 0) & (ends <= READ)].sum()), float(bits[ends > READ].sum())


def best(writer: Writer, corpus: str, number: int = 12, max_new_tokens: int = 100, base: str = "") -> None:
    """The best of four against the first of them: how often the model ended it, loops, copies, non-words and coherence. Then the
    stories."""
    engine = writer.engine
    engine.copies = CopyIndex.of_corpus(corpus)
    if base:
        candidates.BASES[engine] = load(base).engine
    known, scorer = KnownWords.of_corpus(open_corpus(corpus)), Scorer.load(engine.folder)
    prompts = openings(corpus, "validation", number)
    written: list[WrittenStory] = []
    for best_of in (1, 4):
        given = {**SAFE, "best_of": best_of, "max_new_tokens": max_new_tokens}
        stories = write_stories(
            engine, prompts, settings=SamplingSettings.parse(given), seeds=range(number), batch_size=2
        )
        words = [words_of(story.text) for story in stories]
        non_words = known.non_word_share([word for each in words for word in each]) or 0.0
        ended = sum(story.finish_reason == "end" for story in stories)
        looping = sum(loops(each) for each in words)
        copied = sum(bool(engine.copies.find(story.text)) for story in stories if engine.copies)
        bits, num_bytes = coherence_bits(scorer, scorer.score_tokens(list(map(str, stories)))).sum(axis=0)
        print(
            f"best of {best_of}: {ended} of {number} ended by the model, {looping} loop, {copied} copy,"
            f" {non_words:.2%} non-words, coherence {bits / num_bytes:.3f}",
            flush=True,
        )
        written += stories
    for story in written:
        print(json.dumps({"best_of": story.settings.best_of, "text": str(story)}, ensure_ascii=False))


def tuning(
    writer: Writer,
    corpus: str,
    num_settings: int = 6,
    num_stories: int = 16,
    max_new_tokens: int = 80,
    seed: int = SEED,
) -> None:
    """The comparison of `fabula tune` with these samplers beside its own, each with the same number of settings."""
    options = TuningOptions(
        num_settings=num_settings, num_stories=num_stories, max_new_tokens=max_new_tokens, seed=seed
    )
    tune.SAMPLERS |= NOT_TUNED
    plan = tune.make_plan(writer.engine.folder, corpus, options)
    loaded = LoadedModels()
    found = tune.compare_settings(plan, plan.fingerprint, loaded, silent)
    print(f"people {found.human.non_words:.2%} non-words; chosen {found.best.sampler}, number {found.chosen}")
    for each in sorted(found.candidates, key=lambda each: each.distance):
        changed = each.settings.model_dump(
            exclude_defaults=True, exclude={"max_new_tokens", "whole_sentences"}
        )
        figures = each.figures
        print(
            f"{each.distance:.2f} {each.sampler} {changed}: {figures.non_words:.2%} non-words,"
            f" {figures.perplexity_gap:+.3f} bits per byte, {figures.repeated_4grams:.2%} repeated 4-grams,"
            f" coherence {figures.coherence:.3f}"
        )


def speed(writer: Writer, corpus: str, number: int = 3, max_new_tokens: int = 200) -> None:
    """Tokens per second of one story after the other, plain and with every sampler."""
    writer.engine.copies = CopyIndex.of_corpus(corpus)
    every: dict[str, Any] = {
        "repetition_penalty": 1.05,
        "top_k": 200,
        "min_p": 0.01,
        "top_n_sigma": 4.0,
        "xtc_probability": 0.1,
        "dry_multiplier": 0.8,
        "banned_phrases": ["took a deep breath", "a testament to", "in that moment"],
        "word_bias": {"door": 0.5, "sea": -0.5, "umbrella": 1.0},
        "copy_guard": MIN_CHARS,
    }
    rates: dict[str, list[float]] = {"plain": [], "all": []}
    writer.write(max_new_tokens=20, **SAFE, **every)  # builds what is built once
    for seed in range(number):
        for name, settings in (("plain", SAFE), ("all", {**SAFE, **every})):
            began = time.perf_counter()
            story = writer.write(seed=seed, max_new_tokens=max_new_tokens, **settings)
            rates[name].append(story.num_tokens / (time.perf_counter() - began))
    plain, all_on = map(np.array, rates.values())
    ratios = np.round(np.sort(all_on / plain), 2)
    print(
        f"plain {np.median(plain):.1f} tokens/s, all samplers {np.median(all_on):.1f}; ratios of the pairs {ratios},"
        f" median {np.median(ratios):.2f}"
    )


if __name__ == "__main__":
    task, model, corpus = sys.argv[1:4]
    tasks = {
        "readable": readable,
        "blind": blind,
        "guard": guard,
        "bridge": bridge,
        "best": best,
        "tuning": tuning,
        "speed": speed,
    }
    tasks[task](load(model), corpus, *(int(each) if each.isdigit() else each for each in sys.argv[4:]))

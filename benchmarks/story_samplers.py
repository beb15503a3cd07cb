"""What the samplers for stories do: readable text, the copy guard, bridges, and what they cost in speed.

python benchmarks/story_samplers.py {readable,guard,bridge,speed} MODEL CORPUS
"""

import sys
import time
from typing import Any

import numpy as np

from fabula.corpus.copies import MIN_CHARS, CopyIndex
from fabula.corpus.store import open_corpus
from fabula.corpus.words import words_of
from fabula.evaluation.memorisation import find_copied_passages, measure_memorisation
from fabula.evaluation.models import Scorer
from fabula.evaluation.people import KnownWords
from fabula.evaluation.stories import OPENING, held_out_stories
from fabula.evaluation.writing import ends_a_sentence
from fabula.generation import candidates
from fabula.generation.sentences import sentence_ends
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import Writer, load, write_stories

SAFE: dict[str, Any] = {"temperature": 0.8, "top_p": 0.95}


def openings(corpus: str, split: str, number: int) -> list[str]:
    stories = held_out_stories(open_corpus(corpus), split, None)
    found = [match.group() for story in stories if (match := OPENING.match(story.text))]
    return [found[index % len(found)] for index in range(number)]


def readable(writer: Writer, corpus: str, number: int = 32, max_new_tokens: int = 120) -> None:
    """Non-words, and stories that end within a sentence, with the model's settings and at temperature 0.8, top-p 0.95."""
    known = KnownWords.of_corpus(open_corpus(corpus))
    prompts = openings(corpus, "validation", number)

    def share(texts: list[str]) -> float:
        return float(np.mean([known.is_non_word(word) for text in texts for word in words_of(text)]))

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


def bridge(writer: Writer, corpus: str, number: int = 50, max_new_tokens: int = 20) -> None:
    """How much likelier the true continuation is after the chosen bridge than after the first draw."""
    drawn: list[list[str]] = []
    choose = candidates.choose_bridge

    def remember(found, following):
        best, join = choose(found, following)
        drawn.append([found[0].text, best.text + join])
        return best, join

    candidates.choose_bridge = remember
    engine, gains, later = writer.engine, [], []
    cut = candidates.FOLLOWING_CHARS
    for story in held_out_stories(open_corpus(corpus), "validation", None) * 2:
        ends = sentence_ends(story.text)
        place = len(ends) * (1 + len(gains) // 36) // 3
        if len(gains) == number or place + 3 >= len(ends):
            continue
        before, following = story.text[: ends[place]][-800:], story.text[ends[place + 2] :][:300]
        writer.write(before, seed=len(gains), following=following, max_new_tokens=max_new_tokens, **SAFE)
        contexts = [candidates.context_of(engine, before + text) for text in drawn[-1]]
        whole = candidates.losses_of(
            engine, contexts, [(0, engine.encode(following)), (1, engine.encode(following))]
        )
        read = candidates.losses_of(
            engine, contexts, [(0, engine.encode(following[:cut])), (1, engine.encode(following[:cut]))]
        )
        gains.append((whole[0] - whole[1]) / np.log(2))
        later.append(gains[-1] - (read[0] - read[1]) / np.log(2))
        print(
            f"{len(gains)}: {gains[-1]:+.1f} bits, {later[-1]:+.1f} of them after {cut} characters",
            flush=True,
        )
    better = sum(gain > 0 for gain in gains)
    print(
        f"likelier at {better} of {len(gains)} places ({better / len(gains):.0%}), {np.mean(gains):.1f} bits on average;"
        f" beyond the first {cut} characters {np.mean(later):+.2f} bits, likelier at {sum(gain > 0 for gain in later)}"
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
    for seed in range(number):
        for name, settings in (("plain", SAFE), ("all", {**SAFE, **every})):
            began = time.perf_counter()
            story = writer.write(seed=seed, max_new_tokens=max_new_tokens, **settings)
            rates[name].append(story.num_tokens / (time.perf_counter() - began))
    plain, all_on = (float(np.median(each)) for each in rates.values())
    print(f"plain {plain:.1f} tokens/s, all samplers {all_on:.1f} ({all_on / plain:.0%})")


if __name__ == "__main__":
    task, model, corpus = sys.argv[1:4]
    {"readable": readable, "guard": guard, "bridge": bridge, "speed": speed}[task](
        load(model), corpus, *map(int, sys.argv[4:])
    )

"""What it costs a model that a prompt ends in a space or in half a word, with token healing and without.

    python benchmarks/healing.py MODEL ...

For each of the sample stories: the bits of its 31st word after the first 30 words, for three ends of the prompt. What comes
after the end of the prompt is scored as text, over all token sequences that spell it.
"""

import sys
from collections.abc import Sequence

import numpy as np

from fabula.corpus.read import open_stories
from fabula.generation.engine import Engine
from fabula.generation.engines import load_engine
from fabula.generation.healing import covers, take_back

STORIES = "src/fabula/data/sample_stories.txt"
NUM_WORDS = 30


def bits(engine: Engine, ids: Sequence[int], text: str) -> float:
    """Bits of a text that begins with `text` after these tokens."""
    scores = covers(engine, [*ids], text, engine.read([ids]).logits_BV[0]).scores
    return -float(np.logaddexp.reduce(scores.astype(np.float64))) / np.log(2)


def cost(engine: Engine, prompt: str, rest: str) -> tuple[float, float]:
    """Bits of `rest` after a prompt: with healing, and after the prompt's own tokens."""
    ids, end = take_back(engine, prompt)
    before = [engine.start_id, *ids]
    healed = bits(engine, before, end + rest) - (bits(engine, before, end) if end else 0)
    return healed, bits(engine, [engine.start_id, *engine.encode(prompt)], rest)


def main() -> None:
    texts = [story.text.split(" ") for story in open_stories(STORIES)]
    texts = [words for words in texts if len(words) > 2 * NUM_WORDS and "\n" not in "".join(words[28:32])]
    print("| model | prompt ends | prompts | bits of the rest, healed | as tokens |")
    print("|---|---|---|---|---|")
    for name in sys.argv[1:]:
        engine = load_engine(name, "transformers")
        ends = {
            "before the space": lambda word: ("", " " + word),
            "after the space": lambda word: (" ", word),
            "in half of the word": lambda word: (" " + word[: len(word) // 2], word[len(word) // 2 :]),
        }
        for end, split in ends.items():
            rows = []
            for words in texts:
                more, rest = split(words[NUM_WORDS])
                if len(words[NUM_WORDS]) > 1:
                    rows.append(cost(engine, " ".join(words[:NUM_WORDS]) + more, rest))
            healed, as_tokens = np.mean(rows, axis=0)
            print(f"| {name} | {end} | {len(rows)} | {healed:.3f} | {as_tokens:.3f} |", flush=True)


if __name__ == "__main__":
    main()

"""Speed of tokenising: `tokenise` as training uses it, beside Hugging Face's tokenizers as it was used before, in one run.

    python benchmarks/tokenising.py STORIES.jsonl [...] [--vocab-size 50257] [--rounds 5]

A byte-level BPE of GPT-2's size is trained on every third story. Each round tokenises all stories with both, in batches of
the same size; the first round of fabula's has nothing in any cache. Given are medians of MB per second of the processor,
the ratio within rounds, and whether all ids are equal. `tokenise` includes what it writes to the disk and its check.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def processor_seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("stories", type=Path, nargs="+")
    parser.add_argument("--vocab-size", type=int, default=50257)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    from fabula.corpus.read import open_stories
    from fabula.tokens.cache import tokenise
    from fabula.tokens.encoder import Encoder
    from fabula.tokens.tokenizer import train_tokenizer

    texts = [story.text for path in arguments.stories for story in open_stories(path)]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    tokenizer = train_tokenizer(texts[::3], arguments.vocab_size, context_length=1024)

    def plain() -> np.ndarray:
        backend: Any = tokenizer.backend_tokenizer
        backend.encode_special_tokens = True
        batches = (texts[i : i + 100] for i in range(0, len(texts), 100))
        return np.concatenate(
            [
                np.array(encoding.ids, dtype=np.uint16)
                for batch in batches
                for encoding in backend.encode_batch(batch, add_special_tokens=False)
            ]
        )

    def ours(key: str) -> np.ndarray:
        return np.array(tokenise(key, lambda: texts, tokenizer, start=None, end=None).tokens)

    seconds: list[tuple[float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FABULA_CACHE"] = folder
        for number in range(arguments.rounds):
            mine, ids = processor_seconds(lambda number=number: ours(str(number)))
            before, wanted = processor_seconds(plain)
            seconds.append((mine, before))
            print(
                f"round {number + 1}: fabula {megabytes / mine:.1f}, tokenizers {megabytes / before:.2f} MB/s"
                f" of the processor; equal: {np.array_equal(ids, wanted)}"
            )
    encoder = Encoder(tokenizer)
    alone = statistics.median(
        processor_seconds(lambda: np.concatenate(encoder(texts)))[0] for _ in range(arguments.rounds)
    )
    mine, before = (statistics.median(column) for column in zip(*seconds, strict=True))
    ratio = statistics.median(theirs / own for own, theirs in seconds)
    print(
        f"{megabytes:.1f} MB in {len(texts):,} stories, {len(tokenizer):,} tokens; medians: fabula"
        f" {megabytes / mine:.1f} MB/s, tokenizers {megabytes / before:.2f} MB/s, {ratio:.1f} times as fast;"
        f" without disk and check {megabytes / alone:.0f} MB/s;"
        f" peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB with all texts in memory"
    )


if __name__ == "__main__":
    main()

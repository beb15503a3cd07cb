"""What a model's bits per byte are worth: the same held-out stories under a 5-gram model, gzip and xz.

    python benchmarks/tiny_yardsticks.py MODEL CORPUS

The 5-gram model counts the tokens of MODEL's own vocabulary in CORPUS's training stories, with interpolated, modified
Kneser-Ney smoothing (Chen and Goodman 1999). gzip and xz compress the held-out stories alone, and xz once more after
the training stories, which it may refer to. All of them, like the model, answer for story text without line breaks.
"""

import argparse
import gzip
import lzma
from pathlib import Path

import numpy as np

from fabula.corpus.store import open_corpus
from fabula.tokens.tokenizer import end_of_text_id, load_tokenizer

ORDER = 5


def discounts(counts: np.ndarray) -> np.ndarray:
    """[4] what is taken from a count of 0, 1, 2, and 3 or more."""
    n1, n2, n3, n4 = (max(1, int((counts == k).sum())) for k in (1, 2, 3, 4))
    y = n1 / (n1 + 2 * n2)
    return np.array([0.0, 1 - 2 * y * n2 / n1, 2 - 3 * y * n3 / n2, 3 - 4 * y * n4 / n3])


def kneser_ney(tokens_N: np.ndarray, num_train: int, vocab_size: int) -> np.ndarray:
    """The probability of each token after the first `num_train` ones, given the four before it.

    Every story is to begin with ORDER - 1 start tokens, so that no n-gram reaches into the story before.
    """
    size = len(tokens_N)
    # gram[n][i] numbers the n-gram that ends at i; the same number is the same n-gram.
    gram = [np.zeros(size, dtype=np.int64), np.unique(tokens_N, return_inverse=True)[1]]
    for _ in range(ORDER - 1):
        before = np.concatenate([[0], gram[-1][:-1]])
        gram.append(np.unique(before * vocab_size + tokens_N, return_inverse=True)[1])
    is_train = np.arange(size) < num_train
    probability_N = np.full(size, 1 / vocab_size)
    for n in range(1, ORDER + 1):
        num = int(gram[n].max()) + 1
        raw = np.bincount(gram[n][is_train], minlength=num)
        place = np.zeros(num, dtype=np.int64)
        place[gram[n]] = np.arange(size)
        if n == ORDER:
            counts = raw
        else:  # in how many contexts, one token longer, it was seen
            longer = gram[n + 1]
            first = np.unique(longer[is_train], return_index=True)[1]
            counts = np.bincount(gram[n][np.flatnonzero(is_train)[first]], minlength=num)
        previous = np.concatenate([[0], gram[n - 1][:-1]])
        context = previous[place]
        num_contexts = int(gram[n - 1].max()) + 1
        total = np.bincount(context, weights=counts, minlength=num_contexts)
        taken = discounts(counts)[np.minimum(counts, 3)]
        freed = np.bincount(context, weights=taken, minlength=num_contexts)
        here, above = gram[n], total[previous]
        known = above > 0
        probability_N = np.where(
            known,
            ((counts - taken)[here] + freed[previous] * probability_N) / np.maximum(above, 1),
            probability_N,
        )
    return probability_N[num_train:]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path)
    parser.add_argument("corpus", type=Path)
    arguments = parser.parse_args()
    corpus, tokenizer = open_corpus(arguments.corpus), load_tokenizer(arguments.model)
    start = [end_of_text_id(tokenizer)] * (ORDER - 1)
    splits = {}
    for split in ("train", "validation"):
        texts = [story.text for story in corpus.stories(split)]
        ids = [start + tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]
        splits[split] = (texts, np.concatenate([np.array(story) for story in ids]))
    (train, train_ids), (held_out, held_out_ids) = splits["train"], splits["validation"]
    probability = kneser_ney(np.concatenate([train_ids, held_out_ids]), len(train_ids), len(tokenizer))
    newlines = [i for i in range(len(tokenizer)) if not str(tokenizer.decode(i)).strip("\n")]
    counted = ~np.isin(held_out_ids, [*newlines, start[0]])
    text = "".join(held_out).replace("\n", "").encode()
    before = "".join(train).encode()
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": 1 << 27}]

    def size_of_xz(data: bytes) -> int:
        return len(lzma.compress(data, format=lzma.FORMAT_RAW, filters=filters))

    for name, bits in {
        "5-gram": -np.log2(probability[counted]).sum(),
        "gzip -9": 8 * len(gzip.compress(text, 9)),
        "xz -9e": 8 * size_of_xz(text),
        "xz -9e after the training stories": 8 * (size_of_xz(before + text) - size_of_xz(before)),
    }.items():
        print(f"{name:36} {bits / len(text):.4f} bits per byte")


if __name__ == "__main__":
    main()

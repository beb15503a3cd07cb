"""Finds copies and near-copies of stories. MinHash only proposes pairs; their measured similarity decides.

Similarity is the Jaccard index of two stories' sets of word 5-grams, |A & B| / |A | B| (words in lower case, without
punctuation; a story of fewer than five words is a single gram). MinHash with locality-sensitive hashing proposes pairs
(Broder 1997; Leskovec, Rajaraman, Ullman, "Mining of Massive Datasets", chapter 3): a pair of similarity s shares at
least one of b bands of r rows with probability 1 - (1 - s^r)^b, which for 20 bands of 6 is 0.998 at s = 0.8.
"""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np
import xxhash
from rensa import RMinHash  # pyright: ignore[reportAttributeAccessIssue]

NUM_BANDS, NUM_ROWS = 20, 6
GRAM = 5
MAX_COMPARED = 64
"""A story is compared with at most this many kept stories of a bucket, so that shared boilerplate cannot make the time
quadratic."""

_WORD = re.compile(r"\w+")
_ASCII = bytes(range(128))
_WORD_BYTES = bytes(
    byte if byte > 127 else ord(chr(byte).lower()) if chr(byte).isalnum() or byte == ord("_") else 32
    for byte in range(256)
)
"""Puts the ASCII letters in lower case, and spaces in the place of all that is in no word."""
MANY_MARKS = 20
_SEED = 42
_FACTORS = np.array(
    [
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0xD6E8FEB86659FD93,
        0xA0761D6478BD642F,
        0xE7037ED1A0B428DB,
    ],
    dtype=np.uint64,
)


NUM_SLOTS, MAX_TABLE_BYTES, MAX_AT_ONCE = 1 << 18, 64, 1 << 16
"""The number of words in the table of hashes, the most bytes of a word in it, and the number of words looked up at once."""

_table_keys, _table_hashes = np.zeros(NUM_SLOTS, np.uint64), np.zeros(NUM_SLOTS, np.uint64)
_FIRST_BYTES = np.frombuffer(b"".join(bytes([255] * size + [0] * (8 - size)) for size in range(9)), np.uint64)
"""Masks of the first 0 to 8 bytes of eight."""


def _mix(values: np.ndarray) -> np.ndarray:
    """Spread a hash over all its bits (the finaliser of MurmurHash3)."""
    values = (values ^ (values >> np.uint64(33))) * np.uint64(0xFF51AFD7ED558CCD)
    return values ^ (values >> np.uint64(33))


def split_words(text: str) -> list[bytes]:
    """The words of a text in lower case: runs of letters, digits and underscores."""
    return _only_words(text).split()


def _only_words(text: str) -> bytes:
    """The words of a text in lower case, with one or more spaces between them."""
    if not text.isascii():
        text = text.lower()
        rest = set(text.encode(errors="replace").translate(None, _ASCII).decode())
        marks = [character for character in rest if not character.isalnum()]
        if len(marks) > MANY_MARKS:
            return " ".join(_WORD.findall(text)).encode(errors="replace")
        for mark in marks:
            text = text.replace(mark, " ")  # fifty times as fast as str.translate
    return text.encode(errors="replace").translate(_WORD_BYTES)  # three times as fast as the pattern


def word_hashes(texts: Sequence[str]) -> list[np.ndarray]:
    """For each text, a hash of each of its words [num_words], in order; a hash of the whole text if it has no word."""
    parts = [_only_words(text) for text in texts]
    data = np.frombuffer(b" ".join([b"", *parts, bytes(8)]), np.uint8)
    edges = np.flatnonzero(np.diff(data[:-8] != ord(" "))) + 1
    starts, lengths = edges[::2], edges[1::2] - edges[::2]
    found = [
        _look_up(data, starts[first : first + MAX_AT_ONCE], lengths[first : first + MAX_AT_ONCE])
        for first in range(0, len(starts), MAX_AT_ONCE)
    ]
    hashes = np.concatenate([np.zeros(0, np.uint64), *found])
    ends = np.searchsorted(starts, np.cumsum([len(part) + 1 for part in parts]))
    return [
        one if len(one) else np.array([xxhash.xxh3_64_intdigest(text.encode())], np.uint64)
        for text, one in zip(texts, np.split(hashes, ends), strict=False)
    ]


def _look_up(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """XXH3 of the words at `starts` of `data` (both arrays [num_words]), computed only for words that the table lacks.

    The table is searched for all words at once, by keys that numpy makes of eight bytes at a time. Different words of up
    to eight bytes have different keys, and longer ones nearly always.
    """
    blocks = np.ndarray((len(data) - 7,), np.uint64, data, strides=(1,))  # the eight bytes from each place on
    keys = _mix((blocks[starts] & _FIRST_BYTES[np.minimum(lengths, 8)]) * _FACTORS[0])
    longer = np.flatnonzero(lengths > 8)
    for at in range(8, MAX_TABLE_BYTES, 8):
        block = blocks[starts[longer] + at] & _FIRST_BYTES[np.minimum(lengths[longer] - at, 8)]
        keys[longer] = _mix((keys[longer] + block) * _FACTORS[1])
        longer = longer[lengths[longer] > at + 8]
        if not len(longer):
            break
    slots = (keys % np.uint64(NUM_SLOTS)).astype(np.int64)
    hashes = _table_hashes[slots]
    missing = _table_keys[slots] != keys
    missing[longer] = False
    if missing.any():
        places = np.flatnonzero(missing)
        _, first, which = np.unique(keys[places], return_index=True, return_inverse=True)
        computed = _hash_each(data, starts[places[first]], lengths[places[first]])
        hashes[places] = computed[which]
        _table_keys[slots[places]], _table_hashes[slots[places]] = keys[places], hashes[places]
    hashes[longer] = _hash_each(data, starts[longer], lengths[longer])
    return hashes


def _hash_each(data: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    raw, ends = data.data, starts + lengths
    places = zip(starts.tolist(), ends.tolist(), strict=True)
    return np.fromiter((xxhash.xxh3_64_intdigest(raw[a:b]) for a, b in places), np.uint64, len(starts))


def grams(words: np.ndarray) -> np.ndarray:
    """A hash of each run of `GRAM` words [max(1, num_words - GRAM + 1)], in order."""
    size = min(GRAM, len(words))
    count = len(words) - size + 1
    total = np.zeros(count, np.uint64)
    for place in range(size):
        total += words[place : place + count] * _FACTORS[place]
    return _mix(total)


def signatures(texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """The data about each text that the search for copies needs.

    Returns:
        keys [num_texts, 2]: equal for texts with the same words. bands [num_texts, NUM_BANDS]: two texts with an equal
        number in the same column may be similar.
    """
    if not texts:
        return np.zeros((0, 2), np.uint64), np.zeros((0, NUM_BANDS), np.uint64)
    keys, gram_hashes = [], []
    for words in word_hashes(texts):
        keys.append(np.frombuffer(xxhash.xxh3_128_digest(words.tobytes()), np.uint64))
        gram_hashes.append(grams(words))
    offsets = np.cumsum([0, *map(len, gram_hashes)], dtype=np.uint64)
    matrix = RMinHash.digest_matrix_from_flat_token_hashes(
        np.concatenate(gram_hashes), offsets, NUM_BANDS * NUM_ROWS, _SEED
    )
    rows = np.array(matrix.to_rows(), np.uint64).reshape(len(texts), NUM_BANDS, NUM_ROWS)
    bands = _mix((_mix(rows + np.uint64(1)) * _FACTORS[:NUM_ROWS]).sum(axis=2, dtype=np.uint64))
    return np.stack(keys), bands


def jaccard(one: np.ndarray, other: np.ndarray) -> float:
    """Jaccard index of two sets, each a sorted array without repeats."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    return shared / (len(one) + len(other) - shared)


def _shared_buckets(
    single: np.ndarray, band_of: Callable[[int], np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """The buckets of two or more of the stories `single`, as pairs: the story and the number of the bucket [num_pairs]."""
    pairs, num_buckets = [], 0
    for band in range(NUM_BANDS):
        column = band_of(band)[single]
        by_hash = np.argsort(column, kind="stable")
        ordered = column[by_hash]
        same = np.zeros(len(ordered) + 1, bool)
        same[1:-1] = ordered[1:] == ordered[:-1]
        member = same[:-1] | same[1:]
        bucket = np.cumsum(member & ~same[:-1]) + num_buckets - 1
        pairs.append(np.stack([single[by_hash][member], bucket[member]]))
        num_buckets = max(num_buckets, int(bucket[-1]) + 1 if len(bucket) else 0)
    stories, buckets = np.concatenate(pairs, axis=1)
    return stories, buckets


def find_near_duplicates(
    keys: np.ndarray,
    band_of: Callable[[int], np.ndarray],
    lengths: np.ndarray,
    text_of: Callable[[int], str],
    similarity: float,
) -> tuple[np.ndarray, np.ndarray]:
    """For each story, the story that is kept in its place.

    Stories are processed from the longest to the shortest (equal lengths by content, then in order). Each joins the
    longest kept story to which it is similar enough, or else is kept. So every member of a cluster is a near-copy of
    the kept story itself, and near-copies do not form chains.

    Args:
        keys: from `signatures`, [num_stories, 2].
        band_of: returns a column of the bands from `signatures` [num_stories], by its number.
        lengths: [num_stories] in characters or bytes.
        text_of: returns a story's text, by its number.
        similarity: the least Jaccard index of a near-copy.

    Returns:
        kept [num_stories]: the number of the story that is kept in its place (its own if it is kept), and the
        similarity to it [num_stories] (1.0 for equal words).
    """
    num = len(keys)
    kept = np.arange(num)
    similar = np.ones(num)
    order = np.lexsort((np.arange(num), keys[:, 1], keys[:, 0], -lengths))
    rank = np.empty(num, np.int64)
    rank[order] = np.arange(num)

    # Stories with equal words all join the first of them in rank.
    by_key = np.lexsort((rank, keys[:, 1], keys[:, 0]))
    new = np.ones(num, bool)
    new[1:] = (keys[by_key][1:] != keys[by_key][:-1]).any(axis=1)
    kept[by_key] = by_key[np.maximum.accumulate(np.where(new, np.arange(num), 0))]
    stories, buckets = _shared_buckets(np.flatnonzero(kept == np.arange(num)), band_of)
    if not len(stories):
        return kept, similar
    in_rank = np.argsort(rank[stories], kind="stable")
    stories, buckets = stories[in_rank], buckets[in_rank]

    @lru_cache(maxsize=128)
    def gram_set(story: int) -> np.ndarray:
        return np.unique(grams(*word_hashes([text_of(story)])))

    members: dict[int, list[int]] = {}
    starts = np.flatnonzero(np.r_[True, stories[1:] != stories[:-1]])
    for start, end in zip(starts, [*starts[1:], len(stories)], strict=True):
        story = int(stories[start])
        mine = [int(bucket) for bucket in buckets[start:end]]
        proposed = {other for bucket in mine for other in members.get(bucket, [])[-MAX_COMPARED:]}
        for other in sorted(proposed, key=lambda number: rank[number]):
            # |A & B| / |A | B| is at most the smaller size over the larger one.
            one, two = gram_set(story), gram_set(other)
            if min(len(one), len(two)) < similarity * max(len(one), len(two)):
                continue
            measured = jaccard(one, two)
            if measured >= similarity:
                kept[story], similar[story] = other, measured
                break
        else:
            for bucket in mine:
                members.setdefault(bucket, []).append(story)
    # Copies of a story that joined another one join that one too, since their words are the same.
    moved = kept[kept] != kept
    similar[moved] = similar[kept[moved]]
    return kept[kept], similar

"""Stories as token ids on disk: one flat file, memory-mapped, built once for each corpus and tokenizer.

The cache is in ~/.cache/fabula/tokens (FABULA_CACHE names another folder instead of ~/.cache/fabula). Entries that were
not used for 30 days are removed.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice, repeat
from pathlib import Path

import numpy as np
from filelock import FileLock
from transformers import PreTrainedTokenizerBase

from fabula.files import atomic_folder, cache_place, read_json, write_json
from fabula.progress import OnProgress, Progress, silent
from fabula.tokens.encoder import Encoder
from fabula.tokens.tokenizer import LostCharacters, encode

BATCH_CHARACTERS = 2_000_000
"""Characters of text in memory at once during tokenisation; a longer story is tokenised alone."""

SMALL_CHARACTERS = 5_000_000
"""The faster tokenizer is made only after this many characters: for less text, making and checking it takes longer than
it saves."""

NUM_CHECKED = 20
CHECKED_CHARACTERS = 5000
"""The beginnings of this many stories are tokenised twice, to check that the faster tokenizer is exact on them."""

NUM_SHOWN = 5
"""Most lost characters that the message names."""

UNUSED_DAYS = 30


@dataclass(frozen=True)
class TokenisedStories:
    """Stories as ids, all in one array.

    Attributes:
        tokens: uint16 or uint32 [num_tokens], memory-mapped.
        offsets: int64 [num_stories + 1]; story i is tokens[offsets[i]:offsets[i + 1]], start and end tokens included.
        num_prompt_tokens: int64 [num_stories], tokens after the start token that are the story's prompt, or None for none.
        num_lost_characters: characters in the stories for which the tokenizer has no tokens.
    """

    tokens: np.ndarray
    offsets: np.ndarray
    num_lost_characters: int = 0
    num_prompt_tokens: np.ndarray | None = None

    @property
    def num_stories(self) -> int:
        return len(self.offsets) - 1


def cache_folder() -> Path:
    """Folder of the cached stories."""
    return cache_place("tokens")


def tokenise(
    key: str,
    texts: Callable[[], Iterable[str]],
    tokenizer: PreTrainedTokenizerBase,
    *,
    start: int | None,
    end: int | None,
    total: int | None = None,
    prompts: Callable[[], Iterable[str]] | None = None,
    on_progress: OnProgress = silent,
) -> TokenisedStories:
    """The stories as ids, each after the token `start` (and its prompt) and before the token `end` (None for neither).

    Args:
        key: fingerprint of everything that the ids depend on; an entry with the same key is reused.
        texts: returns the stories' texts; called only if there is no entry.
        prompts: gives the text before each story that is only read (see `tokens.prompts`), "" for none.
        total: number of stories, for the progress.
    """
    entry = cache_folder() / key
    entry.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(entry.with_name(key + ".lock")):
        if not (entry / "tokens.json").is_file():
            with atomic_folder(entry) as folder:
                own_prompts = repeat("") if prompts is None else prompts()
                _write(
                    folder,
                    zip(own_prompts, texts(), strict=False),
                    tokenizer,
                    (start, end),
                    total,
                    on_progress,
                )
        os.utime(entry)
        _remove_unused(entry.parent)
        done = read_json(entry / "tokens.json")
        offsets = np.load(entry / "offsets.npy")
        path = entry / "tokens.bin"
        dtype = done["dtype"]
        tokens = np.memmap(path, dtype=dtype, mode="r") if path.stat().st_size else np.empty(0, dtype=dtype)
    if num_lost := done["num_lost_characters"]:
        shown = " ".join(ascii(character) for character in done["lost_characters"])
        message = (
            f"the base has no tokens for {num_lost:,} characters of the stories ({shown}); they are left out"
        )
        on_progress(Progress("tokenise", message=message))
    num_prompt = np.load(entry / "prompts.npy") if (entry / "prompts.npy").exists() else None
    return TokenisedStories(tokens, offsets, num_lost, num_prompt)


def _write(
    folder: Path,
    stories: Iterable[tuple[str, str]],
    tokenizer: PreTrainedTokenizerBase,
    ends: tuple[int | None, int | None],
    total: int | None,
    on_progress: OnProgress,
) -> None:
    dtype = np.uint16 if len(tokenizer) <= 1 << 16 else np.uint32
    head, tail = (np.array([] if token is None else [token], dtype=dtype) for token in ends)
    lengths, num_prompt = [], []
    lost = LostCharacters(tokenizer)
    encoder, num_characters = None, 0
    with (folder / "tokens.bin").open("wb") as file:
        for prompts, batch in _batches(stories):
            if encoder is None and num_characters >= SMALL_CHARACTERS:
                encoder = Encoder(tokenizer, [text[:CHECKED_CHARACTERS] for text in batch[:NUM_CHECKED]])
            num_characters += sum(map(len, batch))
            read = encode(tokenizer, prompts)
            for before, ids in zip(
                read, encoder(batch) if encoder else encode(tokenizer, batch), strict=True
            ):
                story = np.concatenate([head, before.astype(dtype), ids.astype(dtype), tail])
                file.write(story.tobytes())
                lengths.append(len(story))
                num_prompt.append(len(before))
            lost.count(batch)
            on_progress(Progress("tokenise", len(lengths), total, "stories"))
    np.save(
        folder / "offsets.npy", np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    )
    if any(num_prompt):
        np.save(folder / "prompts.npy", np.array(num_prompt, dtype=np.int64))
    done = {
        "dtype": np.dtype(dtype).name,
        "num_stories": len(lengths),
        "num_lost_characters": sum(lost.counts.values()),
        "lost_characters": [character for character, _ in lost.counts.most_common(NUM_SHOWN)],
    }
    write_json(folder / "tokens.json", done)


def _batches(stories: Iterable[tuple[str, str]]) -> Iterator[tuple[list[str], list[str]]]:
    """Prompts and texts, a few stories at a time."""
    iterator = iter(stories)
    while first := list(islice(iterator, 1)):
        batch, size = first, len(first[0][1])
        while size < BATCH_CHARACTERS and (more := list(islice(iterator, 1))):
            batch += more
            size += len(more[0][1])
        yield [prompt for prompt, _ in batch], [text for _, text in batch]


def _remove_unused(folder: Path) -> None:
    oldest = time.time() - UNUSED_DAYS * 86_400
    for entry in folder.iterdir():
        if entry.is_dir() and entry.stat().st_mtime < oldest:
            shutil.rmtree(entry, ignore_errors=True)
            entry.with_name(entry.name + ".lock").unlink(missing_ok=True)

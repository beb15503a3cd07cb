"""Where in the context a memory and an author's note help most, by the likelihood of people's own continuations.

python benchmarks/note_places.py MODEL CORPUS [NUMBER [FIRST]]

At one place in each of NUMBER held-out stories, from number FIRST on, the model reads the last `WINDOW` tokens, as it does after a window has moved on,
and a text about the story; scored are the next `SCORED` tokens. Two texts are tried: the names in the story before the
window, as in a memory; and the rarest words of the next tokens, as an author would note what is to come. Each stands at the top
of the window, or in brackets at the beginning of the last line that begins so many tokens before its end.
"""

import re
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from fabula.corpus.store import open_corpus
from fabula.corpus.words import words_of
from fabula.evaluation.models import Scorer
from fabula.evaluation.stories import held_out_stories

WINDOW, SCORED, FIRST = 320, 128, 32
TOP = WINDOW
DEPTHS = {"names": (TOP, 64), "words": (TOP, 0, 32, 64, 128)}
NUM_WORDS = 6
NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]{2,}")


def texts_of(before: str, following: str, rarity: Counter[str]) -> dict[str, str]:
    names = [name for name, _ in Counter(NAME.findall(before)).most_common(NUM_WORDS)]
    words = {word for word in words_of(following) if word.isalpha() and len(word) > 3}
    rarest = sorted(words, key=lambda word: (rarity[word], word))[:NUM_WORDS]
    return {
        "names": f"The people and places: {', '.join(names)}.",
        "words": f"What comes next: {', '.join(rarest)}.",
    }


def line_start(tokens: list[int], tokenizer: Any, depth: int) -> int:
    """The place of the last token that begins a line and has at least `depth` tokens from it on; 0 if there is none."""
    breaks = [
        place
        for place in range(1, len(tokens) - depth + 1)
        if tokenizer.decode(tokens[place - 1 : place]).endswith("\n")
    ]
    return breaks[-1] if breaks else 0


def losses(model: Any, rows: list[tuple[list[int], list[int]]]) -> list[np.ndarray]:
    """The loss in bits of each token of the second part of each row, after the first part."""
    import torch

    found = []
    for context, scored in rows:
        with torch.inference_mode():
            ids = torch.tensor([context + scored])
            logits = model(ids, logits_to_keep=len(scored) + 1).logits[0, :-1].float()
            picked = logits.log_softmax(-1)[range(len(scored)), scored]
        found.append(-picked.numpy() / np.log(2))
    return found


def main(folder: str, corpus: str, number: int = 32, first_story: int = 0) -> None:
    scorer = Scorer.load(Path(folder))
    tokenizer, start = scorer.tokenizer, scorer.story_format.start_id
    opened = open_corpus(corpus)
    rarity = Counter(word for story in opened.stories("train") for word in words_of(story.text))
    sums: dict[str, list[np.ndarray]] = {}
    for story in held_out_stories(opened, "validation", None)[first_story : first_story + number]:
        ids = tokenizer.encode(story.text, add_special_tokens=False)
        place = max(WINDOW, 2 * len(ids) // 3)
        if place + SCORED > len(ids):
            continue
        window, scored = ids[place - WINDOW : place], ids[place : place + SCORED]
        before, following = tokenizer.decode(ids[: place - WINDOW]), tokenizer.decode(scored)
        rows: dict[str, tuple[list[int], list[int]]] = {"none": ([start, *window], scored)}
        given = texts_of(before, following, rarity)
        for kind, text in given.items():
            for depth in DEPTHS[kind]:
                form = "{}\n" if depth == TOP else "[{}]\n"
                inserted = tokenizer.encode(form.format(text), add_special_tokens=False)
                at = line_start(window, tokenizer, depth)
                name = f"{kind}, {form.strip()}, {'top' if depth == TOP else depth}"
                rows[name] = ([start, *window[:at], *inserted, *window[at:]], scored)
        spelled = [tokenizer.decode([token]).strip().lower() for token in scored]
        for name, bits in zip(rows, losses(scorer.model, list(rows.values())), strict=True):
            sums.setdefault(name, []).append(bits)
        mentions = [any(word and word in each.lower() for each in given.values()) for word in spelled]
        sums.setdefault("mentioned", []).append(
            np.array([m and len(w) > 2 for m, w in zip(mentions, spelled, strict=True)])
        )
    named = np.concatenate(sums.pop("mentioned"))
    first = np.concatenate([np.arange(SCORED) < FIRST for _ in sums["none"]])
    none = np.concatenate(sums["none"])
    print(f"{len(sums['none'])} places; bits per token saved against none ({none.mean():.3f}):")
    print("text, form, depth | all | first tokens | later | words in the text | other tokens | places better")
    for name, found in sums.items():
        saved = none - np.concatenate(found)
        better = np.mean([a.sum() > b.sum() for a, b in zip(sums["none"], found, strict=True)])
        cells = [saved, saved[first], saved[~first], saved[named], saved[~named]]
        print(
            f"{name} | " + " | ".join(f"{cell.mean():+.3f}" for cell in cells) + f" | {better:.0%}",
            flush=True,
        )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))

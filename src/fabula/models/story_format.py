"""How a story begins and ends for a model: chosen by a rule from its tokenizer, and checked with the model's own loss.

The tokenizer's bos and eos are right for most bases, but not for all. A chat-tuned base has chat markers there, and a
story after those begins like an answer; a token that separated documents is a better start. Some bases (Gemma) were
never trained on a text without their start token, and predict badly without it in a window that begins within a story;
for others it makes no difference.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from fabula.config import Record
from fabula.corpus.read import open_stories
from fabula.errors import FabulaError
from fabula.files import cache_place, fingerprint, hash_file, read_json, write_json
from fabula.models.check import weight_files
from fabula.models.load import context_length_of, load_model
from fabula.tokens.tokenizer import TOKENIZER_FILES, encode

STORY_FORMAT = "story_format.json"
"""File name of the record in the folder of a model that fabula trained."""

STORIES = Path(__file__).parent.parent / "data" / "sample_stories.txt"
"""The stories on which the rule is checked: no base was trained on them."""

DOCUMENT_ENDS = (
    "<|endoftext|>",
    "<|end_of_text|>",
    "</s>",
    "<eos>",
    "<｜end▁of▁sentence｜>",
    "[SEP]",
)
"""Tokens that ended the documents of well-known bases; others (<|im_end|>, <|eot_id|>, <end_of_turn>) end turns of a chat."""

DOCUMENT_STARTS = ("<|begin_of_text|>", "<s>", "<bos>", "<｜begin▁of▁sentence｜>", "[CLS]")
"""Tokens at the start of those documents."""

NUM_BEGINNINGS, BEGINNING = 12, 24
NUM_WINDOWS, WINDOW, LEFT_CONTEXT = 8, 64, 16
"""Number and length in tokens of the story beginnings; number and length of the windows at the ends of stories, and how
many of their tokens are not scored. About 1,600 tokens in all for a base with two candidates."""

MARGIN = 0.1
"""Nats per token that a measurement must gain to overrule the rule."""


class StoryFormat(Record):
    """How a story begins and ends for one model. Training, scoring, writing and exports all follow it."""

    start_id: int
    """The token before a story."""
    end_id: int
    """The token after it."""
    continued_with_start: bool
    """Whether a window that begins within a story begins with the start token, too."""
    why: str = ""
    """What was measured, in a sentence."""

    def frame(self, ids: np.ndarray) -> np.ndarray:
        """A whole story: the start token, its `ids` [num_tokens], the end token; int64 [num_tokens + 2]."""
        return np.concatenate([[self.start_id], ids, [self.end_id]]).astype(np.int64)

    def continue_window(self, ids: np.ndarray) -> np.ndarray:
        """A window that begins within a story, as the model reads it: [num_tokens] in, as many out.

        If the base needs its start token, that token replaces the first one, which is only context.
        """
        if not self.continued_with_start:
            return ids
        return np.concatenate([[self.start_id], ids[1:]]).astype(ids.dtype)

    def describe(self, tokenizer: Any) -> str:
        """The choice and its reason, on one line."""
        start, end = tokenizer.convert_ids_to_tokens([self.start_id, self.end_id])
        continued = ", so does a window that continues one" if self.continued_with_start else ""
        why = f" ({self.why})" if self.why else ""
        return f"a story begins after {start}{continued}, and ends with {end}{why}"

    def apply(self, model: Any, tokenizer: Any) -> None:
        """Set this format in a model and its tokenizer, so that all saved files agree: the special tokens of both
        configurations and of the tokenizer."""
        for config in (model.config, model.generation_config):
            config.bos_token_id, config.eos_token_id = self.start_id, self.end_id
        self.apply_to_tokenizer(tokenizer)

    def apply_to_tokenizer(self, tokenizer: Any) -> None:
        """Set this format in a tokenizer. A chat template, which would wrap prompts, is removed."""
        tokenizer.bos_token, tokenizer.eos_token = tokenizer.convert_ids_to_tokens(
            [self.start_id, self.end_id]
        )
        tokenizer.chat_template = None

    def write(self, folder: Path) -> None:
        """Write the record to a model's folder."""
        write_json(folder / STORY_FORMAT, self.model_dump(mode="json"))


def story_format_by_rule(tokenizer: Any) -> StoryFormat:
    """The format that the tokenizer's special tokens suggest.

    The end is the tokenizer's eos, unless the vocabulary has a known end-of-document token and the eos is not one. The
    start is its bos, unless that is a chat marker; without a bos it is the end token of the story before. A tokenizer
    that puts its bos before every text belongs to a base that was never trained on text without it.

    Raises:
        FabulaError: the tokenizer has no token that could end a story.
    """
    special = set(tokenizer.get_added_vocab()) | set(tokenizer.all_special_tokens)
    known_ends = [name for name in DOCUMENT_ENDS if name in special]
    end = tokenizer.eos_token
    is_chat = end is not None and end not in DOCUMENT_ENDS and bool(known_ends)
    if end is None or is_chat:
        end = known_ends[0] if known_ends else None
    if end is None:
        raise FabulaError(
            "the tokenizer has no token that could end a story (eos_token)", where=tokenizer.name_or_path
        )
    start = tokenizer.bos_token or tokenizer.cls_token
    if start is None or (is_chat and start not in DOCUMENT_STARTS):
        start = end
    start_id, end_id = tokenizer.convert_tokens_to_ids([start, end])
    always = tokenizer("a")["input_ids"][:1] == [start_id]
    return StoryFormat(start_id=start_id, end_id=end_id, continued_with_start=always)


def measure_story_format(model: Any, tokenizer: Any) -> StoryFormat:
    """`story_format_by_rule`, corrected if the model's loss on stories is clearly lower for another choice.

    Measures nats per token on `STORIES`: of beginnings after each candidate for the start; of the ends of stories, with
        and without the start token before the window; and of each candidate for the end token. It takes as long as
        reading about 1,600 tokens.
    """
    rule = story_format_by_rule(tokenizer)
    texts = [story.text for story in open_stories(STORIES)]
    ids = encode(tokenizer, texts[:: len(texts) // NUM_BEGINNINGS][:NUM_BEGINNINGS])
    longest = min(context_length_of(model.config.get_text_config()) - 1, *map(len, ids))
    if longest < 2 * LEFT_CONTEXT:
        return rule  # the tokenizer loses nearly all of these texts, or the model reads next to nothing
    windows = [each[-min(WINDOW, longest) :] for each in ids[:NUM_WINDOWS]]
    by_start = {
        start: np.array([_losses(model, [start, *each[: min(BEGINNING, longest)]])[0].mean() for each in ids])
        for start in sorted(
            {rule.start_id, rule.end_id, tokenizer.bos_token_id, tokenizer.eos_token_id} - {None}
        )
    }
    start_id = _choose(by_start, rule.start_id)
    behind_start = [_losses(model, [start_id, *each]) for each in windows]
    by_continued = {
        True: np.array([losses[LEFT_CONTEXT + 1 :].mean() for losses, _ in behind_start]),
        False: np.array([_losses(model, each)[0][LEFT_CONTEXT:].mean() for each in windows]),
    }
    by_end = {
        end: np.array([after[end] for _, after in behind_start])
        for end in sorted({rule.end_id, tokenizer.eos_token_id} - {None})
    }
    with_start, without = (float(by_continued[choice].mean()) for choice in (True, False))
    why = [f"nats per token after it: {_shown(by_start, tokenizer)}"] if len(by_start) > 1 else []
    why.append(f"in continued windows {with_start:.2f} with it, {without:.2f} without")
    why += [f"of the end itself: {_shown(by_end, tokenizer)}"] if len(by_end) > 1 else []
    return StoryFormat(
        start_id=start_id,
        end_id=_choose(by_end, rule.end_id),
        continued_with_start=_choose(by_continued, rule.continued_with_start),
        why="; ".join(why),
    )


def find_story_format(folder: Path, tokenizer: Any, model: Any = None) -> StoryFormat:
    """The format of the model in a folder: read from its record, or measured once for each base.

    Args:
        model: the model, if the caller has loaded it; None to load it for the measurement.

    Raises:
        FabulaError: the folder's record is damaged, or its tokenizer has no token that could end a story.
    """
    if (folder / STORY_FORMAT).is_file():
        return StoryFormat.parse(read_json(folder / STORY_FORMAT), where=folder / STORY_FORMAT)
    names = ("config.json", "tokenizer_config.json", *TOKENIZER_FILES)
    files = [*(folder / name for name in names if (folder / name).is_file()), *weight_files(folder)]
    entry = cache_place("story_formats") / f"{fingerprint([hash_file(file) for file in files])}.json"
    entry.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(entry.with_suffix(".lock")):  # the processes of a training come here at the same time
        if not entry.is_file():
            measured = measure_story_format(load_model(folder) if model is None else model, tokenizer)
            write_json(entry, measured.model_dump(mode="json"))
    return StoryFormat.parse(read_json(entry), where=entry)


def _choose(losses: dict[Any, np.ndarray], by_rule: Any) -> Any:
    """The choice by rule, unless the candidate with the lowest mean loss [num_stories] gains more than `MARGIN` and
    more than two standard errors of the gain."""
    best = min(losses, key=lambda choice: float(losses[choice].mean()))
    gains = losses[by_rule] - losses[best]
    standard_error = float(gains.std(ddof=1)) / len(gains) ** 0.5
    return best if gains.mean() > max(MARGIN, 2 * standard_error) else by_rule


def _shown(losses: dict[int, np.ndarray], tokenizer: Any) -> str:
    names = tokenizer.convert_ids_to_tokens(list(losses))
    return ", ".join(f"{name} {nats.mean():.2f}" for name, nats in zip(names, losses.values(), strict=True))


def _losses(model: Any, ids: Sequence[int] | np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For one window, in nats: the loss of every token but the first [num_tokens - 1], and the loss that each token of
    the vocabulary would have after the last one [vocab_size]."""
    import torch

    with torch.inference_mode():
        input_ids = torch.tensor(np.asarray(ids, dtype=np.int64), device=model.device)
        nats = -model(input_ids[None], use_cache=False).logits[0].float().log_softmax(-1)
        losses = nats[:-1].gather(1, input_ids[1:, None])[:, 0]
        return losses.cpu().numpy(), nats[-1].cpu().numpy()

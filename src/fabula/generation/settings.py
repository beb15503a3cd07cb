"""The sampling settings: how the next token is drawn."""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, field_validator

from fabula.config import Record
from fabula.errors import FabulaError
from fabula.files import read_json

GENERATION_CONFIG = "generation_config.json"

MAX_TEXT = 4000
"""Longest text that a setting may have, in characters."""

MAX_PHRASE = 100
"""Longest banned phrase, in characters."""

SHORTEST_GUARD = 20
"""The shortest `copy_guard`, in characters: shorter passages occur in anybody's stories."""

NUM_BRIDGES = 12
MAX_BRIDGE_TOKENS = 120
"""Number of candidate bridges to a following text, and the longest bridge in tokens."""

TRANSFORMERS_FIELDS = ("max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty")
"""The settings that transformers' `GenerationConfig` also has."""


def _words_of(given: Any) -> Any:
    """Words in lower case and numbers, also from "word=number", the form on the command line."""
    if isinstance(given, Mapping):
        pairs = [(str(word), number) for word, number in given.items()]
    elif isinstance(given, Sequence) and not isinstance(given, str):
        pairs = [(word, number) for word, _, number in (str(each).rpartition("=") for each in given)]
    else:
        return given
    if not all(re.fullmatch(r"\w+", word) for word, _ in pairs):
        raise ValueError("it must have the form WORD=NUMBER, with a single word")
    return {word.lower(): number for word, number in pairs}


class SamplingSettings(Record):
    """The settings of one story. They give the same distribution in every engine (see `sampling.py`)."""

    max_new_tokens: int = Field(
        default=512,
        ge=1,
        description="Maximum length in tokens, without the prompt.",
    )
    story_prompt: str = Field(
        default="",
        max_length=MAX_TEXT,
        description="What the story is to be about, for a model that has learned prompts (--prompt-column).",
    )
    temperature: float = Field(
        default=1.0,
        ge=0,
        le=100,
        description="Below 1, likely tokens become likelier; 0 always takes the likeliest token.",
    )
    top_k: int = Field(default=0, ge=0, description="Draw only from the k likeliest tokens; 0 for all.")
    top_p: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="Draw only from the smallest set of tokens with this share of the probability; 1 for all.",
    )
    min_p: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="Leave out tokens whose probability is below this share of the likeliest token's.",
    )
    repetition_penalty: float = Field(
        default=1.0,
        gt=0,
        le=100,
        description="Above 1, tokens that the story has already used become less likely.",
    )
    top_n_sigma: float = Field(
        default=0.0,
        ge=0,
        description="Draw only from tokens whose logit is within this many standard deviations of the largest; 0 for all.",
    )
    xtc_probability: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="How often XTC leaves out the likeliest tokens, to be less predictable; 0 for never.",
    )
    xtc_threshold: float = Field(
        default=0.1,
        gt=0,
        le=0.5,
        description="XTC leaves out all tokens with at least this probability, except the least likely of them.",
    )
    dry_multiplier: float = Field(
        default=0.0,
        ge=0,
        le=100,
        description="Strength of DRY, which makes tokens less likely that would repeat a sequence of the story; 0 for none.",
    )
    dry_base: float = Field(
        default=1.75, ge=1, le=8, description="DRY's penalty grows by this factor with each repeated token."
    )
    dry_allowed_length: int = Field(
        default=2, ge=1, description="DRY does not penalise repeated sequences shorter than this many tokens."
    )
    banned_phrases: tuple[Annotated[str, Field(min_length=1, max_length=MAX_PHRASE)], ...] = Field(
        default=(),
        max_length=100,
        description="Words and phrases that the story must not contain, in any case.",
        json_schema_extra={"flags": ["--ban"]},
    )
    ban_overused: bool = Field(
        default=False,
        description="Ban the phrases that the model overuses compared with the author, according to its evaluation.",
    )
    word_bias: Annotated[dict[str, float], BeforeValidator(_words_of)] = Field(
        default_factory=dict,
        max_length=100,
        description="WORD=NUMBER: how much likelier a word becomes, in nats; below 0, how much less likely.",
        json_schema_extra={"flags": ["--bias"]},
    )
    copy_guard: int = Field(
        default=0,
        ge=0,
        le=1000,
        description="Never write a passage of this many characters (20 or more) that occurs in a training story; 0 for no guard.",
    )
    best_of: int | None = Field(
        default=None,
        ge=1,
        le=16,
        description="Write this many and keep the best: without loops and copies, then ended by the model, then likelier to the model"
        " than to its base; with a following text, the bridge after which that text is likeliest. Not set: 1, or 12 with a following text.",
    )
    memory: str = Field(
        default="",
        max_length=MAX_TEXT,
        description="Names, facts and wishes that the model reads before the story, even when a long story no longer fits into"
        " the context.",
    )
    note: str = Field(
        default="",
        max_length=MAX_TEXT,
        description="An author's note: what the next pages are about. The model reads it a few lines before the end of the"
        " story, and it moves on with the story.",
    )
    following: str = Field(
        default="",
        max_length=MAX_TEXT,
        description="A text that comes after the written text: the model writes a bridge to it, of at most 120 tokens.",
        json_schema_extra={"flags": ["--to"]},
    )
    start_of_story: bool = Field(
        default=True,
        description="Put the model's start token before the prompt, as in training.",
    )
    opening: bool = Field(
        default=True,
        description="Begin a story without a prompt with the first words of a training story, if the model has them.",
    )
    token_healing: bool = Field(
        default=True,
        description="Continue the text of the prompt, which may end in a space or in half a word, not its last tokens.",
    )
    whole_sentences: bool = Field(
        default=True,
        description="At max_new_tokens, finish the sentence (at most 40 tokens more), or cut back to the last complete one.",
    )

    @field_validator("copy_guard")
    @classmethod
    def _check_guard(cls, value: int) -> int:
        if 0 < value < SHORTEST_GUARD:
            raise ValueError(f"it must be 0, or at least {SHORTEST_GUARD}")
        return value

    @property
    def num_candidates(self) -> int:
        """Number of stories that are written to choose one from."""
        return self.best_of or (NUM_BRIDGES if self.following else 1)

    @property
    def most_tokens(self) -> int:
        """The longest story in tokens, without the tokens that finish its last sentence."""
        return min(self.max_new_tokens, MAX_BRIDGE_TOKENS) if self.following else self.max_new_tokens

    @classmethod
    def of_model(cls, folder: str | Path) -> Self:
        """The settings in a model's `generation_config.json`, with defaults for those that it leaves out.

        Raises:
            FabulaError: the file is damaged, or holds a value out of range.
        """
        path = Path(folder) / GENERATION_CONFIG
        if not path.is_file():
            return cls()
        stated = read_json(path)
        if not isinstance(stated, dict):
            raise FabulaError("this file must hold a JSON object", where=path)
        return cls.parse(
            {name: stated[name] for name in cls.model_fields if stated.get(name) is not None}, where=path
        )

    def with_changes(self, **changes: Any) -> Self:
        """These settings with some fields changed. None leaves a field as it is.

        Raises:
            FabulaError: an unknown field or a value out of range.
        """
        wanted = {name: value for name, value in changes.items() if value is not None}
        return self.parse({**self.model_dump(), **wanted}, where="settings")

    def generation_config(self) -> dict[str, Any]:
        """The same settings as fields of transformers' `GenerationConfig`. All are set, so that none of its defaults
        (such as a `top_k` of 50) applies."""
        values = self.model_dump(include=set(TRANSFORMERS_FIELDS))
        if self.temperature == 0:
            greedy = ("max_new_tokens", "repetition_penalty")
            return {"do_sample": False, **{name: values[name] for name in greedy}}
        return {"do_sample": True, **values}

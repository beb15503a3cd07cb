"""The options of `evaluate` and `tune`."""

from pydantic import Field

from fabula.config import Record
from fabula.defaults import (
    MAX_COPIED,
    MAX_SCORING_CONTEXT,
    NUM_OTHERS,
    NUM_SAMPLES,
    NUM_SETTINGS,
    NUM_TUNING_STORIES,
    SAMPLE_TOKENS,
    SEED,
    TUNING_TOKENS,
)


class EvaluationOptions(Record):
    """How models are compared."""

    split: str = Field(default="validation", description="Which stories of the corpus to score.")
    num_samples: int = Field(
        default=NUM_SAMPLES,
        ge=0,
        description="Number of stories that each model writes, for comparison with people's; 0 for none.",
    )
    max_new_tokens: int = Field(
        default=SAMPLE_TOKENS, ge=1, description="Length limit of these stories, in tokens."
    )
    seed: int = Field(
        default=SEED,
        ge=0,
        description="Random seed of the first of these stories; each further story uses the next seed.",
    )
    context_length: int | None = Field(
        default=None,
        ge=2,
        description="Tokens per window for scoring.",
        json_schema_extra={"shown": f"the model's, at most {MAX_SCORING_CONTEXT:,}"},
    )
    stride: int | None = Field(
        default=None,
        ge=1,
        description="Tokens from one window to the next.",
        json_schema_extra={"shown": "half a window"},
    )
    max_stories: int | None = Field(
        default=None, ge=1, description="Score at most this many stories.", json_schema_extra={"shown": "all"}
    )
    num_others: int = Field(
        default=NUM_OTHERS,
        ge=0,
        le=NUM_OTHERS,
        description="Number of public-domain stories by other authors that this author's are compared with; 0 for none.",
    )
    engine: str = Field(default="auto", description="The engine that writes the stories; see `fabula write`.")


class TuningOptions(Record):
    """How sampling settings are chosen."""

    split: str = Field(
        default="validation", description="Which stories of the corpus to use as people's stories."
    )
    num_settings: int = Field(
        default=NUM_SETTINGS,
        ge=1,
        le=NUM_SETTINGS,
        description="Number of settings to try for each of the five samplers.",
    )
    num_stories: int = Field(
        default=NUM_TUNING_STORIES,
        ge=2,
        description="Number of stories to write with each setting, with the same prompts and seeds.",
    )
    max_new_tokens: int = Field(
        default=TUNING_TOKENS, ge=8, description="Length limit of these stories, in tokens."
    )
    max_copied: float = Field(
        default=MAX_COPIED,
        ge=0,
        le=1,
        description="Largest share of text that may be copied from training stories, unless people copy more.",
    )
    seed: int = Field(
        default=SEED,
        ge=0,
        description="Random seed of the first of these stories; each further story uses the next seed.",
    )
    engine: str = Field(default="auto", description="The engine that writes the stories; see `fabula write`.")

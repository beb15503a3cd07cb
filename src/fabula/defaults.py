"""Defaults that several commands share, each defined once."""

BASE = "smollm2-135m"
"""The base model when none is named; "tiny" is used when this one is not available."""

RECIPE = "default"
SEED = 42

SAMPLES_MINUTES = 6.0
"""Time limit of a run on the bundled sample stories when none is given."""

NUM_SAMPLES = 12
"""Stories that each model writes for its evaluation. `fabula evaluate --num-samples` can ask for more."""

SAMPLE_TOKENS = 480
"""Limit on their length, in tokens: enough for a short story to end."""

NUM_SETTINGS = 6
"""Settings that `fabula tune` tries for each sampler."""

NUM_TUNING_STORIES = 16
"""Stories that it writes with each setting."""

TUNING_TOKENS = 200
"""Limit on their length, in tokens."""

MAX_COPIED = 0.02
"""Share of its text that a model with tuned settings may copy from training stories, where people copy no more."""

MAX_TRAINING_CONTEXT = 512
"""Tokens in a window when a base model is trained and the recipe sets no context_length."""

MAX_WRITING_CONTEXT = 4096
"""Largest context window for writing, in tokens. A larger one costs memory (keys and values), and time at each new
window."""

NUM_OTHERS = 48
"""Stories by other authors to compare an author's stories with."""

MAX_SCORING_CONTEXT = 2048
"""Largest window for scoring stories, in tokens. A longer context gains little, and the time of attention grows with
its square."""

HOST = "127.0.0.1"
"""Address that the page is served on: only this machine can reach it."""

PORT = 7860

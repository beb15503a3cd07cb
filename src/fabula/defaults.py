"""Defaults that several commands share. A default stands in one place."""

BASE = "tiny"
RECIPE = "default"
SEED = 42
ENCODING = "utf-8"

NUM_SAMPLES = 16
"""Stories that each model writes to be judged by. `fabula evaluate --num-samples` asks for more."""

SAMPLE_TOKENS = 200
"""The longest of these stories, in tokens."""

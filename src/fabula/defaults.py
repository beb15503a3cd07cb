"""Defaults that several commands share. A default stands in one place."""

BASE = "smollm2-135m"
"""The base model where none is named; "tiny" where this one cannot be had."""

RECIPE = "default"
SEED = 42

SAMPLES_MINUTES = 6.0
"""Time limit of a run on the bundled sample stories that names none."""

NUM_SAMPLES = 12
"""Stories that each model writes to be judged by. `fabula evaluate --num-samples` asks for more."""

SAMPLE_TOKENS = 480
"""The longest of these stories, in tokens: room for a short one to end."""

NUM_SETTINGS = 6
"""Settings that `fabula tune` tries of each sampler."""

NUM_TUNING_STORIES = 16
"""Stories that it writes with each of them."""

TUNING_TOKENS = 200
"""The longest of these stories, in tokens."""

MAX_COPIED = 0.02
"""Share of its text that a model with tuned settings may copy from training stories, where people copy no more."""

MAX_TRAINING_CONTEXT = 512
"""Tokens in a window when a base model is trained with a recipe that does not say."""

MAX_WRITING_CONTEXT = 4096
"""Tokens of the longest window that is read for writing. Longer ones cost memory (keys and values) and time at each new
window."""

NUM_OTHERS = 48
"""Stories by other authors that an author's are told from."""

MAX_SCORING_CONTEXT = 2048
"""Tokens of the longest window that stories are scored in. Bases with longer contexts gain little more, and the time of
attention grows with the square."""

HOST = "127.0.0.1"
"""Address that the page is served on: this machine alone reaches it."""

PORT = 7860

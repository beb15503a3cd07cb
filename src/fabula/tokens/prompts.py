"""The prompt that a story was written to: what a model reads between the start token and the story."""

MAX_WORDS, MAX_CHARACTERS = 60, 400
"""A longer prompt is cut, so that most of the context is left for the story."""

LEFT_OUT = 10
"""One story in this many is learned without its prompt, so that the model can also write without one (as in classifier-free
guidance, Ho and Salimans 2022, https://arxiv.org/abs/2207.12598)."""


def prompt_text(prompt: str) -> str:
    """A prompt as the model reads it, with the empty line that ends it; "" for none."""
    words = " ".join(prompt.split()[:MAX_WORDS])[:MAX_CHARACTERS].strip()
    return f"{words}\n\n" if words else ""


def learned_prompt(prompt: str, story_id: str) -> str:
    """`prompt_text` for training: "" for one story in `LEFT_OUT`, chosen by its id (hexadecimal digits)."""
    return prompt_text(prompt) if int(story_id[:8], 16) % LEFT_OUT else ""

"""Tokens that stand for bytes, in a vocabulary of SentencePiece, need not make up characters."""

from pathlib import Path

import numpy as np
from tiny_models import make_model

from fabula.generation.draft import Draft
from fabula.generation.settings import SamplingSettings
from fabula.generation.transformers_engine import TransformersEngine


def test_bytes_that_are_no_character_do_not_stop_a_story(tmp_path: Path):
    """The byte of "E" alone is shown; with the two after it, it is no character any more."""
    engine = TransformersEngine(make_model("llama-2", tmp_path))
    token = engine.text_tokenizer.token_to_id
    ids = [token("<0x45>"), token("<0xC3>"), token("<0x28>"), *engine.encode("the coins")]
    settings = SamplingSettings(temperature=0, whole_sentences=False, token_healing=False, max_new_tokens=50)
    draft = Draft(engine, 0, "Once", settings, 0)
    shown = ""
    for wanted in ids:
        logits = np.full(engine.text_tokenizer.get_vocab_size(), -50, np.float32)
        logits[wanted] = 50
        shown += draft.draw(logits, None)
    assert shown.startswith("E")
    assert shown.endswith("coins")

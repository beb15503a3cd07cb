"""The validation loss as the notebook measured it, for comparison with its figure of 2.28."""

from collections.abc import Sequence
from typing import Any

import torch

from fabula.models.load import context_length_of
from fabula.tokens.markup import render
from fabula.tokens.tokenizer import encode, end_of_text_id

NUM_TOKENS = 512


@torch.inference_mode()
def notebook_loss(model: Any, tokenizer: Any, texts: Sequence[str]) -> float:
    """Mean cross-entropy in nats per token over the first 512 tokens of each story, markers and padding counted.

    A story is written `<sos> line <nl> line <eos>`, with markers as plain text, truncated after 512 tokens (or the
    model's context, if that is shorter) and padded with end-of-text tokens, which are targets like all others.
    """
    length = min(NUM_TOKENS, context_length_of(model.config.get_text_config()))
    total = 0.0
    for ids in encode(tokenizer, [render(text, "notebook") for text in texts]):
        ids_T = torch.full((length,), end_of_text_id(tokenizer))
        ids_T[: len(ids)] = torch.from_numpy(ids[:length])
        mask_T = (torch.arange(length) < len(ids)).long()
        input_ids, mask = ids_T.to(model.device)[None], mask_T.to(model.device)[None]
        logits_TV = model(input_ids, attention_mask=mask, use_cache=False).logits[0, :-1].float()
        total += float(torch.nn.functional.cross_entropy(logits_TV, input_ids[0, 1:]))
    return total / len(texts)

"""The validation loss as the seed notebook measured it, so that its 2.28 can be compared."""

from collections.abc import Sequence
from typing import Any

import torch

from fabula.models.load import context_length_of

SEED_LENGTH = 512
SEED_BATCH_SIZE = 8


@torch.inference_mode()
def seed_loss(model: Any, tokenizer: Any, texts: Sequence[str]) -> float:
    """Mean loss in nats over the first 512 tokens of each story, its markers and its padding counted.

    A story is written `<sos> line <nl> line <eos>`, the markers being plain text, cut off after 512 tokens (or the
    model's context, where that is shorter) and filled up with end-of-text tokens, which are targets like all others.
    """
    length = min(SEED_LENGTH, context_length_of(model.config.get_text_config()))
    total, count = 0.0, 0
    for begin in range(0, len(texts), SEED_BATCH_SIZE):
        rows = [
            "<sos> " + " <nl> ".join(filter(None, map(str.strip, text.split("\n")))) + " <eos>"
            for text in texts[begin : begin + SEED_BATCH_SIZE]
        ]
        encoded = [
            tokenizer(row, add_special_tokens=False, verbose=False)["input_ids"][:length] for row in rows
        ]
        input_ids_BT = torch.full((len(rows), length), tokenizer.eos_token_id)
        mask_BT = torch.zeros((len(rows), length), dtype=torch.long)
        for row, ids in enumerate(encoded):
            input_ids_BT[row, : len(ids)] = torch.tensor(ids)
            mask_BT[row, : len(ids)] = 1
        for ids, mask in zip(input_ids_BT.to(model.device), mask_BT.to(model.device), strict=True):
            logits_TV = model(ids[None], attention_mask=mask[None], use_cache=False).logits[0, :-1].float()
            total += float(torch.nn.functional.cross_entropy(logits_TV, ids[1:], reduction="sum"))
            count += length - 1
    return total / count

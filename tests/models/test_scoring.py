"""Losses of tokens, compared with known logits, with a plain computation and with the held-out script."""

import importlib.util
import math
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fabula.evaluation.likelihood import score_texts, sum_scores
from fabula.models.load import load_model
from fabula.models.scoring import LOGITS_PER_BATCH, TOKENS_PER_BATCH, Window, batches_of, score_tokens
from fabula.models.story_format import StoryFormat
from fabula.tokens.tokenizer import load_tokenizer

HELDOUT = Path(__file__).parents[3] / "shared" / "tools" / "heldout_bpb.py"

FORMAT = StoryFormat(start_id=0, end_id=0, continued_with_start=False)


class KnownModel(torch.nn.Module):
    """The next token depends on the one before, by a table of logits."""

    device = torch.device("cpu")

    def __init__(self, table_VV: torch.Tensor) -> None:
        super().__init__()
        self.table_VV = table_VV
        self.config = KnownConfig(len(table_VV))

    def forward(self, input_ids: torch.Tensor, use_cache: bool) -> "KnownModel.Output":
        return KnownModel.Output(self.table_VV[input_ids])

    class Output:
        def __init__(self, logits: torch.Tensor) -> None:
            self.logits = logits


class KnownConfig:
    max_position_embeddings = 8

    def __init__(self, vocab_size: int) -> None:
        self.vocab_size = vocab_size

    def get_text_config(self) -> "KnownConfig":
        return self


def test_known_logits_give_known_losses():
    table = torch.tensor([[math.log(1), math.log(3)], [math.log(1), math.log(1)]])
    [nats, nothing] = score_tokens(KnownModel(table), [[0, 1, 1, 0, 0], [1]], FORMAT)
    assert nats == pytest.approx([-math.log(3 / 4), -math.log(1 / 2), -math.log(1 / 2), -math.log(1 / 4)])
    assert nats.dtype == np.float64
    assert len(nothing) == 0


def plain_losses(model, ids: list[int], context_length: int, stride: int) -> list[float]:
    """One window after the other, each with all its logits."""
    losses, done, begin = [], 1, 0
    while done < len(ids):
        window = torch.tensor([ids[begin : begin + context_length]])
        with torch.no_grad():
            log_probs = model(window).logits[0].double().log_softmax(-1)
        for position in range(done, begin + window.shape[1]):
            losses.append(-log_probs[position - begin - 1, ids[position]].item())
        done, begin = begin + window.shape[1], begin + stride
    return losses


@settings(deadline=None, max_examples=25)
@given(
    lengths=st.lists(st.integers(0, 70), min_size=1, max_size=5),
    context_length=st.integers(2, 20),
    stride=st.integers(1, 19),
    batch_size=st.sampled_from([None, 1, 3]),
)
def test_batches_do_not_change_the_losses(tiny_gpt2_dir, lengths, context_length, stride, batch_size):
    model = load_model(tiny_gpt2_dir)
    stride = min(stride, context_length - 1)
    draw = np.random.default_rng(0)
    sequences = [draw.integers(0, model.config.vocab_size, n).tolist() for n in lengths]
    found = score_tokens(
        model, sequences, FORMAT, context_length=context_length, stride=stride, batch_size=batch_size
    )
    for ids, losses in zip(sequences, found, strict=True):
        assert losses == pytest.approx(plain_losses(model, ids, context_length, stride), abs=1e-4)


def test_batches_stay_within_their_bounds():
    windows = [Window(0, 0, 1, 512)] * 40
    batches = list(batches_of(windows, 50257, None))
    assert [window for batch in batches for window in batch] == windows
    assert all(len(batch) * 511 * 50257 <= LOGITS_PER_BATCH for batch in batches)
    assert [len(batch) * 512 for batch in batches_of(windows, 100, None)] == [TOKENS_PER_BATCH] * 5


@pytest.mark.parametrize("stride", [8, 9, -1])
def test_a_stride_without_left_context_is_refused(stride: int):
    with pytest.raises(ValueError, match="stride"):
        score_tokens(KnownModel(torch.zeros(2, 2)), [[0, 1]], FORMAT, stride=stride)


def heldout_script() -> ModuleType:
    if not HELDOUT.exists():
        pytest.skip("the shared held-out script is not here")
    spec = importlib.util.spec_from_file_location("heldout_bpb", HELDOUT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("markup", "script_markup"), [("newline", "newline"), ("notebook", "seed")])
@pytest.mark.parametrize("stride", [16, 32])
def test_bits_per_byte_equal_the_held_out_scripts(
    tiny_gpt2_dir, stride: int, markup: str, script_markup: str
):
    script = heldout_script()
    model, tokenizer = load_model(tiny_gpt2_dir), load_tokenizer(tiny_gpt2_dir)
    # Plain ASCII: the script counts the bytes of a character that two tokens share twice.
    stories = [["Ada found a lamp.", "It was lost; the fox sang to it!"] * n for n in (1, 3, 9)]
    scored = [script.story_bits(model, tokenizer, story, script_markup, 64, stride) for story in stories]
    expected = sum(bits for bits, _ in scored) / sum(num_bytes for _, num_bytes in scored)
    scores = sum_scores(
        score_texts(
            model, tokenizer, ["\n".join(story) for story in stories], FORMAT, markup=markup, stride=stride
        )
    )
    assert scores.bits_per_byte == pytest.approx(expected, abs=1e-4)
    assert scores.num_bytes.sum() == sum(num_bytes for _, num_bytes in scored)


def test_newlines_are_context_and_bytes_are_those_of_the_text(tiny_gpt2_dir):
    model, tokenizer = load_model(tiny_gpt2_dir), load_tokenizer(tiny_gpt2_dir)
    text = "“Ada,” he said.\n\nThe end."
    scores = sum_scores(score_texts(model, tokenizer, [text], FORMAT))
    ids = [tokenizer.bos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    losses = plain_losses(model, ids, 64, 32)
    expected = sum(
        loss
        for loss, token in zip(losses, ids[1:], strict=True)
        if str(tokenizer.decode([token])).strip("\n")
    )
    assert scores.nats.sum() == pytest.approx(expected, abs=1e-4)
    assert scores.num_bytes.sum() == len("“Ada,” he said.The end.".encode())

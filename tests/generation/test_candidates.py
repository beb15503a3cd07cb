"""The best of several, and bridges."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from made_results import training_counts
from transformers import GPT2Config, GPT2LMHeadModel

from fabula.errors import FabulaError
from fabula.files import hash_path
from fabula.generation.batcher import Group
from fabula.generation.candidates import (
    BASES,
    JOINS,
    base_of,
    bridges_of,
    choose,
    choose_bridge,
    context_of,
    faults,
    gains_over_base,
    losses_after,
    losses_of,
    make_candidates,
    quotes,
)
from fabula.generation.draft import NOTE_DEPTH, NOTE_STEP, Draft, make_drafts
from fabula.generation.settings import MAX_BRIDGE_TOKENS, SamplingSettings
from fabula.generation.transformers_engine import TransformersEngine
from fabula.generation.write import Writer, write_drafts
from fabula.results import FinishReason, RunArguments, RunRecord, TrainingManifest
from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TransformersEngine:
    folder: Path = tmp_path_factory.mktemp("random")
    tokenizer = train_tokenizer(["the cat and the dog ate the fish."] * 4, 300, context_length=64)
    torch.manual_seed(1)
    end = end_of_text_id(tokenizer)
    shape = {"n_positions": 512, "n_embd": 32, "n_layer": 2, "n_head": 2, "initializer_range": 0.3}
    config = GPT2Config(vocab_size=len(tokenizer), bos_token_id=end, eos_token_id=end, **shape)
    GPT2LMHeadModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return TransformersEngine(folder)


def test_losses_are_those_of_the_model(engine: TransformersEngine):
    context = [5, 6, 7]
    continuations = [[10, 11, 12], [13], [], [10, 11, 14, 15], [10], [10, 11, 12]]
    found = losses_of(engine, context, continuations)
    for ids, losses in zip(continuations, found, strict=True):
        tokens = torch.tensor([context + ids])
        with torch.inference_mode():
            log_probs = engine.model(tokens).logits[0].log_softmax(-1)
        places = range(len(context) - 1, tokens.shape[1] - 1)
        expected = [-float(log_probs[place, tokens[0, place + 1]]) for place in places]
        assert losses == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize("settings", [{"best_of": 4}, {"following": "the fish ate the dog."}])
def test_one_of_the_candidates_is_kept_and_seeds_repeat_it(engine: TransformersEngine, settings: dict):
    chosen = SamplingSettings(max_new_tokens=24, **settings)
    [leader] = make_drafts(engine, ["the cat"], chosen, 3)
    candidates = make_candidates(leader)
    assert len(candidates) == chosen.num_candidates
    alone = [draft for draft in candidates for _ in _written_alone(draft)]
    texts = [draft.text for draft in alone]
    assert len(set(texts)) == len(texts)
    assert texts[0] == Writer(engine).write("the cat", seed=3, max_new_tokens=24).text
    story = Writer(engine).write("the cat", seed=3, max_new_tokens=24, **settings)
    if chosen.following:
        assert story.text == choose_bridge(alone, chosen.following).text
    else:
        assert story.text == choose(alone).text
    pieces = list(Writer(engine).stream("the cat", seed=3, max_new_tokens=24, **settings))
    assert [piece.text for piece in pieces] == [story.text]
    several = make_drafts(engine, ["the cat"], chosen, 3, num_stories=3)
    for _ in write_drafts(several, batch_size=3):
        pass
    assert several[0].text == story.text


def _written_alone(draft):
    """Write a candidate without the others."""
    while draft.finish_reason is None:
        group = Group.read([draft])
        draft.draw(group.batch.logits_BV[0], group.covers.get((0, draft.to_spell)))
        draft._must_reread = True
    yield draft


def finished(engine: TransformersEngine, texts: dict[str, FinishReason]) -> list[Draft]:
    drafts = make_drafts(engine, ["the cat"] * len(texts), SamplingSettings(best_of=2), 0)
    for draft, (text, reason) in zip(drafts, texts.items(), strict=True):
        draft.text, draft.finish_reason, draft.num_tokens = text, reason, len(engine.encode(text))
        draft._nats = [1.0]
    return drafts


def test_faults_count_before_likelihood(engine: TransformersEngine):
    loop = " the dog ate the fish and the cat ate the dog and" * 12
    drafts = finished(engine, {loop: "end", " the dog": "sentence", " the fish.": "end"})
    assert [faults(draft) for draft in drafts] == [(True, False), (False, True), (False, False)]
    for draft, loss in zip(drafts, (0.1, 0.2, 5.0), strict=True):
        draft._nats = [loss]
    assert choose(drafts).text == " the fish."
    assert base_of(engine) is None  # no run names it
    assert gains_over_base(drafts) == [-0.1, -0.2, -5.0]


def test_a_story_counts_as_likely_against_the_base(
    engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
):
    drafts = finished(engine, {" the fish ate.": "end", " and the dog.": "end"})
    monkeypatch.setitem(BASES, engine, engine)
    context = context_of(engine, "the cat")
    losses = losses_after(engine, context, [("", draft.text) for draft in drafts])
    expected = [loss / draft.num_tokens - 1.0 for loss, draft in zip(losses, drafts, strict=True)]
    assert gains_over_base(drafts) == pytest.approx(expected)
    assert choose(drafts).draft is drafts[int(np.argmax(expected))]


def test_the_base_is_found_by_the_run(tmp_path: Path, engine: TransformersEngine):
    base = tmp_path / "base"
    shutil.copytree(engine.folder, base)
    made = tmp_path / "run"
    shutil.copytree(engine.folder, made / "model")
    known: Any = {"fingerprint": "f" * 16, "config": {}, "versions": {}, "counts": training_counts()}
    TrainingManifest(stage="train", inputs={"base": hash_path(base)}, **known).write(made / "model")
    asked = RunArguments(
        stories="s",
        base=str(base),
        recipe="default",
        seed=1,
        max_minutes=None,
        format=None,
        column=None,
        split_at=None,
        encoding=None,
    )
    RunRecord(name="run", arguments=asked, versions={}).save(made / "run.json")
    found = base_of(TransformersEngine(made / "model"))
    assert found is not None
    assert found.folder == base
    (base / "config.json").write_text((base / "config.json").read_text() + " ")
    assert base_of(TransformersEngine(made / "model")) is None  # it is not the same any more


def test_a_bridge_is_the_one_after_which_the_text_is_likeliest(engine: TransformersEngine):
    following = " the dog ate."
    settings = SamplingSettings(max_new_tokens=12, following=following, best_of=4)
    [leader] = make_drafts(engine, ["the cat"], settings, 0)
    candidates = make_candidates(leader)
    assert [draft.settings.memory for draft in candidates] == ["", "", "the dog ate.", "the dog ate."]
    for draft in candidates:
        list(_written_alone(draft))
    chosen = choose_bridge(candidates, following)
    texts = [each.text for draft in candidates for each in bridges_of(draft)]
    context = context_of(engine, "the cat")
    losses = losses_after(engine, context, [(text, following) for text in texts])
    assert chosen.text == texts[int(np.argmin(losses))]
    whole = engine.encode(texts[0] + following)
    nats = losses_of(engine, context, [whole])[0]
    assert losses[0] == pytest.approx(nats[len(engine.encode(texts[0])) :].sum(), abs=1e-3)


def test_a_separator_is_chosen_where_there_is_no_white_space(engine: TransformersEngine):
    settings = SamplingSettings(max_new_tokens=12, following="the fish", best_of=2)
    [leader] = make_drafts(engine, ["the cat"], settings, 0)
    candidates = make_candidates(leader)
    for draft in candidates:
        list(_written_alone(draft))
    text = choose_bridge(candidates, "the fish").text
    ends = [text[: len(text) - len(join)] for join in JOINS if text.endswith(join)]
    [before] = {each.text for draft in candidates for each in bridges_of(draft)} & set(ends)
    context = context_of(engine, "the cat")
    losses = losses_after(engine, context, [(before, join + "the fish") for join in JOINS])
    assert text == before + JOINS[int(np.argmin(losses))]


def test_a_bridge_may_end_with_an_earlier_sentence(engine: TransformersEngine):
    [draft] = make_drafts(engine, ["the cat"], SamplingSettings(), 0)
    draft.text, draft.finish_reason = " ate. The dog ate. It", "length"
    assert [(each.text, each.finish_reason) for each in bridges_of(draft)] == [
        (" ate. The dog ate. It", "length"),
        (" ate.", "sentence"),
        (" ate. The dog ate.", "sentence"),
    ]
    [leader] = make_drafts(engine, ["the cat"], SamplingSettings(), 0)
    assert leader.take(draft, " ate.", "sentence") == " ate."
    assert leader.story().num_tokens == len(engine.encode(" ate."))


def test_a_bridge_does_not_quote_what_follows():
    following = "She locked the shop and went home in the rain."
    assert quotes("Then she locked the shop and went home in the snow.", following)
    assert not quotes("She locked the door of the shop.", following)
    assert quotes("Nobody saw it. And so it was.", " Nobody saw it.")
    assert not quotes("He went home.", "He")


def test_a_bridge_does_not_loop(engine: TransformersEngine):
    following = "And again, and again, and again."
    looping = " And again." * 6
    drafts = finished(engine, {looping: "sentence", " The dog ate the fish.": "sentence"})
    assert choose_bridge(drafts, following).text.startswith(" The dog ate the fish.")
    assert choose_bridge(drafts[:1], following).text.startswith(" And again.")


def test_bridges_are_short():
    assert SamplingSettings(following="x").most_tokens == MAX_BRIDGE_TOKENS
    assert SamplingSettings(following="x", max_new_tokens=20).most_tokens == 20
    assert SamplingSettings().most_tokens == SamplingSettings().max_new_tokens
    assert SamplingSettings(following="x").num_candidates == 12


def test_an_unwanted_draft_stops_its_candidates(engine: TransformersEngine):
    [leader] = make_drafts(engine, ["the cat"], SamplingSettings(best_of=3), 0)
    written = write_drafts([leader])
    next(written)
    leader.is_wanted = False
    assert list(written) == []
    assert leader.finish_reason is None


@pytest.mark.parametrize("settings", [{}, {"best_of": 3}])
def test_a_due_draft_ends_with_its_candidates(engine: TransformersEngine, settings: dict[str, Any]):
    wanted = SamplingSettings(whole_sentences=False, **settings)
    [draft] = make_drafts(engine, ["the cat"], wanted, 0)
    written = write_drafts([draft])
    for _ in range(9):
        next(written)
    draft.is_due = True
    list(written)
    assert draft.text
    assert draft.finish_reason is not None
    assert draft.num_tokens <= 10


class Recording(TransformersEngine):
    """Records the windows that it reads."""

    def __init__(self, folder: Path, context_length: int) -> None:
        super().__init__(folder)
        self.context_length, self.windows = context_length, []

    def read(self, windows):
        self.windows += [list(window) for window in windows]
        return super().read(windows)


def test_a_memory_is_before_the_story_in_every_window(engine: TransformersEngine):
    recording = Recording(engine.folder, 64)
    memory = recording.encode("the cat\n\n")
    story = Writer(recording).write("the dog", seed=1, memory=" the cat ", max_new_tokens=150, top_p=1.0)
    assert len(recording.windows) > 2
    first, *others = recording.windows
    assert first[: 1 + len(memory)] == [recording.start_id, *memory]
    assert "cat" not in story.prompt
    size = len(memory)
    assert all(memory in (window[:size], window[1 : size + 1]) for window in others)
    assert any(window[0] != recording.start_id for window in others)  # the start is out of the context
    assert all(len(window) <= 64 for window in recording.windows)
    with pytest.raises(FabulaError, match="a quarter of its context"):
        Writer(recording).write("the dog", memory="the cat ate the fish. " * 30)


def test_an_authors_note_stays_near_the_end(engine: TransformersEngine):
    recording = Recording(engine.folder, 400)
    lines = "the cat ate.\n" * 40
    note = recording.encode("[the fish]\n")
    given = {"seed": 4, "note": "the fish", "memory": "the dog", "max_new_tokens": 300, "top_p": 1.0}
    newline = recording.encode("a\n")[-1]
    story = Writer(recording).write(lines, **given)
    assert "[the fish]" not in story.prompt + story.text
    assert len(recording.windows) > 2
    memory = recording.encode("the dog\n\n")
    for window in recording.windows:
        [place] = [at for at in range(len(window)) if window[at : at + len(note)] == note]
        after = len(window) - place - len(note)
        assert window[place - 1] == newline or window[place - len(memory) : place] == memory
        assert after >= min(NOTE_DEPTH, 400 // 8)
        assert len(window) <= 400
    with pytest.raises(FabulaError, match=r"memory and note: .* are too many; .* a quarter of its context"):
        Writer(recording).write("the dog", memory="the cat", note="the cat ate the fish. " * 60)
    assert Writer(recording).write("the", note=" ", seed=2, max_new_tokens=9) == replace_settings(
        Writer(recording).write("the", seed=2, max_new_tokens=9), note=" "
    )


def replace_settings(story, **changes):
    return story.model_copy(update={"settings": story.settings.with_changes(**changes)})


def test_a_note_moves_on_while_the_story_grows(engine: TransformersEngine):
    [draft] = make_drafts(engine, ["the cat ate.\n" * 12], SamplingSettings(note="the fish"), 0)
    draft.window()
    place = draft._note_place
    draft.ids += engine.encode("the dog ate.\n" * 30)
    assert not draft.needs_new_window() or draft.num_tokens % NOTE_STEP == 0
    draft.num_tokens = NOTE_STEP
    assert draft.needs_new_window()
    draft.window()
    assert draft._note_place > place
    assert 0 <= len(draft.ids) - draft._note_place - min(NOTE_DEPTH, 512 // 8) < 12


def test_overused_phrases_are_banned_on_request(engine: TransformersEngine):
    writer = Writer(engine)
    with pytest.raises(FabulaError, match="no evaluation"):
        writer.write("the cat", ban_overused=True)
    free = writer.write("the cat", seed=1, max_new_tokens=30).text
    phrase = free[3:9].strip().lower()
    engine.overused = (phrase,)
    try:
        story = writer.write("the cat", seed=1, max_new_tokens=30, ban_overused=True)
        banned = writer.write("the cat", seed=1, max_new_tokens=30, banned_phrases=[phrase])
    finally:
        del engine.overused
    assert story.text == banned.text

"""A model that learned prompts writes to them."""

import json
from pathlib import Path
from unittest import mock

import numpy as np

import fabula
from fabula.corpus.options import CleaningOptions, ReadingOptions
from fabula.corpus.store import open_corpus
from fabula.evaluation.evaluate import evaluate
from fabula.evaluation.models import Scorer
from fabula.evaluation.options import EvaluationOptions, TuningOptions
from fabula.evaluation.tune import tune
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import write_stories
from fabula.training.recipe import Recipe
from fabula.training.train import train

ANIMALS = ("fox", "gull", "otter", "crow")
RECIPE = Recipe(
    num_epochs=12,
    batch_tokens=256,
    context_length=64,
    learning_rate=3e-3,
    num_validations=2,
    precision="fp32",
)


def story(number: int) -> str:
    animal = ANIMALS[number % 4]
    return f"The {animal} walked {number} miles.\nThen the {animal} slept."


def test_a_story_costs_less_after_its_own_prompt(tmp_path: Path, tiny_gpt2_dir: Path):
    rows = [{"prompt": f"[WP] A {ANIMALS[k % 4]}", "text": story(k)} for k in range(80)]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    reading = ReadingOptions(prompt_column="prompt")
    fabula.clean(
        tmp_path / "a.jsonl",
        tmp_path / "corpus",
        CleaningOptions(copies="ignore", rules="none"),
        reading=reading,
    )
    kept = list(open_corpus(tmp_path / "corpus").stories())
    assert len(kept) == 80
    assert {story.prompt for story in kept} == {f"A {animal}" for animal in ANIMALS}
    result = train(tmp_path / "corpus", tmp_path / "model", base=tiny_gpt2_dir, recipe=RECIPE)

    scorer = Scorer.load(result.model)
    texts = [story(k) for k in range(8)]
    own = scorer.score_tokens(texts, [f"A {ANIMALS[k % 4]}" for k in range(8)])
    other = scorer.score_tokens(texts, [f"A {ANIMALS[(k + 1) % 4]}" for k in range(8)])
    none = scorer.score_tokens(texts)
    nats = [np.sum([each.nats[each.is_text].sum() for each in scored]) for scored in (own, other, none)]
    assert nats[0] < nats[2] < nats[1]

    written = fabula.load(result.model).write(story_prompt="A fox", max_new_tokens=20)
    assert "A fox" not in written.text
    assert written.settings.story_prompt == "A fox"

    prompts = {f"A {animal}" for animal in ANIMALS}
    with mock.patch("fabula.generation.write.write_stories", wraps=write_stories) as calls:
        tune(
            result.model,
            tmp_path / "corpus",
            out=tmp_path / "tuning",
            options=TuningOptions(num_settings=1, num_stories=2, max_new_tokens=8),
        )
    assert all(set(call.kwargs["story_prompts"]) <= prompts for call in calls.call_args_list)
    assert calls.call_count
    assert not SamplingSettings.of_model(result.model).story_prompt
    evaluate(
        [result.model],
        tmp_path / "corpus",
        out=tmp_path / "figures",
        options=EvaluationOptions(num_samples=2, max_new_tokens=8, num_others=0),
    )
    samples = [json.loads(line) for line in (tmp_path / "figures" / "samples.jsonl").open()]
    assert {sample["settings"]["story_prompt"] for sample in samples} <= prompts

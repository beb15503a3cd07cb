"""Results made by hand, for tests of verdict, report and publishing."""

from typing import Any

from fabula.evaluation.verdict import judge
from fabula.generation.settings import SamplingSettings
from fabula.results import (
    CorpusCounts,
    Estimate,
    Evaluation,
    EvaluationFigures,
    HeldOutSummary,
    LearningCurve,
    LearningCurvePoint,
    Likelihood,
    Memorisation,
    ModelEvaluation,
    Sample,
    TrainingCounts,
    TrainingSummary,
    UnusualStory,
    Writing,
    WritingMeasures,
)


def estimate(value: float, spread: float | None = 0.125) -> Estimate:
    """A figure whose interval extends by `spread` to either side; None for no interval."""
    if spread is None:
        return Estimate(value=value)
    return Estimate(value=value, low=value - spread, high=value + spread)


def writing(copied: float = 0.0, ended: float = 0.5, looping: float = 0.0, spread: float = 0.0) -> Writing:
    """Measures of stories that copy, end and loop this often."""
    return Writing(
        measures=WritingMeasures(
            num_stories=16,
            looping_share=estimate(looping, spread),
            repeated_4grams=estimate(0.02, 0.01),
            ended_share=estimate(ended, spread),
            mean_words=estimate(200.0, 20.0),
            num_words=3000,
            distinct_2=0.75,
            distinct_3=0.9,
            compression_ratio=2.5,
            zipf_slope=-0.9,
        ),
        memorisation=Memorisation(
            num_stories=16,
            copied_share=estimate(copied, spread),
            copying_share=estimate(copied, spread),
            mean_longest=estimate(20.0, 5.0),
            longest=61,
        ),
    )


def model(name: str, bits: float, **changes: Any) -> ModelEvaluation:
    """A model's evaluation with this number of bits per byte."""
    likelihood = Likelihood(
        bits_per_byte=estimate(bits),
        perplexity_per_token=estimate(40.5),
        perplexity_per_word=estimate(200.25),
        num_tokens=1000,
        num_bytes=4000,
        bits_per_byte_difference=None,
    )
    made = ModelEvaluation(
        name=name,
        num_parameters=124_000_000,
        context_length=1024,
        stride=512,
        likelihood=likelihood,
        notebook_loss=2.5,
        writing=writing(),
        bits_per_byte_of_own_stories=bits - 0.1,
        bits_per_byte_of_human_stories=bits,
    )
    return made.model_copy(update=changes)


def trained(name: str, bits: float, difference: Estimate, **changes: Any) -> ModelEvaluation:
    """The evaluation of a model that was trained, and compared with its base."""
    base = model(name, bits)
    likelihood = base.likelihood.model_copy(update={"bits_per_byte_difference": difference})
    training = TrainingSummary(num_steps=100, num_tokens=50_000, num_epochs=0.5, best_step=100, seconds=60.0)
    return base.model_copy(update={"likelihood": likelihood, "training": training, **changes})


def evaluation(*models: ModelEvaluation, **changes: Any) -> Evaluation:
    """An evaluation of these models; by default of a base and a model that is better by a bit per byte."""
    made = EvaluationFigures(
        fingerprint="e" * 16,
        held_out=HeldOutSummary(
            split="validation",
            num_stories=50,
            num_available=50,
            num_clusters=50,
            num_words=10_000,
            num_bytes=50_000,
            num_characters=50_000,
            is_english=True,
            famous_authors=[],
            num_recited=0,
        ),
        models=list(models) or [model("base", 2.5), trained("tuned", 1.5, estimate(-1.0))],
        human=writing(copied=0.001, ended=0.9),
        settings=SamplingSettings(),
        opening_words=12,
        versions={"fabula": "0.1.0"},
    ).model_copy(update=changes)
    return Evaluation(**dict(made), verdict=judge(made))


def learning_curve() -> LearningCurve:
    """A learning curve with one unusual training story."""
    points = [
        LearningCurvePoint(
            num_stories=number,
            num_words=100 * number,
            num_steps=50,
            num_tokens=10_000,
            best_step=50,
            bits_per_byte=estimate(bits),
            difference=estimate(bits - 1.5) if number < 40 else None,
        )
        for number, bits in ((10, 1.75), (20, 1.625), (40, 1.5))
    ]
    story = UnusualStory(
        id="a" * 32, source="s.txt", source_line=3, first_line="TEXT OF A TRAINING STORY", bits_per_byte=4.0, robust_z=9.5
    )  # fmt: skip
    return LearningCurve(
        fingerprint="c" * 16,
        num_held_out=50,
        points=points,
        doubling=estimate(0.125, 0.03125),
        conclusion="Twice as many stories would save about 0.125 bits per byte.",
        num_read=40,
        median_bits_per_byte=1.25,
        unusual=[story],
    )


def sample(**changes: Any) -> Sample:
    """A story that "tuned" wrote."""
    made = Sample(
        model="tuned",
        index=0,
        prompt="",
        text="A fox slept.",
        finish_reason="end",
        num_tokens=5,
        seed=42,
        settings=SamplingSettings(temperature=0.9),
        engine="transformers",
        longest=10,
        spans=[],
    )
    return made.model_copy(update=changes)


def corpus_counts(**changes: Any) -> CorpusCounts:
    """What a corpus of 80 training stories and 10 held-out ones counts."""
    made = CorpusCounts(
        num_read=93,
        num_kept=90,
        num_dropped={"near_copy": 3},
        num_removals=0,
        removals_by_rule={},
        words_by_rule={},
        words_removed=0,
        words_kept=27_653,
        repairs={},
        splits={"train": 80, "validation": 10},
        format="plain text",
        rule_set="general",
        rule_set_reason="named by you",
        shards={},
        content="c" * 16,
    )
    return made.model_copy(update=changes)


def training_counts(**changes: Any) -> TrainingCounts:
    """What a training of 1,234 steps counts."""
    made = TrainingCounts(
        num_steps=1234,
        num_tokens=56_789,
        num_parameters=12_345_678,
        num_trained=12_345_678,
        padding=0.0,
        best_step=1234,
        val_loss=3.0,
        bits_per_byte=1.5,
        base_val_loss=4.0,
        base_bits_per_byte=2.5,
    )
    return made.model_copy(update=changes)

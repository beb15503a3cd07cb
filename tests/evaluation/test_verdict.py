"""The verdict in situations made by hand: what it says, what it doubts, and what it advises."""

import pytest
from made_results import estimate, evaluation, model, trained, writing

from fabula.evaluation.verdict import describe_failure
from fabula.results import Estimate, Evaluation, Style, TrainingSummary, Verdict, Voice, Writing

LARGE = 124_000_000


def compared(before: float, after: float, low: float | None, high: float | None, **changes) -> Evaluation:
    """A base and a tuned model; `changes` are the tuned model's, or the evaluation's."""
    names = ("writing", "training", "num_parameters", "voice")
    own = {name: changes.pop(name) for name in names if name in changes}
    if "own_style" in changes:
        own["style"] = changes.pop("own_style")
    difference = Estimate(value=after - before, low=low, high=high)
    return evaluation(model("base", before), trained("tuned", after, difference, **own), **changes)


def training(num_steps: int, best_step: int, num_epochs: float = 0.5) -> TrainingSummary:
    return TrainingSummary(
        num_steps=num_steps, num_tokens=50_000, num_epochs=num_epochs, best_step=best_step, seconds=60.0
    )


def held_out(num_clusters: int):
    return evaluation().held_out.model_copy(update={"num_stories": 50, "num_clusters": num_clusters})


SITUATIONS = {
    "a clear gain": (
        compared(1.5, 1.2, -0.35, -0.25),
        ("better", "The model learned from the stories: it predicts the 50 held-out stories 20\u00a0% better than its base model (1.200 bits per byte instead of 1.500)."),
        [],
        "Train for longer",
    ),
    "a small gain that is certain": (
        compared(1.136, 1.08, -0.07, -0.04),
        ("better", "4.9\u00a0% better than its base model (1.080 bits per byte instead of 1.136)."),
        [],
        "Train for longer",
    ),
    "a gain that may be chance": (
        compared(2.0, 1.99, -0.6, 0.4),
        ("uncertain", "or the difference is chance"),
        [],
        "Train for longer",
    ),
    "one held-out story": (
        compared(2.0, 1.5, None, None, held_out=held_out(1)),
        ("uncertain", "or the difference is chance"),
        ["Only 1 story was held out"],
        "Add stories",
    ),
    "few held-out stories": (
        compared(2.0, 1.5, -0.6, -0.4, held_out=held_out(3)),
        ("better", "25\u00a0% better"),
        ["Only 3 stories were held out"],
        "Add stories",
    ),
    "few scored to save time": (
        compared(
            2.0, 1.5, -0.6, -0.4,
            held_out=held_out(6).model_copy(update={"num_stories": 6, "num_available": 36}),
        ),
        ("better", "25\u00a0% better"),
        ["Only 6 of 36 held-out stories were scored"],
        "Train for longer",
    ),
    "many copies of few held-out stories": (
        compared(2.0, 1.5, -0.6, -0.4, held_out=held_out(9)),
        ("better", "the 50 held-out stories"),
        ["Only 9 stories were held out that are not near-duplicates"],
        "Add stories",
    ),
    "a gain of unknown size": (
        compared(2.0, 1.9, -0.19, -0.01),
        ("better", "5.0\u00a0% better"),
        ["The size of the gain is uncertain: 0.010 to 0.190 bits per byte"],
        "Train for longer",
    ),
    "worse than before": (
        compared(1.4, 1.5, 0.05, 0.15),
        ("no better", "The model learned nothing that helps it predict the 50 held-out stories: 1.500 bits per byte instead of 1.400."),
        [],
        "Lower the learning_rate",
    ),
    "1.453 before, 1.453 after": (
        compared(1.453, 1.453, 0.0, 0.0),
        ("no better", "1.453 bits per byte instead of 1.453"),
        [],
        "Lower the learning_rate",
    ),
    "no step": (
        compared(1.453, 1.453, 0.0, 0.0, training=training(0, 0)),
        ("untrained", "Nothing was trained"),
        [],
        "Give it more time",
    ),
    "a single step": (
        compared(1.453, 1.453, 0.0, 0.0, training=training(1, 0), held_out=held_out(8)),
        ("unchanged", "Training did not help: in 1 step the model"),
        ["Only 8 stories were held out"],
        "Give it more time (--max-minutes), because 1 step can hardly change a model.",
    ),
    "no step that helped": (
        compared(1.453, 1.453, 0.0, 0.0, training=training(1234, 0)),
        ("unchanged", "Training did not help: in 1,234 steps"),
        [],
        "Lower the learning_rate",
    ),
    "one model alone": (
        evaluation(model("mine", 1.25)),
        ("not compared", "mine predicts the 50 held-out stories at 1.250 bits per byte."),
        [],
        None,
    ),
    "two models that were not trained here": (
        evaluation(model("a", 1.3), trained("b", 1.2, estimate(-0.1, 0.02), training=None)),
        ("better", "b learned from the stories: it predicts the 50 held-out stories"),
        [],
        None,
    ),
    "templated stories": (
        compared(1.7, 0.119, -1.7, -1.5, human=writing(copied=0.89), writing=writing(copied=0.89)),
        ("better", "93\u00a0% better"),
        ["The figures measure memorisation: 89\u00a0% of the held-out text"],
        "Remove text that the stories share",
    ),
    "a figure too good to be true": (
        compared(1.7, 0.3, -1.5, -1.3, human=None, writing=None),
        ("better", "82\u00a0% better"),
        ["0.300 bits per byte is too good for new prose"],
        "Remove text that the stories share",
    ),
    "a model that recites": (
        compared(1.5, 1.2, -0.35, -0.25, writing=writing(copied=0.3, spread=0.1)),
        ("better", "20\u00a0% better"),
        [],
        "Add stories or train for fewer epochs",
    ),
    "a small base": (
        compared(1.5, 1.2, -0.35, -0.25, num_parameters=2_700_000),
        ("better", "20\u00a0% better"),
        [],
        "Start from a larger base model (--base), because 2.7 million parameters",
    ),
    "famous stories": (
        compared(
            1.05,
            1.0,
            -0.07,
            -0.04,
            held_out=evaluation().held_out.model_copy(update={"famous_authors": ["O. Henry"]}),
        ),
        ("better", "4.8\u00a0% better"),
        ["The base model has probably read these stories, which are in the public domain (O. Henry)"],
        "Train for longer",
    ),
    "stories that the base model recites": (
        compared(
            1.05, 1.0, -0.07, -0.04, held_out=evaluation().held_out.model_copy(update={"num_recited": 4})
        ),
        ("better", "4.8\u00a0% better"),
        ["The base model has read some of these stories: it recites passages of 4 of 50. Stories that"],
        "Train for longer",
    ),
    "a proverb that the base model knows": (
        compared(
            1.05, 1.0, -0.07, -0.04, held_out=evaluation().held_out.model_copy(update={"num_recited": 2})
        ),
        ("better", "4.8\u00a0% better"),
        [],
        "Train for longer",
    ),
    "another language": (
        compared(
            2.6, 1.9, -0.8, -0.6, held_out=evaluation().held_out.model_copy(update={"is_english": False})
        ),
        ("better", "27\u00a0% better"),
        ["The base model hardly knows the language of these stories (2.60 bits per character)"],
        "Start from a base model that was trained on the language",
    ),
    "another language that the base model knows": (
        compared(
            1.2, 1.1, -0.13, -0.07, held_out=evaluation().held_out.model_copy(update={"is_english": False})
        ),
        ("better", "8.3\u00a0% better"),
        [],
        "Train for longer",
    ),
    "another script, two bytes a character": (
        compared(
            1.2,
            0.9,
            -0.35,
            -0.25,
            held_out=evaluation().held_out.model_copy(update={"is_english": False, "num_characters": 25_000}),
        ),
        ("better", "25\u00a0% better"),
        ["The base model hardly knows the language of these stories (2.40 bits per character)"],
        "Start from a base model that was trained on the language",
    ),
    "all stories were used": (
        compared(1.5, 1.2, -0.35, -0.25, training=training(100, 100, num_epochs=1.0)),
        ("better", "20\u00a0% better"),
        [],
        "Add stories, because training has read all of them",
    ),
    "overfitting": (
        compared(1.5, 1.2, -0.35, -0.25, training=training(1000, 400)),
        ("better", "20\u00a0% better"),
        [],
        "Add stories, because the held-out stories were predicted best before",
    ),
}  # fmt: skip


NO_EVIDENCE = {
    "a gain that may be chance",
    "one held-out story",
    "few held-out stories",
    "worse than before",
    "1.453 before, 1.453 after",
    "no step",
    "a single step",
    "no step that helped",
    "templated stories",
    "a figure too good to be true",
}


@pytest.mark.parametrize("name", SITUATIONS)
def test_situations(name: str):
    result, (outcome, headline), doubts, advice = SITUATIONS[name]
    verdict = result.verdict
    assert verdict.outcome == outcome
    assert verdict.is_evidence == (name not in NO_EVIDENCE)
    assert headline in verdict.headline
    assert len(verdict.doubts) == len(doubts)
    for found, begins in zip(verdict.doubts, doubts, strict=True):
        assert found.startswith(begins)
    assert (verdict.advice or "").startswith(advice or "")
    assert (verdict.advice is None) == (advice is None)
    assert all(sentence.endswith(".") for sentence in verdict.sentences)


@pytest.mark.parametrize(
    ("copied", "spread", "people", "words"),
    [
        (0.0, 0.0, 0.0, "no more than people do"),
        (0.015, 0.0, 0.0, "no more than people do"),
        (0.12, 0.1, 0.05, "no more than people do"),  # people repeat phrases as often
        (0.3, 0.29, 0.0, "no more than people do"),  # one story of many, perhaps
        (0.3, 0.1, 0.001, "it repeats training stories word for word (30.0\u00a0% of its text"),
    ],
)
def test_copying_is_judged_beside_people(copied: float, spread: float, people: float, words: str):
    verdict = compared(
        1.5, 1.2, -0.4, -0.2, writing=writing(copied, spread=spread), human=writing(people)
    ).verdict
    [said] = [each for each in [*verdict.learned, *verdict.not_learned] if each.startswith("Own words")]
    assert words in said
    assert (said in verdict.learned) == ("no more than" in said)


def verdict_on(own: Writing | None, people: Writing | None) -> Verdict:
    """The verdict on a model that is better than its base and writes so."""
    return compared(1.5, 1.2, -0.4, -0.2, writing=own, human=people).verdict


def test_what_it_writes_is_told_beside_people():
    stuck = verdict_on(writing(ended=0.25, looping=0.5, spread=0.1), writing(ended=0.9))
    assert len(stuck.learned) == 1
    assert stuck.not_learned == [
        "Endings: fewer of its stories come to an end than of people's (25\u00a0% end within the length allowed, 90\u00a0% of people's).",
        "Loops: 50\u00a0% of its stories get stuck and repeat themselves.",
    ]
    good = verdict_on(writing(ended=0.85, spread=0.1), writing(ended=0.9))
    assert good.not_learned == []
    assert good.learned[0].startswith("Endings: its stories end as often as people's")
    by_chance = verdict_on(writing(ended=0.8, spread=0.1), writing(ended=1.0, spread=0.2))
    assert by_chance.not_learned == []
    silent = verdict_on(None, None)
    assert (silent.learned, silent.not_learned) == ([], [])


def voice(told: float, spread: float | None, difference: float) -> Voice:
    return Voice(
        num_passages=10,
        num_others=48,
        gain=estimate(0.2),
        gain_on_others=estimate(0.2 - difference),
        difference=estimate(difference),
        told_apart=estimate(told, spread),
    )


@pytest.mark.parametrize(
    ("found", "learned", "words"),
    [
        (
            voice(0.94, 0.05, 0.15),
            True,
            "Voice: training helped it more with this author's story than with another's in 94",
        ),
        (voice(0.51, 0.1, 0.01), False, "Voice: it did not learn this author in particular"),
        (voice(0.2, 0.1, -0.1), False, "Voice: it did not learn this author in particular"),
    ],
)
def test_the_voice_is_told(found: Voice, learned: bool, words: str):
    verdict = compared(1.5, 1.2, -0.4, -0.2, voice=found).verdict
    said = [each for each in (verdict.learned if learned else verdict.not_learned) if each.startswith(words)]
    assert len(said) == 1


def test_one_story_tells_no_voice():
    verdict = compared(1.5, 1.2, None, None, voice=voice(1.0, None, 0.15), held_out=held_out(1)).verdict
    assert not any(each.startswith("Voice") for _, each in told(verdict))


@pytest.mark.parametrize(
    ("own", "author", "others", "learned"),
    [(0.8, 0.9, 0.1, True), (0.3, 0.9, 0.1, False), (0.3, 0.6, 0.4, None), (0.95, 0.9, 0.1, True)],
)
def test_the_style_is_told_where_it_can_be(own: float, author: float, others: float, learned: bool | None):
    style = Style(author=estimate(author, 0.05), others=estimate(others, 0.05))
    verdict = compared(1.5, 1.2, -0.4, -0.2, style=style, own_style=estimate(own, 0.1)).verdict
    said = [learned for learned, each in told(verdict) if each.startswith("Style")]
    assert said == ([] if learned is None else [learned])


@pytest.mark.parametrize(
    ("own", "people", "learned"),
    [(0.04, 0.035, [True]), (0.08, 0.035, [False]), (0.009, 0.0, [True]), (0.012, 0.0, []), (None, 0.0, [])],
)
def test_the_vocabulary_is_told_beside_people(own: float | None, people: float, learned: list[bool]):
    def with_non_words(share: float | None) -> Writing:
        found = writing()
        return found.model_copy(update={"measures": found.measures.model_copy(update={"non_words": share})})

    verdict = verdict_on(with_non_words(own), with_non_words(people))
    assert [is_so for is_so, each in told(verdict) if each.startswith("Vocabulary")] == learned


def test_few_stories_show_faults_only():
    def two_stories(**how: float) -> Writing:
        found = writing(**how)
        return found.model_copy(update={"measures": found.measures.model_copy(update={"num_stories": 2})})

    good = verdict_on(two_stories(ended=0.9), writing(ended=0.9))
    assert told(good) == []
    assert good.doubts == ["The model wrote only 2 stories, which is too few to say how it writes."]
    [(learned, sentence)] = told(verdict_on(two_stories(ended=0.9, copied=0.8), writing(ended=0.9)))
    assert not learned
    assert sentence.startswith("Own words: it repeats training stories")


def test_nothing_is_told_of_a_copy_of_the_base():
    assert told(compared(1.5, 1.5, 0.0, 0.0, training=training(20, 0)).verdict) == []


def test_a_short_training_that_read_all_stories_does_not_need_more_time():
    verdict = compared(1.5, 1.5, 0.0, 0.0, training=training(5, 0, num_epochs=5.0)).verdict
    assert (
        verdict.advice
        == "Lower the learning_rate in the recipe or add stories, because this training makes the model worse."
    )


def told(verdict: Verdict) -> list[tuple[bool, str]]:
    return [(True, each) for each in verdict.learned] + [(False, each) for each in verdict.not_learned]


def test_stories_that_are_cut_say_nothing_of_endings():
    verdict = verdict_on(writing(ended=0.0), writing(ended=0.1))
    assert not any(each.startswith("Endings") for _, each in told(verdict))


def test_a_training_that_did_something_is_no_failure():
    assert describe_failure(100, 50) is None

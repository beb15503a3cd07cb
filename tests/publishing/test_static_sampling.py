"""The static site draws tokens as fabula does: the same logits, settings and random numbers give the same."""

import json
import random
import re
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import fabula.publishing
from fabula.generation.draft import Draft
from fabula.generation.engine import Batch, Engine, TextSide
from fabula.generation.sampling import token_weights
from fabula.generation.settings import SamplingSettings
from fabula.generation.word_bias import WordBias
from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer

pytestmark = pytest.mark.skipif(shutil.which("node") is None, reason="needs node")

SITE = Path(fabula.publishing.__file__).parent / "static_site"
TEXTS = ["the cat and the dog ate the fish. “A café!” said the cat.\nThe end: nothing.\n"] * 4


def in_node(script: str, given: Any) -> Any:
    """What `script` returns for `given`; it may use all that the site's modules export."""
    code = (
        f"import * as sampling from {json.dumps((SITE / 'sampling.js').as_uri())};"
        f"import * as vocabularies from {json.dumps((SITE / 'vocabulary.js').as_uri())};"
        f"import * as passages from {json.dumps((SITE / 'passage.js').as_uri())};"
        "const { candidates } = sampling, { Vocabulary, WordBias } = vocabularies, { Passage, reading } = passages;"
        "let text = ''; for await (const part of process.stdin) text += part;"
        f"const run = (given) => {{ {script} }};"
        "console.log(JSON.stringify(run(JSON.parse(text))));"
    )
    done = subprocess.run(
        ["node", "--experimental-default-type=module", "--input-type=module", "-e", code],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def is_text(data: bytes) -> bool:
    try:
        return data == b"\n" or data.decode().isprintable()
    except UnicodeDecodeError:
        return False


class TableEngine(Engine):
    """An engine whose logits depend only on the last token."""

    name = "table"

    def __init__(self, folder: Path, context_length: int = 512) -> None:
        tokenizer = train_tokenizer(TEXTS, 320, context_length=64)
        end = end_of_text_id(tokenizer)
        backend: Any = tokenizer.backend_tokenizer
        text = backend.to_str()
        super().__init__(
            folder, TextSide(tokenizer=text, context_length=context_length, start_id=end, end_id=end)
        )
        self.tokenizer_json = json.loads(text)
        size = len(self.vocabulary.token_bytes)
        self.table = (np.random.default_rng(0).standard_normal((size, size)) * 2).astype(np.float32)
        parts = [each for each, text in enumerate(self.vocabulary.token_bytes) if not is_text(text)]
        self.table[:, [end, *parts]] = -4  # unlikely: a story's end, parts of a character, control characters
        self.windows: list[list[int]] = []

    def read(self, windows: Sequence[Sequence[int]]) -> Batch:
        self.windows += [list(window) for window in windows]
        return TableBatch(self.table, [window[-1] for window in windows])


class TableBatch(Batch):
    def __init__(self, table: np.ndarray, last: list[int]) -> None:
        self._table, self.logits_BV = table, table[last]

    def step(self, rows: Sequence[int], input_ids: Sequence[int]) -> None:
        self.logits_BV = self._table[list(input_ids)]


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> TableEngine:
    return TableEngine(tmp_path_factory.mktemp("table"))


def test_the_same_tokens_with_the_same_probabilities():
    generator = np.random.default_rng(0)
    cases = []
    for number in range(240):
        logits = (generator.standard_normal(200) * 3).astype(np.float32)
        settings = {
            "temperature": [0, 0.5, 1, 1.7][number % 4],
            "top_k": [0, 1, 7, 40, 500][number % 5],
            "top_p": [1, 0.95, 0.5, 0.05][number // 4 % 4],
            "min_p": [0, 0.02, 0.3][number % 3],
            "repetition_penalty": [1, 1.3][number % 2],
            "top_n_sigma": [0, 0, 1, 2.5][number // 16 % 4],
            "xtc_threshold": [0.1, 0.02][number // 3 % 2],
            "dry_multiplier": [0, 0.8, 3][number // 5 % 3],
            "dry_base": [1.75, 1.1][number // 7 % 2],
            "dry_allowed_length": [2, 1, 3][number // 9 % 3],
        }
        used = generator.integers(0, 6, 40).tolist()
        cases.append([logits.tolist(), settings, used, [0, 1, 4][: number % 3], number % 2 == 0])
    found = in_node(
        "return given.map(([logits, settings, used, breakers, withoutLikeliest]) =>"
        " candidates(logits, settings, used, { breakers: new Set(breakers), withoutLikeliest }));",
        cases,
    )
    for (logits, settings, used, breakers, without), each in zip(cases, found, strict=True):
        weights_V = token_weights(
            np.array(logits, dtype=np.float32),
            SamplingSettings.parse(settings),
            np.array(used),
            breakers=set(breakers),
            without_likeliest=without,
        )
        ids = np.flatnonzero(weights_V)
        assert each["ids"] == ids.tolist(), settings
        weights = np.array(each["weights"])
        expected = weights_V[ids] / weights_V.sum(dtype=np.float64)
        np.testing.assert_allclose(weights / weights.sum(), expected, rtol=1e-4)


def test_the_same_spelling_and_the_same_bias_of_words(engine: TableEngine):
    bias = {"cat": 2.0, "fish": -1.5, "café": 1.0}
    befores = ["", "the ", "the c", "the ca", "the cat", "a caf", "The C", "no fi", "3 fish", "fish"]
    logits_V = engine.table[0]
    spelled, biased = in_node(
        "const vocabulary = new Vocabulary(given.tokenizer), bias = new WordBias(vocabulary, given.bias);"
        "const add = (before) => { const logits = Float32Array.from(given.logits); bias.add(logits, before); return [...logits]; };"
        "return [vocabulary.bytes, given.befores.map(add)];",
        {
            "tokenizer": engine.tokenizer_json,
            "bias": bias,
            "logits": logits_V.tolist(),
            "befores": befores,
        },
    )
    assert [each.encode("latin-1") for each in spelled] == engine.vocabulary.token_bytes
    python = WordBias(engine.vocabulary, bias)
    for before, found in zip(befores, biased, strict=True):
        expected = logits_V.copy()
        python.add(expected, before)
        np.testing.assert_allclose(found, expected, atol=1e-5)


def written(engine: TableEngine, prompt: str, settings: SamplingSettings) -> str:
    draft = Draft(engine, 0, prompt, settings, 0)
    while draft.finish_reason is None:
        draft.draw(engine.read([draft.window()]).logits_BV[0], None)
    return draft.text


def test_the_same_text_without_banned_phrases(engine: TableEngine):
    """At temperature 0 nothing is left to chance, so whole passages agree."""
    chooser = random.Random(0)
    cases, expected = [], []
    for number in range(24):
        prompt = chooser.choice(["the cat", "the", "A", "the end: n"])
        changes: dict[str, Any] = {
            "temperature": 0.0,
            "max_new_tokens": 30,
            "whole_sentences": number % 2 == 0,
            "token_healing": False,
            "dry_multiplier": 0.8 * (number % 2),
            "repetition_penalty": 1.0 + 0.2 * (number % 3),
            "word_bias": {"cat": 3.0} if number % 4 == 3 else {},
        }
        settings = SamplingSettings(**changes)
        for _ in range(3):
            text = written(engine, prompt, settings)
            words = re.findall(r"[A-Za-z]+", text)
            changes["banned_phrases"] = [*changes.get("banned_phrases", []), *words[1:3]]
            settings = SamplingSettings(**changes)
        expected.append(written(engine, prompt, settings))
        ids = [engine.start_id, *engine.encode(prompt)]
        cases.append({"prompt": prompt, "ids": ids, "settings": settings.model_dump()})
    found = in_node(
        """
        const vocabulary = new Vocabulary(given.tokenizer);
        return given.cases.map(({ prompt, ids, settings }) => {
          const passage = new Passage({ text: prompt, ids, vocabulary, settings, endIds: [given.end], random: Math.random });
          let text = "";
          while (passage.reason === null) text += passage.draw(given.table[[...ids, ...passage.ids].at(-1)]);
          return text;
        });
        """,
        {
            "tokenizer": engine.tokenizer_json,
            "cases": cases,
            "end": engine.start_id,
            "table": engine.table.tolist(),
        },
    )
    assert found == expected
    assert any(case["settings"]["banned_phrases"] for case in cases)


@pytest.mark.parametrize("context_length", [512, 128])
def test_the_model_reads_the_same(tmp_path: Path, context_length: int):
    engine = TableEngine(tmp_path, context_length)
    story = TEXTS[0] * 12
    for text in (story[:40], story[:900], story):
        for notes in ({}, {"note": "the fish"}, {"memory": "A cat.", "note": "the dog"}):
            settings = SamplingSettings(max_new_tokens=16, token_healing=False).with_changes(**notes)
            window = Draft(engine, 0, text, settings, 0).window()
            found = in_node(
                "const encode = (text) => given.encoded[text];"
                "return reading({ ...given, numTokens: 16 },"
                " { encode, vocabulary: new Vocabulary(given.tokenizer), engine: given.engine });",
                {
                    "text": text,
                    **notes,
                    "encoded": {
                        each: engine.encode(each)
                        for each in (text, "[the fish]\n", "A cat.\n\n", "[the dog]\n")
                    },
                    "tokenizer": engine.tokenizer_json,
                    "engine": {"start_id": engine.start_id, "context_length": context_length},
                },
            )
            is_whole = window[0] == engine.start_id
            assert found == window or not is_whole  # a window that moved on may be cut at another token
            assert len(found) <= context_length
            if notes:
                hint = engine.encode(f"[{notes['note']}]\n")
                assert any(found[place : place + len(hint)] == hint for place in range(len(found)))

"""Measures evaluation: speed and agreement of bits per byte, time and memory of the search for copies.

    python benchmarks/evaluation.py score MODEL STORIES.txt --script heldout_bpb.py   against the plain script, paired
    python benchmarks/evaluation.py copies STORIES.jsonl [...]                          20 MB of training text, 1,000 stories
    python benchmarks/evaluation.py harness MODEL STORIES.txt                           against lm-evaluation-harness

`harness` needs the package lm-eval in the environment that runs it; fabula itself does not use it.
"""

import argparse
import importlib.util
import json
import math
import random
import resource
import statistics
import time
from pathlib import Path
from types import ModuleType
from typing import Any


def read_stories(path: Path, limit: int | None) -> list[str]:
    """Stories of a file in the notebook's format, a newline between paragraphs."""
    from fabula.corpus.read import open_stories

    texts = []
    for story in open_stories(path):
        lines = [line.strip() for line in story.text.split("\n")]
        texts.append("\n".join(line for line in lines if line))
        if limit is not None and len(texts) == limit:
            break
    return texts


def load(model: Path) -> tuple[Any, Any]:
    from fabula.models.load import load_model
    from fabula.tokens.tokenizer import load_tokenizer

    return load_model(model), load_tokenizer(model)


def import_file(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def score(model_folder: Path, stories: Path, script: Path, limit: int | None, rounds: int) -> None:
    """Score the same stories by turns with the script's loop and with fabula's, in one process, each on a model loaded
    as it loads one; then with fabula's alone once more, with the allocator set as `evaluate` sets it, which lasts for
    the process."""
    from transformers import AutoModelForCausalLM

    from fabula.evaluation.likelihood import TextScores, score_texts, sum_scores
    from fabula.models.load import fuse_activations
    from fabula.models.memory import keep_freed_memory
    from fabula.models.scoring import default_context_length
    from fabula.models.story_format import find_story_format

    plain = import_file(script)
    plain_model = AutoModelForCausalLM.from_pretrained(model_folder).float().eval()
    model, tokenizer = load(model_folder)
    fuse_activations(model)
    story_format = find_story_format(model_folder, tokenizer, model)
    texts = read_stories(stories, limit)
    context = default_context_length(model)
    seconds: dict[str, list[tuple[float, float]]] = {"script": [], "fabula": [], "fabula, allocator kept": []}

    def run_script() -> list[tuple[float, int]]:
        began = time.perf_counter(), time.process_time()
        found = [
            plain.story_bits(plain_model, tokenizer, text.split("\n"), "newline", context, context // 2)
            for text in texts
        ]
        seconds["script"].append((time.perf_counter() - began[0], time.process_time() - began[1]))
        return found

    def run_fabula(name: str) -> TextScores:
        began = time.perf_counter(), time.process_time()
        found = sum_scores(score_texts(model, tokenizer, texts, story_format))
        seconds[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
        return found

    scored, scores = run_script(), run_fabula("fabula")
    for _ in range(rounds - 1):
        run_script()
        run_fabula("fabula")
    keep_freed_memory()
    for _ in range(rounds):
        run_fabula("fabula, allocator kept")
    print(
        f"{len(texts)} stories, {int(scores.num_tokens.sum()):,} tokens, windows of {context}, stride {context // 2}"
    )
    for name, times in seconds.items():
        wall, cpu = (statistics.median(column) for column in zip(*times, strict=True))
        rate = scores.num_tokens.sum() / wall
        print(f"{name:24} {wall:7.2f} s  {cpu:7.2f} s of CPU  {rate:9,.0f} tokens/s")
    bits = sum(bits for bits, _ in scored)
    ours = scores.nats.sum() / math.log(2)
    print(f"bits: script {bits:.4f}, fabula {ours:.4f}, {abs(ours / bits - 1):.1e} apart")
    script_bytes = sum(num_bytes for _, num_bytes in scored)
    print(f"bytes: script {script_bytes:,}, fabula {int(scores.num_bytes.sum()):,}")
    print(f"bits per byte: script {bits / script_bytes:.6f}, fabula {scores.bits_per_byte:.6f}")


def copies(sources: list[Path], num_texts: int, training_bytes: int) -> None:
    """Search 1,000 texts, a third of them pieced together from training stories, in 20 MB of training text."""
    from fabula.evaluation.memorisation import find_copied_passages
    from fabula.story import Story

    texts = [json.loads(line)["text"] for path in sources for line in path.open(encoding="utf-8")]
    random.Random(0).shuffle(texts)
    training, held_out, size = [], [], 0
    for number, text in enumerate(texts):
        if number % 10 == 0:
            held_out.append(text)
        elif size < training_bytes:
            training.append(Story(str(number), text, "stories", number))
            size += len(text.encode())
    draw = random.Random(1)
    searched = []
    for number in range(num_texts):
        text = draw.choice(held_out)
        start = draw.randrange(max(1, len(text) - 1000))
        text = text[start : start + 1000]
        if number % 3 == 0:
            source = draw.choice(training).text
            start = draw.randrange(max(1, len(source) - 200))
            text = text[:400] + source[start : start + 200] + text[600:]
        searched.append(text)
    began = time.perf_counter()
    found = find_copied_passages(searched, lambda: iter(training))
    seconds = time.perf_counter() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    planted = [copy for number, copy in enumerate(found) if number % 3 == 0]
    print(
        f"{size / 1e6:.1f} MB of training text, {num_texts} stories of {sum(map(len, searched)):,} characters"
    )
    print(f"{seconds:.1f} s, peak {peak:.2f} GB (this process, the texts included)")
    print(f"planted passages found: {sum(bool(copy.spans) for copy in planted)} of {len(planted)}")
    small = find_copied_passages(searched, lambda: iter(training), block_bytes=2 << 20)
    print(f"the same in blocks of 2 MB: {[c.longest for c in small] == [c.longest for c in found]}")


def harness(model_folder: Path, stories: Path, limit: int | None) -> None:
    """Sum of log-likelihoods beside lm-evaluation-harness's rolling one. Its windows do not overlap, so the two must
    agree on stories that fit one window, and the harness must be worse on longer ones."""
    import numpy as np
    from lm_eval.api.instance import Instance  # pyright: ignore[reportMissingImports]
    from lm_eval.models.huggingface import HFLM  # pyright: ignore[reportMissingImports]

    from fabula.models.scoring import default_context_length, score_tokens
    from fabula.models.story_format import find_story_format
    from fabula.tokens.tokenizer import encode

    model, tokenizer = load(model_folder)
    context = default_context_length(model)
    texts = read_stories(stories, limit)
    ids = encode(tokenizer, texts)
    story_format = find_story_format(model_folder, tokenizer, model)
    ours = score_tokens(
        model, [np.concatenate([[story_format.start_id], each]) for each in ids], story_format
    )
    theirs = HFLM(pretrained=model, tokenizer=tokenizer, batch_size=1).loglikelihood_rolling(
        [Instance("loglikelihood_rolling", {}, (text,), 0) for text in texts]
    )
    for name, fits in (("in one window", True), ("longer", False)):
        chosen = [i for i, each in enumerate(ids) if (len(each) <= context - 1) == fits]
        mine = sum(float(ours[i].sum()) for i in chosen)
        other = -sum(theirs[i] for i in chosen)
        if chosen:
            print(
                f"{len(chosen)} stories {name}: fabula {mine:.4f} nats, lm-eval {other:.4f}, ratio {other / mine:.6f}"
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name in ("score", "harness"):
        command = commands.add_parser(name)
        command.add_argument("model", type=Path)
        command.add_argument("stories", type=Path)
        command.add_argument("--limit", type=int)
    commands.choices["score"].add_argument("--script", type=Path, required=True)
    commands.choices["score"].add_argument("--rounds", type=int, default=3)
    command = commands.add_parser("copies")
    command.add_argument("stories", type=Path, nargs="+")
    command.add_argument("--num-texts", type=int, default=1000)
    command.add_argument("--megabytes", type=float, default=20)
    arguments = parser.parse_args()
    if arguments.command == "score":
        score(arguments.model, arguments.stories, arguments.script, arguments.limit, arguments.rounds)
    elif arguments.command == "copies":
        copies(arguments.stories, arguments.num_texts, round(arguments.megabytes * 1e6))
    else:
        harness(arguments.model, arguments.stories, arguments.limit)


if __name__ == "__main__":
    main()

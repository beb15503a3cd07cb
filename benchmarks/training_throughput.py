"""Training speed at GPT-2's real size (124 M, random weights) beside the notebook's script, in one run.

    python benchmarks/training_throughput.py --shared ../shared [--rounds 3] [--steps 2] [--preload LIBRARY]

Both train on the same stories, taking turns for `--rounds` rounds; figures are medians, and ratios are medians of the
ratios within a round. Counted are real tokens: of a story, not padding. Time spent on validation and checkpoints is left
out for both. The share of the machine's peak is 6 x parameters x tokens/s over a product of two 4096 x 4096 float32
matrices, measured before each round. With a GPU, both use it (the notebook's script in fp16, as the notebook does; fabula in bf16).
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

os.environ["HF_HUB_OFFLINE"] = "1"

CONTEXT = 512


def make_base(folder: Path, stories: Path) -> Path:
    """GPT-2's shape with random weights, and a tokenizer of its vocabulary's size (part of it never used)."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer

    tokenizer = train_tokenizer(stories.read_text("utf-8").splitlines(), 50257, context_length=1024)
    end = end_of_text_id(tokenizer)
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(bos_token_id=end, eos_token_id=end)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def sgemm_gflops() -> float:
    """Best of five products of two 4096 x 4096 float32 matrices."""
    import torch

    device = "cuda" if torch.cuda.is_available() else "cpu"
    a, b = torch.randn(4096, 4096, device=device), torch.randn(4096, 4096, device=device)
    times = []
    for _ in range(5):
        began = time.perf_counter()
        (a @ b).sum().item()
        times.append(time.perf_counter() - began)
    return 2 * 4096**3 / min(times) / 1e9


def run(command: list[str], environment: dict[str, str]) -> tuple[str, float]:
    """Standard output of a command, and its peak memory in GB."""
    process = subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    return output, usage.ru_maxrss / 1e6


def real_share(base: Path, stories: Path) -> float:
    """Fraction of the notebook's 512 positions a story that hold text."""
    from fabula.tokens.tokenizer import encode, load_tokenizer

    lines = stories.read_text("utf-8").rstrip("\n").split("\n")
    lengths = [min(CONTEXT, len(ids)) for ids in encode(load_tokenizer(base), lines)]
    return statistics.mean(lengths) / CONTEXT


def notebook(base: Path, stories: Path, out: Path, steps: int, script: Path) -> tuple[float, float]:
    command = [sys.executable, str(script), str(base), str(stories), str(out)]
    output, memory = run([*command, "--no-clean", "--max-steps", str(steps), "--epochs", "1000"], {})
    result = json.loads(output.strip().splitlines()[-1])
    positions = 8 * CONTEXT * result["steps"]
    return positions * real_share(base, stories) / result["train_seconds"], memory


def fabula(
    base: Path, corpus: Path, out: Path, steps: int, frozen: bool, preload: str
) -> tuple[float, float]:
    recipe = out.with_suffix(".toml")
    epochs = (steps - 0.5) / -(-num_windows(base, corpus) // 8)
    recipe.write_text(
        f"batch_tokens = {8 * CONTEXT}\nnum_epochs = {epochs}\nnum_validations = 1\nvalidation_share = 0.001\n"
        f"context_length = {CONTEXT}\nfreeze = {0.67 if frozen else 0}\nlora_rank = 0\n"
    )
    command = [sys.executable, "-m", "fabula", "train", str(corpus), "--base", str(base), "--out", str(out)]
    command += ["--recipe", str(recipe), "--quiet"]
    _, memory = run(command, {"LD_PRELOAD": preload} if preload else {})
    rows = [json.loads(line) for line in (out / "log.jsonl").open()]
    rates = [row["tokens_per_second"] for row in rows if "train_loss" in row]
    return len(rates) / sum(1 / rate for rate in rates), memory


def num_windows(base: Path, corpus: Path) -> int:
    from fabula.corpus.store import open_corpus
    from fabula.models.story_format import find_story_format
    from fabula.progress import silent
    from fabula.tokens.tokenizer import load_tokenizer
    from fabula.tokens.windows import Windows
    from fabula.training.data import training_tokens

    tokenizer = load_tokenizer(base)
    stories = training_tokens(
        open_corpus(corpus), tokenizer, find_story_format(base, tokenizer), "newline", silent
    )
    return len(Windows(stories, CONTEXT, left_context=32))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / "shared")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument(
        "--preload", default="", help="a malloc library for fabula, to compare with its own setting"
    )
    parser.add_argument("--no-notebook", action="store_true", help="leave the notebook's script out")
    parser.add_argument(
        "--frozen", action="store_true", help="also measure with two thirds of the layers frozen"
    )
    arguments = parser.parse_args()
    stories = arguments.shared / "data" / "bench" / "writing_prompts_96.txt"
    script = arguments.shared / "baselines" / "seed_notebook.py"
    figures: dict[str, list[tuple[float, float]]] = {}
    peaks = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        os.environ["FABULA_CACHE"] = str(folder / "cache")
        base = make_base(folder / "base", stories)
        run(
            [
                sys.executable,
                "-m",
                "fabula",
                "clean",
                str(stories),
                "--out",
                str(folder / "corpus"),
                "--quiet",
            ],
            {},
        )
        for number in range(arguments.rounds):
            peaks.append(sgemm_gflops())
            out = folder / "out"
            if not arguments.no_notebook:
                figures.setdefault("notebook", []).append(
                    notebook(base, stories, out, arguments.steps, script)
                )
                shutil.rmtree(out)
            for name in ["fabula", *(["fabula, frozen"] if arguments.frozen else [])]:
                figures.setdefault(name, []).append(
                    fabula(base, folder / "corpus", out, arguments.steps, name != "fabula", arguments.preload)
                )
                shutil.rmtree(out)
            print(f"round {number + 1}:", {name: rows[-1] for name, rows in figures.items()}, file=sys.stderr)
    peak = statistics.median(peaks)
    print(f"sgemm 4096^3: {peak:.0f} GFLOP/s; load average {os.getloadavg()[0]:.1f}")
    print("| | tokens/s | times the notebook | GFLOP/s | of sgemm | peak memory |")
    print("|---|---|---|---|---|---|")
    for name, rows in figures.items():
        speed = statistics.median(rate for rate, _ in rows)
        against = [
            rate / other for (rate, _), (other, _) in zip(rows, figures.get("notebook", rows), strict=True)
        ]
        gflops = 6 * 124.4e6 * speed / 1e9
        memory = max(size for _, size in rows)
        print(
            f"| {name} | {speed:.0f} | {statistics.median(against):.2f} | {gflops:.0f} | {gflops / peak:.0%} |"
            f" {memory:.1f} GB |"
        )


if __name__ == "__main__":
    main()

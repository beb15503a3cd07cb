"""What `fabula doctor` predicts beside what then happens, for three trainings: time, memory and disk.

    python benchmarks/doctor.py --shared ../shared [--scale 1] [--cases tiny small gpt2]

tiny:  2 M parameters, the sample stories, the default recipe
small: 25 M parameters, O. Henry's stories, a tenth of an epoch
gpt2:  124 M parameters, 96 stories of r/WritingPrompts, half an epoch
All bases have random weights. `--scale` makes all trainings shorter (0.1: a tenth of the steps). About eight minutes on two
cores at scale 1. Each prediction and each training has a process of its own; time is what the training itself reports,
memory the largest resident size, disk the most that lay in the output folder, its checkpoints and the cache at any moment.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

PREDICT = (
    "import dataclasses, json, sys; from fabula.training.predict import predict_training;"
    " print(json.dumps(dataclasses.asdict(predict_training(sys.argv[1], base=sys.argv[2], recipe=sys.argv[3]))))"
)
GPT2_EPOCHS, SMALL_EPOCHS, TINY_EPOCHS = 0.5, 0.1, 5.0


def make_base(folder: Path, stories: Path, size: str) -> Path:
    """A base with random weights and a tokenizer learned from the stories: a size of `--init`, or GPT-2's own."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from fabula.corpus.read import open_stories
    from fabula.models.fresh import fresh_model, fresh_vocab_size, read_config
    from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer

    texts = [story.text for story in open_stories(stories)]
    if size == "gpt2":
        tokenizer = train_tokenizer(texts, 50257, context_length=1024)
        end = end_of_text_id(tokenizer)
        torch.manual_seed(0)
        model: Any = GPT2LMHeadModel(GPT2Config(bos_token_id=end, eos_token_id=end))
    else:
        config = read_config(size)
        num_tokens = fresh_vocab_size(config, sum(len(text.encode()) for text in texts))
        tokenizer = train_tokenizer(texts, num_tokens, context_length=config.n_positions)
        end = end_of_text_id(tokenizer)
        model = fresh_model(config, vocab_size=len(tokenizer), end_of_text=end, seed=0)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def size_of(folders: list[Path]) -> int:
    """Bytes of all files below these folders; files that vanish meanwhile are left out."""
    total = 0
    for folder in folders:
        for parent, _, names in os.walk(folder):
            for name in names:
                try:
                    total += (Path(parent) / name).stat().st_size
                except FileNotFoundError:
                    continue
    return total


def train(corpus: Path, base: Path, recipe: Path, out: Path) -> dict[str, float]:
    """Seconds, peak memory (GB) and peak disk (GB) of a training."""
    command = [sys.executable, "-m", "fabula", "train", str(corpus), "--base", str(base), "--out", str(out)]
    process = subprocess.Popen([*command, "--recipe", str(recipe), "--quiet"], stdout=subprocess.DEVNULL)
    places = [out, *(out.with_name(out.name + end) for end in (".checkpoints", ".partial"))]
    places.append(Path(os.environ["FABULA_CACHE"]) / "tokens")
    disk = 0
    while True:
        ended, status, usage = os.wait4(process.pid, os.WNOHANG)
        if ended:
            break
        disk = max(disk, size_of(places))
        time.sleep(0.1)
    if status:
        raise SystemExit(f"failed: {' '.join(command)}")
    rows = [json.loads(line) for line in (out / "log.jsonl").open(encoding="utf-8")]
    return {"seconds": rows[-1]["seconds"], "memory_gb": usage.ru_maxrss / 1e6, "disk_gb": disk / 1e9}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / "shared")
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument(
        "--cases", nargs="+", default=["tiny", "small", "gpt2"], choices=["tiny", "small", "gpt2"]
    )
    arguments = parser.parse_args()

    from fabula.pipeline.run import sample_stories

    bench = arguments.shared / "data" / "bench"
    cases = {
        "tiny": (sample_stories(), TINY_EPOCHS),
        "small": (bench / "ohenry.txt", SMALL_EPOCHS),
        "gpt2": (bench / "writing_prompts_96.txt", GPT2_EPOCHS),
    }
    print("| case | what | predicted | happened | off by |")
    print("|---|---|---|---|---|")
    within = True
    for case in arguments.cases:
        stories, epochs = cases[case]
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            os.environ["FABULA_CACHE"] = str(folder / "cache")
            corpus, recipe = folder / "corpus", folder / "recipe.toml"
            clean = [sys.executable, "-m", "fabula", "clean", str(stories), "--out", str(corpus), "--quiet"]
            subprocess.run(clean, check=True, stdout=subprocess.DEVNULL)
            base = make_base(folder / "base", stories, case)
            recipe.write_text(f"num_epochs = {epochs * arguments.scale}\npatience = 0\n")
            predict = [sys.executable, "-c", PREDICT, str(corpus), str(base), str(recipe)]
            predicted = json.loads(subprocess.run(predict, check=True, capture_output=True).stdout)
            happened = train(corpus, base, recipe, folder / "model")
        for name, value in happened.items():
            off = predicted[name] / value - 1
            within = within and abs(off) <= 0.25
            print(f"| {case} | {name} | {predicted[name]:.2f} | {value:.2f} | {off:+.0%} |", flush=True)
    print(f"all within 25 %: {'yes' if within else 'no'}; load average {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()

"""Time to quality: the notebook's script, TRL's SFTTrainer and fabula, from the same base, on the same stories,
judged on the same held-out stories by the same scorer.

    python benchmarks/training_race.py BASE --shared ../shared --out FOLDER [--stories FILE] [--epochs 3]
        [--trl-rates 5e-5,2e-4,1e-3] [--trl-epochs 3] [--shares 0.1,0.2,0.5,1]

- Held out are the tenth of the stories that the notebook's script itself splits off (seed 42): no runner trains on them.
  fabula takes its own validation stories out of the other nine tenths.
- The notebook's script trains for `--epochs`; its weights are kept at eight moments. Its training seconds are the measure.
- fabula (default recipe) is given those seconds times each of `--shares` as --max-minutes, each a training of its own,
  since its schedule is fitted to the clock. Its seconds are all that `train` took, validation and saving included.
- TRL: packing, fp32, no gradient checkpointing, its other defaults (among them 3 epochs), once with each rate; the best counts.
- Judge: tools/heldout_bpb.py with the markup that each model was trained on.

Rows that are there are not made again. Writes FOLDER/race.json and FOLDER/race.png, and prints a table.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"


def split(stories: Path, out: Path) -> None:
    """The same split as the notebook's script makes, as two files."""
    from datasets import Dataset

    lines = stories.read_text("utf-8").rstrip("\n").split("\n")
    parts = Dataset.from_dict({"text": lines}).train_test_split(test_size=0.1, seed=42)
    for name, part in (("train", parts["train"]), ("held_out", parts["test"])):
        (out / f"{name}.txt").write_text("".join(line + "\n" for line in part["text"]), "utf-8")


def run(*command: str | Path) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done.stdout


def judge(tool: Path, model: Path, held_out: Path, markup: str) -> float:
    return json.loads(run(sys.executable, tool, model, held_out, "--markup", markup, "--json"))[
        "bits_per_byte"
    ]


def train_trl(base: Path, stories: Path, out: Path, rate: float, epochs: float) -> None:
    """Run in a process of its own. Writes OUT and OUT/seconds.json."""
    import trl.trainer.sft_config as sft_config  # pyright: ignore[reportMissingImports]
    import trl.trainer.sft_trainer as sft_trainer  # pyright: ignore[reportMissingImports]
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback

    class Clock(TrainerCallback):
        began, seconds = 0.0, 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds += time.perf_counter() - self.began

    texts = []
    for line in stories.read_text("utf-8").splitlines():
        inner = line.strip().removeprefix("<sos>").removesuffix("<eos>")
        texts.append("\n".join(part.strip() for part in inner.split("<nl>") if part.strip()))
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.eos_token
    clock = Clock()
    trainer = sft_trainer.SFTTrainer(
        model=str(base),
        args=sft_config.SFTConfig(
            output_dir=str(out / "checkpoints"),
            packing=True,
            max_length=512,
            learning_rate=rate,
            num_train_epochs=epochs,
            bf16=False,
            gradient_checkpointing=False,
            report_to="none",
            save_strategy="no",
        ),
        train_dataset=Dataset.from_dict({"text": texts}),
        processing_class=tokenizer,
        callbacks=[clock],
    )
    trainer.train()
    trainer.save_model(str(out))
    (out / "seconds.json").write_text(json.dumps(clock.seconds))


def draw(rows: list[dict[str, Any]], picture: Path) -> None:
    """Held-out bits per byte over training seconds, a line for each runner."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    base = next(row["bits_per_byte"] for row in rows if row["runner"] == "base")
    axes.axhline(base, color="0.6", linestyle=":", label="base")
    for runner, colour in (("notebook", "tab:red"), ("TRL", "tab:orange"), ("fabula", "tab:blue")):
        own = sorted(
            (row["seconds"], row["bits_per_byte"]) for row in rows if row["runner"].startswith(runner)
        )
        style = "o" if runner == "TRL" else "o-"  # TRL's points are different learning rates
        if own:
            axes.plot(*zip(*own, strict=True), style, color=colour, label=runner)
    axes.set(xlabel="seconds of training", ylabel="held-out bits per byte", xlim=(0, None))
    axes.legend()
    figure.savefig(picture, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("base", type=Path)
    parser.add_argument("--shared", type=Path, default=Path(__file__).parents[2] / "shared")
    parser.add_argument("--stories", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--epochs", type=float, default=3)
    parser.add_argument("--trl-rates", default="5e-5,2e-4,1e-3", help="empty to leave TRL out")
    parser.add_argument("--trl-epochs", type=float, default=3.0)
    parser.add_argument("--shares", default="0.1,0.2,0.5,1")
    parser.add_argument("--save-at", default="", help="seconds at which the notebook's weights are kept")
    parser.add_argument("--trl-worker", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    base, out = arguments.base, arguments.out
    if arguments.trl_worker is not None:
        train_trl(base, arguments.stories, out, arguments.trl_worker, arguments.trl_epochs)
        return
    out.mkdir(parents=True, exist_ok=True)
    stories = arguments.stories or arguments.shared / "data" / "bench" / "ohenry.txt"
    tool = arguments.shared / "tools" / "heldout_bpb.py"
    script = arguments.shared / "baselines" / "seed_notebook.py"
    split(stories, out)
    held_out = out / "held_out.txt"
    record = out / "race.json"
    rows: list[dict[str, Any]] = json.loads(record.read_text()) if record.exists() else []

    def add(runner: str, seconds: float, model: Path, markup: str) -> None:
        rows.append(
            {"runner": runner, "seconds": seconds, "bits_per_byte": judge(tool, model, held_out, markup)}
        )
        record.write_text(json.dumps(rows, indent=1))
        print(rows[-1], flush=True)

    done = {row["runner"] for row in rows}
    if "base" not in done:
        add("base", 0.0, base, "newline")
    if "notebook" not in done:
        marks = ["--save-at", arguments.save_at] if arguments.save_at else []
        output = run(
            sys.executable,
            script,
            base,
            stories,
            out / "notebook",
            "--epochs",
            arguments.epochs,
            "--no-clean",
            *marks,
        )
        seconds = json.loads(output.strip().splitlines()[-1])["train_seconds"]
        for model in sorted((out / "notebook").glob("at-*s"), key=lambda path: float(path.name[3:-1])):
            add("notebook", float(model.name[3:-1]), model, "seed")
        add("notebook", seconds, out / "notebook" / "model", "seed")
    total = max(row["seconds"] for row in rows if row["runner"] == "notebook")
    run(sys.executable, "-m", "fabula", "clean", out / "train.txt", "--out", out / "corpus", "--quiet")
    for share in (float(word) for word in arguments.shares.split(",")):
        if f"fabula {share:g}" not in done:
            model = out / f"fabula-{share:g}"
            minutes = ["--max-minutes", total * share / 60]
            run(
                sys.executable,
                "-m",
                "fabula",
                "train",
                out / "corpus",
                "--base",
                base,
                "--out",
                model,
                *minutes,
            )
            log = [json.loads(line) for line in (model / "log.jsonl").open()]
            add(f"fabula {share:g}", log[-1]["seconds"], model, "newline")
    for rate in arguments.trl_rates.split(",") if arguments.trl_rates else []:
        if f"TRL {rate}" not in done:
            model = out / f"trl-{rate}"
            worker = [base, "--stories", out / "train.txt", "--out", model, "--trl-worker", rate]
            run(sys.executable, __file__, *worker, "--trl-epochs", arguments.trl_epochs)
            add(f"TRL {rate}", json.loads((model / "seconds.json").read_text()), model, "newline")
    print("| runner | seconds | held-out bits per byte |\n|---|---|---|")
    for row in rows:
        print(f"| {row['runner']} | {row['seconds']:.0f} | {row['bits_per_byte']:.4f} |")
    draw(rows, out / "race.png")


if __name__ == "__main__":
    main()

"""Time to quality: TRL's SFTTrainer and fabula, and if wanted the notebook's script, from the same base, on the same
stories, judged on the same held-out stories by the same scorer.

    python benchmarks/training_race.py BASE --shared ../shared --out FOLDER [--stories FILE] [--seconds 60,150]
        [--trl-rates 5e-5,2e-4,1e-3] [--trl-batch 2048] [--notebook-epochs 3] [--train-only]

- Held out are the tenth of the stories that the notebook's script itself splits off (seed 42): no runner trains on them.
  fabula takes its own validation stories out of the other nine tenths.
- fabula (default recipe) is given each of `--seconds` as --max-minutes, each a training of its own, since its schedule is
  fitted to the clock. Its seconds are all that `train` took, start, validation and saving included.
- TRL gets the same seconds for its steps alone: three steps are timed first, and so many steps asked for as fit, so that its
  schedule ends with the time. Packing that keeps every token ("bfd_split"), windows of 512, one at a time on a CPU, summed to
  `--trl-batch` tokens, bf16 where the machine has it, no gradient checkpointing, its other defaults; once with each rate.
- The notebook's script trains for `--notebook-epochs`; its weights are kept at eight moments.
- Judge: tools/heldout_bpb.py with the markup that each model was trained on.

Trainings come first, since they are timed, and need a quiet machine; judging takes as long as it takes, and `--train-only`
leaves it to a later call. Rows that are there are not made again. Writes FOLDER/race.json and FOLDER/race.png, and prints a
table.
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

CONTEXT = 512


def split(stories: Path, out: Path) -> None:
    """The same split as the notebook's script makes, as two files."""
    from datasets import Dataset

    lines = stories.read_text("utf-8").rstrip("\n").split("\n")
    parts = Dataset.from_dict({"text": lines}).train_test_split(test_size=0.1, seed=42)
    for name, part in (("train", parts["train"]), ("held_out", parts["test"])):
        (out / f"{name}.txt").write_text("".join(line + "\n" for line in part["text"]), "utf-8")


def run(*command: Any) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return done.stdout


def judge(tool: Path, model: Path, held_out: Path, markup: str) -> float:
    return json.loads(run(sys.executable, tool, model, held_out, "--markup", markup, "--json"))[
        "bits_per_byte"
    ]


def train_trl(base: Path, stories: Path, out: Path, rate: float, seconds: float, batch: int) -> None:
    """Run in a process of its own. Writes OUT and OUT/seconds.json."""
    import torch
    import trl.trainer.sft_config as sft_config  # pyright: ignore[reportMissingImports]
    import trl.trainer.sft_trainer as sft_trainer  # pyright: ignore[reportMissingImports]
    from datasets import Dataset
    from transformers import AutoTokenizer, TrainerCallback

    class Clock(TrainerCallback):
        began = 0.0

        def __init__(self) -> None:
            self.seconds: list[float] = []

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.began)

    texts = []
    for line in stories.read_text("utf-8").splitlines():
        inner = line.strip().removeprefix("<sos>").removesuffix("<eos>")
        texts.append("\n".join(part.strip() for part in inner.split("<nl>") if part.strip()))
    tokenizer = AutoTokenizer.from_pretrained(base)
    tokenizer.pad_token = tokenizer.eos_token
    able, on_gpu = torch.cpu.get_capabilities(), torch.cuda.is_available()
    num_windows = max(1, batch // CONTEXT)

    def train(num_steps: int) -> tuple[Any, list[float]]:
        clock = Clock()
        trainer = sft_trainer.SFTTrainer(
            model=str(base),
            args=sft_config.SFTConfig(
                output_dir=str(out / "checkpoints"),
                packing=True,
                packing_strategy="bfd_split",
                max_length=CONTEXT,
                per_device_train_batch_size=num_windows if on_gpu else 1,
                gradient_accumulation_steps=1 if on_gpu else num_windows,
                learning_rate=rate,
                max_steps=num_steps,
                bf16=bool(on_gpu or able.get("avx512_bf16") or able.get("amx_bf16")),
                gradient_checkpointing=False,
                report_to="none",
                save_strategy="no",
                use_cpu=not on_gpu,
            ),
            train_dataset=Dataset.from_dict({"text": texts}),
            processing_class=tokenizer,
            callbacks=[clock],
        )
        trainer.train()
        return trainer, clock.seconds

    probe = train(3)[1]
    trainer, took = train(max(1, round(seconds / min(probe))))
    trainer.save_model(str(out))
    (out / "seconds.json").write_text(json.dumps(sum(took)))


def draw(rows: list[dict[str, Any]], picture: Path) -> None:
    """Held-out bits per byte over training seconds, a line for each runner, and for each learning rate of TRL."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    base = next(row["bits_per_byte"] for row in rows if row["runner"] == "base")
    axes.axhline(base, color="0.6", linestyle=":", label="base")
    lines: dict[str, list[tuple[float, float]]] = {}
    for row in rows[1:]:
        runner, *rate = row["runner"].split(", ")[:2]
        name = ", learning rate ".join([runner.split()[0], *rate])
        lines.setdefault(name, []).append((row["seconds"], row["bits_per_byte"]))
    for name, points in sorted(lines.items()):
        style = "o-" if name == "fabula" else "s--" if name.startswith("TRL") else "^-"
        axes.plot(*zip(*sorted(points), strict=True), style, label=name)
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
    parser.add_argument("--seconds", default="60,150")
    parser.add_argument("--trl-rates", default="5e-5,2e-4,1e-3", help="empty to leave TRL out")
    parser.add_argument("--trl-batch", type=int, default=2048, help="tokens in an optimiser step of TRL")
    parser.add_argument(
        "--notebook-epochs", type=float, default=0, help="0 to leave the notebook's script out"
    )
    parser.add_argument("--save-at", default="", help="seconds at which the notebook's weights are kept")
    parser.add_argument("--train-only", action="store_true", help="leave the judging to a later call")
    parser.add_argument("--trl-worker", type=float, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    base, out = arguments.base, arguments.out
    if arguments.trl_worker is not None:
        seconds = float(arguments.seconds)
        train_trl(base, arguments.stories, out, arguments.trl_worker, seconds, arguments.trl_batch)
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
        rows.append({"runner": runner, "seconds": seconds, "model": str(model), "markup": markup})
        record.write_text(json.dumps(rows, indent=1))
        print(rows[-1], flush=True)

    done = {row["runner"] for row in rows}
    if "base" not in done:
        add("base", 0.0, base, "newline")
    if arguments.notebook_epochs and "notebook" not in done:
        marks = ["--save-at", arguments.save_at] if arguments.save_at else []
        output = run(
            sys.executable,
            script,
            base,
            stories,
            out / "notebook",
            "--epochs",
            arguments.notebook_epochs,
            "--no-clean",
            *marks,
        )
        seconds = json.loads(output.strip().splitlines()[-1])["train_seconds"]
        for model in sorted((out / "notebook").glob("at-*s"), key=lambda path: float(path.name[3:-1])):
            add("notebook", float(model.name[3:-1]), model, "seed")
        add("notebook", seconds, out / "notebook" / "model", "seed")
    run(sys.executable, "-m", "fabula", "clean", out / "train.txt", "--out", out / "corpus", "--quiet")
    for limit in arguments.seconds.split(","):
        if f"fabula {limit}" not in done:
            model = out / f"fabula-{limit}"
            command = ["train", out / "corpus", "--base", base, "--out", model]
            run(sys.executable, "-m", "fabula", *command, "--max-minutes", str(float(limit) / 60))
            log = [json.loads(line) for line in (model / "log.jsonl").open()]
            add(f"fabula {limit}", log[-1]["seconds"], model, "newline")
        for rate in arguments.trl_rates.split(",") if arguments.trl_rates else []:
            name = f"TRL {limit} s, {rate}, {arguments.trl_batch} tokens"
            if name not in done:
                model = out / f"trl-{limit}-{rate}-{arguments.trl_batch}"
                worker = [base, "--stories", out / "train.txt", "--out", model, "--trl-worker", rate]
                sizes = ["--seconds", limit, "--trl-batch", arguments.trl_batch]
                run(sys.executable, __file__, *worker, *sizes)
                add(name, json.loads((model / "seconds.json").read_text()), model, "newline")
    if arguments.train_only:
        return
    for row in rows:
        if "bits_per_byte" not in row:
            row["bits_per_byte"] = judge(tool, Path(row["model"]), held_out, row["markup"])
            record.write_text(json.dumps(rows, indent=1))
    print("| runner | seconds | held-out bits per byte |\n|---|---|---|")
    for row in rows:
        print(f"| {row['runner']} | {row['seconds']:.0f} | {row['bits_per_byte']:.4f} |")
    draw(rows, out / "race.png")


if __name__ == "__main__":
    main()

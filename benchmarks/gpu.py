"""Training on this machine's GPU: speed, memory, and the same losses as on the CPU. Takes about ten minutes on any card.

    python benchmarks/gpu.py [--out gpu.md] [--seconds 35]
    python benchmarks/gpu.py --device cpu      # tries the script itself, with models of 3 M parameters

Prints a table, and writes it to `--out`. Models have random weights in the shapes of GPT-2 (124 M), SmolLM2 (135 M) and Llama
3.2 (1.2 B), except the first part, which trains the bundled base for 20 steps on the CPU and on the GPU. Attention is by
segment where torch's kernel for it runs, or else, and in the rows that say so, with a mask. Tokens are those of stories,
without padding. A token takes 6 N + 12 L C T operations (Chowdhery et al. 2022, appendix B: N parameters, L layers of
width C, T positions in a window); MFU is their number per second over that of a 8192 x 8192 matrix product in the same
format, measured first. Memory is the peak of what torch allocated; "states" are 16 bytes for each trained parameter
(weight, gradient and AdamW's two means in float32) and 4 for each other one.
"""

import argparse
import platform
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "training"))
from real_shapes import GPT2, LLAMA_1B, SMOLLM2  # pyright: ignore[reportMissingImports]

from fabula.corpus.clean import clean
from fabula.models.find import locate_base
from fabula.pipeline.run import sample_stories
from fabula.progress import silent
from fabula.tokens.tokenizer import load_tokenizer
from fabula.training.job import plan
from fabula.training.recipe import Recipe
from fabula.training.setup import Setup, choose_micro_batch_size, prepare
from fabula.training.step import compute_gradients, update_weights
from fabula.training.workers import Workers

NUM_STEPS = 20
WARM_UP = 3


@dataclass(frozen=True)
class Case:
    """One row of the table: a model and what its recipe changes. Without a `lora_rank` it trains all weights.

    Attributes:
        shape: of the model; empty for the bundled base.
        attention: "mask" or "segments" to insist on one, "" for what a training would use.
    """

    name: str
    shape: dict[str, Any]
    changes: dict[str, Any]
    attention: str = ""


CASES = [
    Case("GPT-2, 512 positions", GPT2, {"context_length": 512}),
    Case("the same, compiled", GPT2, {"context_length": 512, "compile": True}),
    Case("GPT-2, 1,024 positions", GPT2, {"context_length": 1024}),
    Case("the same, with a mask", GPT2, {"context_length": 1024}, "mask"),
    Case(
        "GPT-2, activations computed twice",
        GPT2,
        {"context_length": 1024, "gradient_checkpointing": True},
    ),
    Case("SmolLM2, 512 positions", SMOLLM2, {"context_length": 512}),
    Case("SmolLM2, 4,096 positions", SMOLLM2, {"context_length": 4096}),
    Case("the same, with a mask", SMOLLM2, {"context_length": 4096}, "mask"),
    Case("Llama 3.2 1B, LoRA of rank 32", LLAMA_1B, {"context_length": 1024, "lora_rank": 32}),
    Case("Llama 3.2 1B, all weights", LLAMA_1B, {"context_length": 1024, "gradient_checkpointing": True}),
]
CPU_CASES = [
    Case("bundled base, 128 positions", {}, {"context_length": 128}, "mask"),
    Case("the same, by segment", {}, {"context_length": 128}, "segments"),
    Case("the same, compiled", {}, {"context_length": 128, "compile": True}),
]


class Bench:
    """A folder with a corpus, and trainings on a device."""

    def __init__(self, folder: Path, device: torch.device) -> None:
        self.folder, self.device = folder, device
        clean(sample_stories(), folder / "corpus")
        self.tiny = locate_base("tiny")

    def base(self, shape: dict[str, Any]) -> Path:
        """A model of this shape with random weights; the bundled one if no shape is given."""
        if not shape:
            return self.tiny
        folder = self.folder / f"{shape['model_type']}-{shape['vocab_size']}"
        if not folder.is_dir():
            torch.manual_seed(0)
            config = AutoConfig.for_model(**shape, bos_token_id=0, eos_token_id=0)
            AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16).save_pretrained(folder)
            load_tokenizer(self.tiny).save_pretrained(folder)
        return folder

    def prepare(self, base: Path, changes: dict[str, Any], device: torch.device) -> Setup:
        job = plan(
            self.folder / "corpus",
            self.folder / "model",
            base=base,
            recipe=Recipe(**{"lora_rank": 0, **changes}),
        )
        setup = prepare(job, Workers(0, 1, device), silent)
        setup.model.train()
        return setup

    def losses(self, precision: str, device: torch.device) -> list[float]:
        """The training loss of each of the first steps from the bundled base, in nats per token."""
        changes = {"precision": precision, "context_length": 256, "learning_rate": 1e-3, "warmup_steps": 0}
        setup = self.prepare(self.tiny, changes, device)
        curve = []
        for step in range(NUM_STEPS):
            gradients = compute_gradients(setup, step, 2, lambda: False)
            update_weights(setup, setup.sizes.learning_rate)
            curve.append(gradients.loss_sum / gradients.num_targets)
        return curve

    def synchronise(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize()

    def product_rate(self, dtype: torch.dtype, size: int) -> float:
        """Operations per second of the fastest of ten products of two matrices."""
        a, b = (torch.randn(size, size, device=self.device, dtype=dtype) for _ in range(2))
        times = []
        for _ in range(10):
            self.synchronise()
            began = time.perf_counter()
            torch.mm(a, b)
            self.synchronise()
            times.append(time.perf_counter() - began)
        return 2 * size**3 / min(times)

    def measure(self, case: Case, seconds: float, rates: dict[torch.dtype, float]) -> str:
        """The row of a case."""
        setup = self.prepare(self.base(case.shape), case.changes, self.device)
        if case.attention == "mask":
            setup.loss.inner.set_attn_implementation("sdpa")
        elif case.attention:
            assert setup.loss.attend_by_segment()
        size = choose_micro_batch_size(setup)
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
        num_tokens, began, num_steps = 0, time.perf_counter(), 0
        while num_steps < WARM_UP + 2 or time.perf_counter() - began < seconds:
            if num_steps == WARM_UP:
                self.synchronise()
                num_tokens, began = 0, time.perf_counter()
            num_tokens += compute_gradients(setup, num_steps, size, lambda: False).num_targets
            update_weights(setup, 1e-5)
            num_steps += 1
        self.synchronise()
        rate = num_tokens / (time.perf_counter() - began)
        sizes, config = setup.sizes, setup.model.config
        each = 6 * sizes.num_parameters
        each += 12 * config.num_hidden_layers * config.hidden_size * sizes.context_length
        dtype = setup.precision.dtype
        memory = f"{torch.cuda.max_memory_allocated() / 1e9:.2f}" if self.device.type == "cuda" else "-"
        states = 16 * sizes.num_trained + 4 * (sizes.num_parameters - sizes.num_trained)
        cells = [
            case.name,
            str(dtype).removeprefix("torch."),
            f"{sizes.num_parameters / 1e6:.0f} M",
            f"{sizes.batch_size}, {min(size, sizes.batch_size)} at once",
            "segments" if setup.loss.attends_by_segment else "mask",
            f"{rate:,.0f}",
            f"{each * rate / rates[dtype]:.1%}",
            memory,
            f"{states / 1e9:.2f}",
        ]
        return f"| {' | '.join(cells)} |"


def equality(bench: Bench) -> list[str]:
    """How far the losses on the device are from those on the CPU in float32."""
    cpu = bench.losses("fp32", torch.device("cpu"))
    lines = [
        f"Loss of {NUM_STEPS} steps from the bundled base on the CPU, float32: {cpu[0]:.4f} to {cpu[-1]:.4f}."
    ]
    for precision in ("fp32", "auto"):
        curve = bench.losses(precision, bench.device)
        largest = max(abs(a - b) / b for a, b in zip(curve, cpu, strict=True))
        ends = f"{curve[0]:.4f} to {curve[-1]:.4f}"
        lines.append(
            f"On {bench.device.type} with precision {precision!r}: {ends}, at most {largest:.1e} away."
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, help="file for the table")
    parser.add_argument(
        "--seconds", type=float, default=35.0, help="time for each row, after its first steps"
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    options = parser.parse_args()
    on_gpu, device = options.device == "cuda", torch.device(options.device)
    if on_gpu and not torch.cuda.is_available():
        why = "finds no GPU that its driver can use" if torch.version.cuda else "is a build without CUDA"
        raise SystemExit(f"torch {torch.__version__} {why}; --device cpu tries the script without one")
    name = f"{torch.get_num_threads()} CPU threads"
    if on_gpu:
        gpu = torch.cuda.get_device_properties(device)
        name = f"{gpu.name} ({gpu.total_memory / 1e9:.1f} GB, compute capability {gpu.major}.{gpu.minor})"
    lines = [f"{time.strftime('%Y-%m-%d')}, {name}, torch {torch.__version__}, {platform.platform()}", ""]
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), device)
        lines += [*equality(bench), ""]
        dtypes = (torch.float32, torch.bfloat16, torch.float16)
        rates = {dtype: bench.product_rate(dtype, 8192 if on_gpu else 512) for dtype in dtypes}
        shown = ", ".join(
            f"{rate / 1e12:.3g} in {str(d).removeprefix('torch.')}" for d, rate in rates.items()
        )
        lines += [f"Matrix product, 10^12 operations per second: {shown}.", ""]
        lines.append(
            "| model | format | parameters | windows in a step | attention | tokens/s | MFU | memory, GB | states, GB |"
        )
        lines.append("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
        print("\n".join(lines), flush=True)
        for case in CASES if on_gpu else CPU_CASES:
            try:
                row = bench.measure(case, options.seconds, rates)
            except torch.OutOfMemoryError:
                row = f"| {case.name} | out of memory {'| ' * 7}|"
            if on_gpu:
                torch.cuda.empty_cache()
            torch.compiler.reset()
            print(row, flush=True)
            lines.append(row)
            if options.out:  # after each row, so that a run that is stopped leaves those it has
                options.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""How fast stories are written: each engine beside the notebook's `pipeline("text-generation")`, in one run.

    python benchmarks/writing.py                      a model of GPT-2's size with random weights, made on the spot
    python benchmarks/writing.py --model FOLDER --stories FILE     a tuned model, with its bits per byte on a text
    python benchmarks/writing.py --engines pipeline,openvino,llama.cpp     beside llama.cpp on the same weights in Q8_0

Every engine lives in a process of its own. They take turns, one measurement each, for `--rounds` rounds; figures are
medians, and ratios are medians of the ratios within a round, so that a machine that is slow for a while is slow for all.
Prompt 20 tokens, 200 new ones that no end token cuts short, top-p 0.95.
"""

import argparse
import json
import multiprocessing as mp
import os
import resource
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"

PROMPT = "Once upon a time there was a fox who lived in the wood with his wife and his children, and one day"
NUM_PROMPT = 20
SECONDS_APART = 0.2


def make_model(folder: Path) -> Path:
    """GPT-2's shape with random weights, and a tokenizer of its vocabulary's size (most of it never used)."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from fabula.tokens.tokenizer import end_of_text_id, train_tokenizer

    stories = (Path(__file__).parents[1] / "src" / "fabula" / "data" / "sample_stories.txt").read_text(
        "utf-8"
    )
    tokenizer = train_tokenizer(stories.splitlines(), 50257, context_length=1024)
    tokenizer.add_tokens([f"<unused {number}>" for number in range(50257 - len(tokenizer))])
    end = end_of_text_id(tokenizer)
    torch.manual_seed(0)
    GPT2LMHeadModel(GPT2Config(bos_token_id=end, eos_token_id=end)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


class Pipeline:
    """The notebook's call, with as many tokens as the others write."""

    def __init__(self, folder: Path) -> None:
        from transformers import pipeline

        self.pipe: Any = pipeline("text-generation", model=str(folder))
        self.pipe.tokenizer.pad_token = self.pipe.tokenizer.eos_token
        ids = self.pipe.tokenizer.encode(PROMPT)
        self.prompt = self.pipe.tokenizer.decode((ids * NUM_PROMPT)[:NUM_PROMPT])

    def write(self, num_stories: int, num_new: int) -> None:
        self.pipe(
            [self.prompt] * num_stories, batch_size=num_stories, do_sample=True, top_p=0.95, top_k=0, temperature=1.0,
            max_new_tokens=num_new, min_new_tokens=num_new, max_length=None,
        )  # fmt: skip


class Ours:
    def __init__(self, folder: Path, name: str) -> None:
        from fabula.generation.engines import load_engine

        self.engine = load_engine(folder, name)
        self.engine.end_ids = frozenset()
        ids = self.engine.text_tokenizer.encode(PROMPT).ids
        self.prompt = self.engine.text_tokenizer.decode((ids * NUM_PROMPT)[: NUM_PROMPT - 1])

    def write(self, num_stories: int, num_new: int) -> None:
        from fabula.generation.settings import SamplingSettings
        from fabula.generation.write import write_stories

        settings = SamplingSettings(max_new_tokens=num_new, top_p=0.95, whole_sentences=False)
        written = write_stories(
            self.engine,
            [self.prompt] * num_stories,
            seeds=range(num_stories),
            settings=settings,
            batch_size=num_stories,
        )
        assert all(story.num_tokens == num_new for story in written)

    def logits(self, windows: list[list[int]], num_context: int) -> Any:
        """Logits (N, V) after each token from `num_context` on, read one by one as in writing: first those of
        all windows at one place, then at the next."""
        import numpy as np

        batch = self.engine.read([window[:num_context] for window in windows])
        rows = [batch.logits_BV.copy()]
        for place in range(num_context, len(windows[0]) - 1):
            batch.step(range(len(windows)), [window[place] for window in windows])
            rows.append(batch.logits_BV.copy())
        return np.concatenate(rows)


class LlamaCpp:
    """llama.cpp by way of xllamacpp, on the model's weights in Q8_0, with its own sampler."""

    def __init__(self, folder: Path, num_streams: int) -> None:
        from xllamacpp.xllamacpp import CommonParams, Server

        from fabula.exporting.gguf_format import write

        self.made = tempfile.TemporaryDirectory()
        write(folder, Path(self.made.name), "q8_0")
        parameters = CommonParams()
        parameters.model.path = str(Path(self.made.name) / "model.gguf")
        parameters.n_ctx, parameters.n_parallel = 512 * num_streams, num_streams
        parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = len(os.sched_getaffinity(0))
        parameters.verbosity = -1
        self.server = Server(parameters)

    def write(self, num_stories: int, num_new: int) -> None:
        def one(seed: int) -> int:
            request = {
                "prompt": PROMPT,
                "n_predict": num_new,
                "ignore_eos": True,
                "seed": seed,
                "temperature": 1.0,
            }
            request |= {"top_p": 0.95, "top_k": 0, "min_p": 0.0, "cache_prompt": False}
            return self.server.handle_completions(request)["usage"]["completion_tokens"]

        with ThreadPoolExecutor(num_stories) as threads:
            assert all(num == num_new for num in threads.map(one, range(num_stories)))


def serve(name: str, folder: Path, pipe: Any, clock: str, num_streams: int) -> None:
    """What runs in an engine's process: load, then answer one request after the other."""
    now = time.perf_counter if clock == "wall" else time.process_time
    began = now()
    subject: Any
    if name == "pipeline":
        subject = Pipeline(folder)
    else:
        subject = LlamaCpp(folder, num_streams) if name == "llama.cpp" else Ours(folder, name)
    pipe.send(now() - began)
    while (request := pipe.recv()) is not None:
        kind, *arguments = request
        if kind == "write":
            began = now()
            subject.write(*arguments)
            pipe.send(now() - began)
        elif kind == "logits":
            assert isinstance(subject, Ours)
            pipe.send(subject.logits(*arguments))
        else:
            pipe.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)


def memory_bandwidth() -> float:
    """GB/s at which this machine reads memory, by summing an array that no cache holds; the best of ten."""
    import numpy as np
    import torch

    array = torch.from_numpy(np.ones(2**28, dtype=np.float32))
    best = float("inf")
    for _ in range(10):
        began = time.perf_counter()
        array.sum()
        best = min(best, time.perf_counter() - began)
    return array.nbytes / best / 1e9


def held_out_windows(
    folder: Path, stories: Path | None, count: int, length: int
) -> tuple[list[list[int]], int]:
    """Windows of one length from held-out stories, and the bytes that their tokens after the first hold."""
    from fabula.corpus.read import open_stories
    from fabula.tokens.tokenizer import encode, end_of_text_id, load_tokenizer

    source = stories or Path(__file__).parents[1] / "src" / "fabula" / "data" / "sample_stories.txt"
    tokenizer: Any = load_tokenizer(folder)
    windows, num_bytes = [], 0
    for story in open_stories(source):
        [ids] = encode(tokenizer, [story.text])
        if len(ids) >= length:
            windows.append([end_of_text_id(tokenizer), *ids[: length - 1].tolist()])
            num_bytes += len(tokenizer.decode(ids[: length - 1]).encode())
        if len(windows) == count:
            break
    return windows, num_bytes


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", type=Path)
    parser.add_argument("--stories", type=Path, help="held-out stories")
    parser.add_argument("--engines", default="pipeline,transformers,openvino-fp32,openvino")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--new-tokens", type=int, default=200)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument(
        "--clock",
        choices=["wall", "cpu"],
        default="wall",
        help="cpu: the process's own CPU time, for a machine that has other work; with OMP_NUM_THREADS=1 and taskset",
    )
    parser.add_argument("--compare", type=int, default=16, help="held-out windows to compare on")
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        run(args, args.model or make_model(Path(made)))


def run(args: argparse.Namespace, folder: Path) -> None:
    import numpy as np

    from fabula.exporting.fidelity import compare

    names = args.engines.split(",")
    context = mp.get_context("spawn")
    pipes, load = {}, {}
    for name in names:
        for _ in range(2):  # the first makes the cache warm
            if name in pipes:
                pipes[name].send(None)
            pipes[name], there = context.Pipe()
            context.Process(
                target=serve, args=(name, folder, there, args.clock, args.batch), daemon=True
            ).start()
            load[name] = pipes[name].recv()

    def ask(name: str, *request: Any) -> Any:
        pipes[name].send(request)
        answer = pipes[name].recv()
        time.sleep(SECONDS_APART)
        return answer

    figures: dict[str, dict[str, list[float]]] = {
        name: {"first": [], "one": [], "batch": []} for name in names
    }
    for name in names:
        ask(name, "write", 1, 8)
    for number in range(args.rounds):
        for name in names:
            figures[name]["first"].append(ask(name, "write", 1, 1) * 1000)
        for name in names:
            figures[name]["one"].append(args.new_tokens / ask(name, "write", 1, args.new_tokens))
        for name in names:
            figures[name]["batch"].append(
                args.batch * args.new_tokens / ask(name, "write", args.batch, args.new_tokens)
            )
        print(
            f"round {number + 1}:",
            {name: {kind: round(v[-1], 1) for kind, v in figures[name].items()} for name in names},
            flush=True,
        )
    memory = {name: ask(name, "memory") for name in names}
    fidelity = {}
    windows, num_bytes = held_out_windows(folder, args.stories, args.compare, 128)
    ours = [name for name in names if name not in ("pipeline", "llama.cpp")]
    next_ids = np.array(windows)[:, 1:].T.reshape(-1)
    if "transformers" in names:
        exact: Any = ask("transformers", "logits", windows, 1)
        for name in ours:
            fidelity[name] = compare(exact, ask(name, "logits", windows, 1), next_ids, num_bytes)

    def median_ratio(name: str, kind: str) -> float:
        pairs = zip(figures[name][kind], figures["pipeline"][kind], strict=True)
        return statistics.median(mine / seed for mine, seed in pairs)

    bandwidth = memory_bandwidth()
    load_average = os.getloadavg()[0]
    print(
        f"memory read {bandwidth:.0f} GB/s; load average {load_average:.1f}; {args.rounds} rounds; clock {args.clock}\n"
    )
    print(
        f"| engine | 1 stream tok/s | x pipeline | batch of {args.batch} tok/s | x pipeline | first token ms | load s | peak GB | KL | greedy | bits/byte lost |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|---|")
    for name in names:
        one, batch, first = (statistics.median(figures[name][kind]) for kind in ("one", "batch", "first"))
        lost = fidelity.get(name)
        quality = (
            f"{lost.kl:.5f} | {lost.greedy_agreement:.1%} | {lost.share_lost:+.3%}" if lost else "- | - | -"
        )
        print(
            f"| {name} | {one:.1f} | {median_ratio(name, 'one'):.2f} | {batch:.0f} | {median_ratio(name, 'batch'):.2f}"
            f" | {first:.0f} | {load[name]:.1f} | {memory[name]:.2f} | {quality} |"
        )
    if args.json:
        args.json.write_text(
            json.dumps({"figures": figures, "load": load, "memory": memory, "bandwidth": bandwidth})
        )
    for name in names:
        pipes[name].send(None)


if __name__ == "__main__":
    main()

"""How the page holds under load: visitors at once on loopback, each asking for passages with pauses between.

    python benchmarks/serving.py MODEL [--visitors 20] [--seconds 120]

Prints a table in Markdown: one visitor alone, then all of them. Every refusal and every broken answer counts as an error.
"""

import argparse
import http.client
import json
import random
import statistics
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil

TOKENS = 60
PAUSE = (1.0, 3.0)
"""Seconds in which a visitor reads, drawn evenly."""


@dataclass
class Load:
    """What happened; times in seconds."""

    first_words: list[float] = field(default_factory=list)
    whole: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    memory: list[int] = field(default_factory=list)
    num_pieces: int = 0


def ask(netloc: str, visitor: str, seed: int, load: Load) -> None:
    """One passage."""
    began = time.perf_counter()
    connection = http.client.HTTPConnection(netloc, timeout=300)
    try:
        body = {
            "text": "Once upon a time,",
            "settings": {"max_new_tokens": TOKENS},
            "seed": seed,
            "visitor": visitor,
        }
        connection.request("POST", "/write", json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        if answer.status != 200:
            load.errors.append(f"{answer.status} {answer.read().decode()}")
            return
        first = None
        last: dict[str, str] = {}
        for line in answer:
            last = json.loads(line)
            if last["type"] == "piece":
                first = first or time.perf_counter() - began
                load.num_pieces += 1
        if last.get("type") != "done":
            load.errors.append(f"the answer broke off: {last}")
        elif first is not None:
            load.first_words.append(first)
            load.whole.append(time.perf_counter() - began)
    except OSError as error:
        load.errors.append(str(error))
    finally:
        connection.close()


def visit(netloc: str, number: int, until: float, load: Load) -> None:
    draw = random.Random(number)
    while time.monotonic() < until:
        ask(netloc, f"visitor-{number}", draw.randrange(2**31), load)
        time.sleep(draw.uniform(*PAUSE))


def row(name: str, load: Load, seconds: float) -> str:
    def share(values: list[float], part: float) -> str:
        return f"{statistics.quantiles(values, n=20)[round(part * 20) - 1]:.3f}" if len(values) > 1 else "-"

    memory = (
        f"{load.memory[0] / 1e6:.0f} to {load.memory[-1] / 1e6:.0f}, at most {max(load.memory) / 1e6:.0f}"
    )
    return (
        f"| {name} | {len(load.whole)} | {len(load.errors)} | {share(load.first_words, 0.5)} / {share(load.first_words, 0.95)}"
        f" | {share(load.whole, 0.5)} / {share(load.whole, 0.95)} | {load.num_pieces / seconds:.0f} | {memory} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--visitors", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=120)
    parser.add_argument("--engine", default="auto")
    arguments = parser.parse_args()
    words = ["serve", arguments.model, "--port", "0", "--engine", arguments.engine]
    server = subprocess.Popen([sys.executable, "-m", "fabula", *words], stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        netloc = urlsplit(server.stdout.readline().split()[2]).netloc
        process = psutil.Process(server.pid)
        alone = Load(memory=[process.memory_info().rss])
        began = time.monotonic()
        for number in range(11):
            ask(netloc, "alone", number, alone)
            alone.memory.append(process.memory_info().rss)
        alone_seconds = time.monotonic() - began
        together = Load(memory=[process.memory_info().rss])
        began = time.monotonic()
        visitors = [
            threading.Thread(target=visit, args=(netloc, number, began + arguments.seconds, together))
            for number in range(arguments.visitors)
        ]
        for visitor in visitors:
            visitor.start()
        while any(visitor.is_alive() for visitor in visitors):
            together.memory.append(process.memory_info().rss)
            time.sleep(1)
        seconds = time.monotonic() - began
    finally:
        server.terminate()
        server.wait(timeout=30)
    print(f"{TOKENS} tokens a passage, {seconds:.0f} s, engine {arguments.engine}\n")
    print(
        "| visitors | passages | errors | first words, s (median / 95 %) | whole passage, s | pieces/s | memory, MB |"
    )
    print("|---|---|---|---|---|---|---|")
    print(row("1", alone, alone_seconds))
    print(row(str(arguments.visitors), together, seconds))
    for error in together.errors[:5]:
        print(f"\nerror: {error}")
    raise SystemExit(bool(alone.errors or together.errors))


if __name__ == "__main__":
    main()

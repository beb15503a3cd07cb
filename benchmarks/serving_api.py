"""How much several programs get at once from `fabula serve --api`: tokens per second, in all.

    python benchmarks/serving_api.py MODEL --clients 1,8 --tokens 40

The service runs in a process of its own. Seconds are those of its own CPU time (`--clock cpu`, for a machine that has
other work), or of the wall.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor


def cpu_seconds(process: int) -> float:
    """User and system time of a process so far."""
    import psutil

    times = psutil.Process(process).cpu_times()
    return times.user + times.system


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model")
    parser.add_argument("--clients", default="1,8")
    parser.add_argument("--tokens", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    args = parser.parse_args()
    command = [sys.executable, "-m", "fabula", "serve", args.model, "--api", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as service:
        assert service.stdout is not None
        words = service.stdout.readline().split()
        address, name = words[2], words[5].strip("'")

        def ask(number: int) -> int:
            body = {
                "model": name,
                "prompt": "Once upon a time there was a fox who lived in the wood with his wife,",
                "max_tokens": args.tokens,
                "seed": number,
            }
            request = urllib.request.Request(
                f"{address}/completions", json.dumps(body).encode(), {"content-type": "application/json"}
            )
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)["usage"]["completion_tokens"]

        now = time.perf_counter if args.clock == "wall" else lambda: cpu_seconds(service.pid)
        ask(0)
        for clients in map(int, args.clients.split(",")):
            rates = []
            for _ in range(args.rounds):
                began = now()
                with ThreadPoolExecutor(clients) as pool:
                    num_tokens = sum(pool.map(ask, range(clients)))
                rates.append(num_tokens / (now() - began))
            print(
                f"{clients} at once: {statistics.median(rates):.1f} tokens/s in all ({args.clock})",
                flush=True,
            )
        service.terminate()


if __name__ == "__main__":
    main()

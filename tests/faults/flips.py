"""Flips bits in a model's files, or truncates them: each result is a model that writes, or one clear line.

    python tests/faults/flips.py --count 5000 --seed 0

Prints how many of each there were, and the largest growth of memory in MB.
"""

import argparse
import json
import random
import resource
import shutil
import tempfile
import time
from collections import Counter
from pathlib import Path

from whole_run import make_base

from fabula.errors import FabulaError
from fabula.generation.write import load

SECONDS = 20.0
"""The longest that a damaged model may take."""

NAMES = (
    "model.safetensors",
    "config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "generation_config.json",
)


def damage(path: Path, draw: random.Random) -> str:
    """Flip one to eight bits, mostly near the beginning, where the sizes are; or truncate the file. Returns what was
    done."""
    data = bytearray(path.read_bytes())
    if draw.random() < 0.1:
        cut = draw.randrange(len(data))
        path.write_bytes(data[:cut])
        return f"{path.name} cut off after {cut} bytes"
    places = [
        draw.randrange(len(data) if draw.random() < 0.5 else min(len(data), 3000))
        for _ in range(draw.choice((1, 1, 2, 8)))
    ]
    for place in places:
        data[place] ^= 1 << draw.randrange(8)
    path.write_bytes(data)
    return f"{path.name} turned over at {places}"


def use(folder: Path) -> None:
    """Load the model as every command does, and write a few words with it."""
    load(folder, "transformers").write("Once upon a time", seed=1, max_new_tokens=3)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=0)
    chosen = parser.parse_args()
    draw = random.Random(chosen.seed)
    kept = tempfile.TemporaryDirectory(prefix="fabula-flips-")
    good, folder = Path(kept.name) / "good", Path(kept.name) / "damaged"
    make_base(good, ["Once upon a time the lamp burned, and Wren sang."])
    use(good)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outcomes: Counter[str] = Counter()
    faults = []
    for _ in range(chosen.count):
        shutil.copytree(good, folder)
        done = damage(folder / draw.choice([name for name in NAMES if (folder / name).exists()]), draw)
        began = time.process_time()
        try:
            use(folder)
            outcomes["works"] += 1
        except FabulaError as error:
            outcomes["refused"] += 1
            if "\n" in str(error):
                faults.append(f"{done}: more than one line")
        except Exception as error:
            faults.append(f"{done}: {type(error).__name__}: {error}")
        if time.process_time() - began > SECONDS:
            faults.append(f"{done}: took too long")
        shutil.rmtree(folder)
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak) // 1024
    kept.cleanup()
    print(json.dumps({"damaged": chosen.count, **outcomes, "grown_mb": grown, "faults": faults}, indent=1))
    raise SystemExit(bool(faults))


if __name__ == "__main__":
    main()

"""`make fuzz`: a search for inputs that break a reader or the cleaner, led by the lines that inputs reach (atheris).

    python tests/fuzz/search.py CORPUS -max_total_time=3600 -artifact_prefix=tests/fuzz/findings/

CORPUS is a folder in which the search keeps inputs that reached new lines, and from which the next search starts. The
other arguments are libFuzzer's. It ends at the first fault and keeps its input, which becomes a test when it is put
into `findings/`.
"""

import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["fabula.corpus"]):  # pyright: ignore[reportAttributeAccessIssue]
    from targets import WORDS, check, seeds


def main() -> None:
    corpus = Path(sys.argv[1])
    corpus.mkdir(parents=True, exist_ok=True)
    for name, data in seeds().items():
        (corpus / f"seed-{name.replace(' ', '-')}").write_bytes(data)
    words = corpus.with_name(corpus.name + ".dict")
    words.write_text("".join(f'"{escaped(word)}"\n' for word in WORDS))
    defaults = [
        "-max_len=4096",
        "-timeout=20",
        "-rss_limit_mb=4096",
        f"-dict={words}",
        "-print_final_stats=1",
    ]
    atheris.Setup([sys.argv[0], *defaults, *sys.argv[2:], str(corpus)], check)
    atheris.Fuzz()


def escaped(word: str) -> str:
    """In the syntax of libFuzzer's dictionaries."""
    return word.replace("\\", "\\\\").replace('"', '\\"')


if __name__ == "__main__":
    main()

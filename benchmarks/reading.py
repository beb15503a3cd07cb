"""How long `fabula clean` takes for documents, and for plain text beside another version of fabula.

    python benchmarks/reading.py documents [--pages 300] [--rounds 3]
    python benchmarks/reading.py against CHECKOUT STORIES [--rounds 5] [--rules reddit] [--copies drop]

`documents` makes a novel of the bundled stories with so many pages of 300 words, in chapters of ten pages, as .docx, .epub, .odt,
.html and PDF, and cleans each. The times are those of the whole command, with the start of Python.

`against` cleans STORIES with this checkout and with CHECKOUT, the root of another one, by turns on one core, and prints medians
over the rounds of the times and of the ratios within a round. The processor time is less sensitive to other programs than the
wall time.
"""

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
sys.path.insert(0, str(ROOT / "tests" / "corpus" / "documents"))

import written  # noqa: E402  # pyright: ignore[reportMissingImports]

PAGE_WORDS, CHAPTER_PAGES, LINES_OF_PAGE = 300, 10, 34


def make_chapters(num_pages: int) -> list[list[str]]:
    """Chapters as lists of paragraphs, out of the bundled stories again and again."""
    raw = (ROOT / "src" / "fabula" / "data" / "sample_stories.txt").read_text(encoding="utf-8")
    plain = raw.replace("<sos>", "\n").replace("<eos>", "\n").replace("<nl>", "\n")
    paragraphs = itertools.cycle([line.strip() for line in plain.split("\n") if line.strip()])
    chapters: list[list[str]] = []
    for _ in range(-(-num_pages // CHAPTER_PAGES)):
        chapter: list[str] = []
        words = 0
        while words < CHAPTER_PAGES * PAGE_WORDS:
            chapter.append(next(paragraphs))
            words += len(chapter[-1].split())
        chapters.append(chapter)
    return chapters


def make_pdf(chapters: list[list[str]]) -> bytes:
    pages = []
    for number, chapter in enumerate(chapters, 1):
        lines = [
            (65 if first else 50, line)
            for paragraph in chapter
            for first, line in zip(
                itertools.chain([True], itertools.repeat(False)), textwrap.wrap(paragraph, 62), strict=False
            )
        ]
        for start in range(0, len(lines), LINES_OF_PAGE):
            page = [(50, 545, 18, f"Chapter {number}")] if not start else []
            page += [
                (x, 510 - 14 * row, 11, line.encode("cp1252", "replace").decode("cp1252"))
                for row, (x, line) in enumerate(lines[start : start + LINES_OF_PAGE])
            ]
            pages.append([*page, (205, 20, 10, str(len(pages) + 1)), (170, 570, 10, "THE TIDE TABLE")])
    return written.pdf(pages)


def make_documents(folder: Path, num_pages: int) -> list[Path]:
    chapters = make_chapters(num_pages)
    headed = list(enumerate(chapters, 1))
    word = "".join(
        written.paragraph(f"Chapter {number}", "berschrift1") + "".join(map(written.paragraph, chapter))
        for number, chapter in headed
    )
    office = "".join(
        f'<text:h text:outline-level="1">Chapter {number}</text:h>'
        + "".join(f"<text:p>{text}</text:p>" for text in chapter)
        for number, chapter in headed
    )
    pages = [
        (f"{number}.xhtml", f"<h1>Chapter {number}</h1>" + "".join(f"<p>{text}</p>" for text in chapter))
        for number, chapter in headed
    ]
    contents = {
        "novel.docx": written.docx(word),
        "novel.epub": written.epub([(name, written.page(body)) for name, body in pages]),
        "novel.odt": written.odt(office),
        "novel.html": f"<!DOCTYPE html><html><body>{''.join(body for _, body in pages)}</body></html>".encode(),
        "novel.pdf": make_pdf(chapters),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    return [folder / name for name in contents]


def clean(stories: Path, root: Path, *options: str) -> tuple[float, float]:
    """Wall and processor seconds of `fabula clean` on one core."""
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {
            "PYTHONPATH": str(root / "src"),
            "RAYON_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "fabula", "-q", "clean", str(stories.resolve()), "--workers", "1"]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(
            [*command, "--out", f"{folder}/corpus", *options],
            check=True,
            env=environment,
            cwd=folder,
            stdout=subprocess.DEVNULL,
        )
        seconds, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measure_documents(num_pages: int, rounds: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        print(f"{num_pages} pages{'wall s':>16} {'cpu s':>7}")
        for path in make_documents(Path(folder), num_pages):
            runs = [clean(path, ROOT, "--copies", "ignore") for _ in range(rounds)]
            wall, cpu = (median(column) for column in zip(*runs, strict=True))
            print(f"{path.name:<12} {wall:13.2f} {cpu:7.2f}", flush=True)


def compare(other: Path, stories: Path, rounds: int, rules: str, copies: str) -> None:
    roots = {"now": ROOT, "other": other.resolve()}
    runs: dict[str, list[tuple[float, float]]] = {name: [] for name in roots}
    for number in range(rounds):
        for name in list(roots) if number % 2 else reversed(roots):
            runs[name].append(clean(stories, roots[name], "--rules", rules, "--copies", copies))
        print(*(f"{name} {runs[name][-1][1]:.2f} cpu-s" for name in roots), flush=True)
    for at, what in enumerate(("wall", "cpu")):
        now, before = ([run[at] for run in runs[name]] for name in roots)
        ratios = [one / two for one, two in zip(now, before, strict=True)]
        print(
            f"{what:<5} now {median(now):6.2f} s, other {median(before):6.2f} s, ratio {median(ratios):.3f}"
            f" ({min(ratios):.3f} to {max(ratios):.3f})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    documents = commands.add_parser("documents")
    documents.add_argument("--pages", type=int, default=300)
    against = commands.add_parser("against")
    against.add_argument("checkout", type=Path)
    against.add_argument("stories", type=Path)
    against.add_argument("--rules", default="reddit")
    against.add_argument("--copies", default="drop")
    documents.add_argument("--rounds", type=int, default=3)
    against.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    if options.command == "documents":
        measure_documents(options.pages, options.rounds)
    else:
        compare(options.checkout, options.stories, options.rounds, options.rules, options.copies)


if __name__ == "__main__":
    main()

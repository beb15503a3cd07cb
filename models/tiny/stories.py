"""Make what the small base model is trained on, and name whose stories they are.

    python models/tiny/stories.py STORIES OUT

STORIES is a folder with fairy_tales.jsonl, fairytaleqa.jsonl and childrens.jsonl (rows with text, title, source and,
for the modern stories, author and license). OUT gets tales.jsonl, one story a row with paragraphs on lines of their
own, and ATTRIBUTION.md.
"""

import json
import sys
from collections import Counter
from pathlib import Path

PUBLIC_DOMAIN = ("fairy_tales", "fairytaleqa")
CREDITED = "childrens"


def rows(path: Path) -> list[dict[str, str]]:
    """The stories of a JSON Lines file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def attribution(public: list[dict[str, str]], credited: list[dict[str, str]]) -> str:
    """Who wrote the stories, and where they were found, as Markdown."""
    sources = Counter(row["source"] for row in public)
    lines = [
        "# Whose stories the small base model learned from",
        "",
        "## Fairy tales, in the public domain",
        "",
        "From Project Gutenberg and others, by way of these collections (FairytaleQA is packaged under Apache-2.0):",
        "",
        *(f"- {source}: {count}" for source, count in sorted(sources.items())),
        "",
        "## Children's stories of African Storybook and Pratham Books, by way of global-asp",
        "",
        "Each is used under the licence beside it: CC-BY is https://creativecommons.org/licenses/by/4.0/. They were"
        " changed in this way: blank lines between paragraphs became line breaks, and a model learned from them.",
        "",
        *(f"- {row['title']}, by {row['author']} ({row['license']}; {row['source']})" for row in credited),
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    source, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    public = [row for name in PUBLIC_DOMAIN for row in rows(source / f"{name}.jsonl")]
    credited = rows(source / f"{CREDITED}.jsonl")
    with (out / "tales.jsonl").open("w", encoding="utf-8") as file:
        for row in public + credited:
            text = row["text"].replace("\n\n", "\n")
            file.write(json.dumps({"title": row["title"], "text": text}, ensure_ascii=False) + "\n")
    (out / "ATTRIBUTION.md").write_text(attribution(public, credited), encoding="utf-8")


if __name__ == "__main__":
    main()

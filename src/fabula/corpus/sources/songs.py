"""Files of song lyrics, with a label before each part ("[Verse 1]", "[Chorus]")."""

import re
from collections.abc import Sequence

from fabula.corpus.blocks import Block
from fabula.corpus.documents.document import Document, LeftOut, is_divider

_PART = (
    r"(?:(?:pre|post)-?\s?)?(?:verse|chorus|bridge|intro|outro|hook|refrain|interlude|breakdown|solo|instrumental|strophe"
    r"|refrão|refrain|couplet|pont|coro|estribillo|verso)\b"
)
_LABEL = re.compile(rf"[\[(]{_PART}[^\])]*[\])]:?|{_PART}[ \w]{{0,12}}:", re.IGNORECASE)
_FIRST = re.compile(
    r"[\[(]?(?:intro\b|(?:verse|couplet|verso|strophe)\s*(?:1|I|one)?\s*[\]:)])", re.IGNORECASE
)

_GENIUS_HEAD = re.compile(r"\d+ Contributors?(?P<title>.{1,300}?) Lyrics(?=$|\[|[A-Z\"“])")
_GENIUS_FOOT = re.compile(r"(?:You might also like)?\d{0,4}Embed$|You might also like$")
_GENIUS_BETWEEN = re.compile(r"You might also like(?=[\[A-Z\"“])")
"""What is left of Genius' pages in the texts of programs that fetch them."""


def is_songs(lines: Sequence[str]) -> bool:
    """Whether a text is lyrics: it has many labels of parts, not only those of the chorus of a play, or it is from Genius."""
    filled = [line.strip() for line in lines if line.strip()]
    labels = [line for line in filled if _LABEL.fullmatch(line)]
    is_play = all(line.lower() == "chorus:" for line in labels)
    is_labelled = len(labels) >= 4 and len(labels) >= len(filled) / 40 and not is_play
    return is_labelled or any(map(_GENIUS_HEAD.match, filled))


def read_songs(text: str) -> Document:
    """The songs of a file: a heading with the title before each, or a divider if it has none; one paragraph per part.

    Repeated parts are kept, as they are sung.
    """
    groups: list[tuple[int, list[str]]] = []
    left_out: list[LeftOut] = []
    fresh = True
    for number, line in enumerate(text.split("\n"), 1):
        if head := _GENIUS_HEAD.match(line):  # the title, then the first line
            groups.append((number, [head["title"]]))
            left_out.append(LeftOut(head[0], "page_button", number))
            line, fresh = line[head.end() :], True
        if foot := _GENIUS_FOOT.search(line):
            left_out.append(LeftOut(foot[0], "page_button", number))
            line = line[: foot.start()]
        elif between := _GENIUS_BETWEEN.match(line):
            left_out.append(LeftOut(between[0], "page_button", number))
            line = line[between.end() :]
        stripped = line.strip()
        if not stripped:
            fresh = True
            continue
        if is_divider(stripped):
            groups.append((number, []))
            fresh = True
            continue
        if fresh or _LABEL.fullmatch(stripped):
            groups.append((number, []))
            fresh = False
        groups[-1][1].append(stripped)
    blocks: list[Block] = []
    started = False
    for at, (number, lines) in enumerate(groups):
        if not lines:
            blocks.append(Block("divider", "", 0, number))
            started = False
            continue
        follows = "".join(groups[at + 1][1][:1]) if at + 1 < len(groups) else ""
        is_title = len(lines) <= 2 and not _LABEL.fullmatch(lines[0]) and _LABEL.fullmatch(follows)
        if is_title and (not started or _FIRST.match(follows)):
            blocks.append(Block("heading", " ".join(lines), 1, number))
            started = False
            continue
        if started and _FIRST.match(lines[0]) and lines[0] == _first_label(blocks):
            blocks.append(Block("divider", "", 0, number))
        blocks.append(Block("paragraph", "\n".join(lines), 0, number))
        started = True
    return Document(blocks, left_out)


def _first_label(blocks: Sequence[Block]) -> str:
    """The first label of the current song."""
    label = ""
    for block in reversed(blocks):
        if block.kind != "paragraph":
            break
        label = block.text.partition("\n")[0]
    return label

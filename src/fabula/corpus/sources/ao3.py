"""Works downloaded from the Archive of Our Own, after conversion to text (.txt, or from .pdf, .docx, .rtf).

A download has a preface (title, tags, summary, notes), and notes before and after each chapter, under fixed labels.
"""

import re
from collections.abc import Sequence

from fabula.corpus.blocks import Block
from fabula.corpus.documents.document import Document, LeftOut

_ADDRESS = re.compile(r"archiveofourown\.org|Posted originally on the Archive of Our Own", re.IGNORECASE)
_TAGS = re.compile(
    r"(?:Rating|Archive Warnings?|Category|Categories|Fandoms?|Relationships?|Characters?|Additional Tags|Language|Series"
    r"|Collections?|Stats|Published|Completed|Updated|Words|Chapters):"
)
_CHAPTER = re.compile(r"Chapter \d+(?:\s*[:.–—-]\s*\S.*)?", re.IGNORECASE)
_HEAD_LABEL = re.compile(r"(?:Chapter |Work )?(?:Summary|Notes)(?: for .*)?:?", re.IGNORECASE)
_END_LABEL = re.compile(r"(?:Chapter |Work )?End ?Notes:?|Afterword", re.IGNORECASE)
_SENTENCES = re.compile(
    r"(?:\(?See the end of the (?:chapter|work) for .*|Please drop by the Archive and comment .*|Chapter Text|Preface|End file\."
    r"|Posted originally on the Archive of Our Own.*|.*archiveofourown\.org/\S+\W*)",
    re.IGNORECASE,
)


def is_ao3(blocks: Sequence[Block]) -> bool:
    """Whether a text is a download from the Archive: its address and tags are at the head."""
    head = "\n".join(block.text for block in blocks[:40])
    return bool(_ADDRESS.search(head)) and len(_TAGS.findall(head)) >= 2


def without_ao3(document: Document) -> Document:
    """A work without the Archive's preface and the notes around its chapters. Only chapters and their headings remain.

    After a label such as "Notes" one paragraph is removed; more cannot be distinguished from the story by its form, and
    is left to the rules for notes. After a label of end notes everything up to the next chapter is removed.
    """
    blocks = document.blocks
    kept: list[Block] = []
    left_out = list(document.left_out)
    first = next((at for at, block in enumerate(blocks) if _CHAPTER.fullmatch(block.text.strip())), None)
    start = _end_of_preface(blocks) if first is None else first
    left_out += [LeftOut(block.text, "front_matter", block.line) for block in blocks[:start] if block.text]
    skipping = ""
    for block in blocks[start:]:
        text = block.text.strip()
        is_chapter = block.kind != "divider" and bool(_CHAPTER.fullmatch(text))
        if is_chapter:
            skipping = ""
            kept.append(Block("heading", text, 2, block.line))
        elif _END_LABEL.fullmatch(text):
            skipping = "all"
            left_out.append(LeftOut(text, "author_note", block.line))
        elif _HEAD_LABEL.fullmatch(text):
            skipping = skipping or "one"
            left_out.append(LeftOut(text, "author_note", block.line))
        elif skipping or _SENTENCES.fullmatch(text):
            if text:
                left_out.append(LeftOut(text, "author_note", block.line))
                skipping = "" if skipping == "one" else skipping
        else:
            kept.append(block)
    return Document(kept, left_out, document.title)


def _end_of_preface(blocks: Sequence[Block]) -> int:
    """Where the story of a work with one chapter begins: after the tags, and after one paragraph below each label."""
    at = 0
    for number, block in enumerate(blocks[:40]):
        text = block.text.strip()
        if _TAGS.match(text) or _ADDRESS.search(text) or re.search(r"^by \S+$", text, re.MULTILINE):
            at = number + 1
        elif _HEAD_LABEL.fullmatch(text):
            at = number + 2
    return at

"""Text from sources with their own conventions: see `fabula.corpus.sources`."""

import re
from collections.abc import Iterator

from fabula.corpus.blocks import Block
from fabula.corpus.documents import Document
from fabula.corpus.formats.base import DocumentFormat, FilePlan, ReaderRemoval, ReadingLog, Sample
from fabula.corpus.formats.rows import Row, RowFormat
from fabula.corpus.lines import FileRange, decode
from fabula.corpus.sources.ao3 import is_ao3, without_ao3
from fabula.corpus.sources.aozora import is_aozora, read_aozora
from fabula.corpus.sources.chat import is_chat, read_chat
from fabula.corpus.sources.songs import is_songs, read_songs
from fabula.corpus.sources.writing_prompts import is_tokenised, restore

_SAMPLE_LINES = 500


class SourceText(DocumentFormat):
    """A text that is read as a whole."""

    is_text = True

    def document(self, text: str) -> Document:
        """The document in a text, whose lines end with "\\n"."""
        raise NotImplementedError

    def blocks(self, data: bytes, name: str, log: ReadingLog) -> list[Block]:
        text = decode(data, name, 1, 0).removeprefix("\ufeff")
        document = self.document(re.sub(r"\r\n?", "\n", text))
        log.removals += [ReaderRemoval(name, out.line, out.reason, out.text) for out in document.left_out]
        return document.blocks


class Ao3Text(SourceText):
    name = "ao3"
    description = "a work from the Archive of Our Own"

    def detect(self, sample: Sample) -> bool:
        return "rchive" in sample.text[:4000] and is_ao3(_paragraphs(sample.text[:20_000]))

    def document(self, text: str) -> Document:
        return without_ao3(Document(_paragraphs(text)))


class Aozora(SourceText):
    name = "aozora"
    description = "a text of Aozora Bunko"

    def detect(self, sample: Sample) -> bool:
        return is_aozora(sample.text)

    def document(self, text: str) -> Document:
        return read_aozora(text)


class ChatLog(SourceText):
    name = "chat"
    description = "a log of chat messages, joined without names and dates"

    def detect(self, sample: Sample) -> bool:
        return is_chat(_first_lines(sample))

    def document(self, text: str) -> Document:
        return read_chat(text)


class Songs(SourceText):
    name = "songs"
    description = "song lyrics"

    def detect(self, sample: Sample) -> bool:
        return is_songs(_first_lines(sample))

    def document(self, text: str) -> Document:
        return read_songs(text)


class WritingPrompts(RowFormat):
    """One story per line, from `.wp_target`; the file of prompts (`.wp_source`) has no stories."""

    name = "writing-prompts"
    description = "tokenised stories (fairseq's WritingPrompts), one a line"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        return sample.suffix in (".wp_target", ".wp_source") or is_tokenised(_first_lines(sample))

    def can_cut(self, plan: FilePlan) -> bool:
        return not plan.columns.prompt

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        """The stories, with the split from the file's name, and with the prompts from the other file."""
        if plan.name.lower().endswith(".wp_source"):
            log.removals.append(ReaderRemoval(plan.name, 0, "prompts", "the prompts of the stories"))
            return
        split = plan.name.rpartition("/")[2].partition(".")[0]
        beside = plan.file.path.with_suffix(".wp_source")
        prompts: list[str] = []
        if part.end is None and not plan.file.archive and beside != plan.file.path and beside.is_file():
            prompts = beside.read_text(encoding="utf-8", errors="replace").split("\n")
        with plan.open_lines(part, log) as lines:
            for line in lines:
                if text := restore(decode(line, lines.name, lines.number, lines.offset)):
                    row = {"text": text, "split": split}
                    if prompts:
                        row["prompt"] = (
                            restore(prompts[lines.number - 1]) if lines.number <= len(prompts) else ""
                        )
                    yield lines.number, row


def _first_lines(sample: Sample) -> list[str]:
    return sample.text.lstrip("\ufeff").splitlines()[:_SAMPLE_LINES]


def _paragraphs(text: str) -> list[Block]:
    """Paragraphs separated by blank lines."""
    blocks, number = [], 1
    for part in re.split(r"(\n\s*\n)", text):
        if part.strip():
            blocks.append(Block("paragraph", part.strip(), 0, number))
        number += part.count("\n")
    return blocks

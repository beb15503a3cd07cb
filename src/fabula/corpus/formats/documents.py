"""Office documents, web pages and e-books, read by `fabula.corpus.documents`."""

from fabula.corpus.blocks import Block
from fabula.corpus.documents import DOCUMENTS, document_kind, read_document
from fabula.corpus.formats.base import LINE_WRAPS, DocumentFormat, ReaderRemoval, ReadingLog, Sample
from fabula.corpus.sources.ao3 import is_ao3, without_ao3
from fabula.corpus.splitting.text_blocks import text_blocks


class OfficeDocument(DocumentFormat):
    """One kind of document.

    Args:
        kind: a key of `DOCUMENTS`.
    """

    def __init__(self, kind: str) -> None:
        self.name = kind  # pyright: ignore[reportAttributeAccessIssue]
        self.description = DOCUMENTS[kind]  # pyright: ignore[reportAttributeAccessIssue]

    def detect(self, sample: Sample) -> bool:
        return document_kind(sample.head) == self.name

    def blocks(self, data: bytes, name: str, log: ReadingLog) -> list[Block]:
        document = read_document(data, self.name, name)
        if is_ao3(document.blocks):
            document = without_ao3(document)
        log.removals += [ReaderRemoval(name, out.line, out.reason, out.text) for out in document.left_out]
        return _without_wraps(document.blocks, name, log)


def _without_wraps(blocks: list[Block], name: str, log: ReadingLog) -> list[Block]:
    """The blocks of a document, or those of its text if its lines are broken as in plain text (`pre` on a web page)."""
    if sum(block.text.count("\n") for block in blocks) < len(blocks):
        return blocks
    text = "\n\n".join("* * *" if block.kind == "divider" else block.text for block in blocks)
    found = text_blocks(text)
    if not found.num_joined:
        return blocks
    log.leave_out(name, [(1, LINE_WRAPS, str(found.num_joined))])
    return found.blocks


class UnreadDocument(DocumentFormat):
    """Documents that are recognised but not read: the error says what to do with them."""

    name = "unread"
    description = "a document that is not read"

    def detect(self, sample: Sample) -> bool:
        return bool(kind := document_kind(sample.head)) and kind not in DOCUMENTS

    def blocks(self, data: bytes, name: str, log: ReadingLog) -> list[Block]:
        return read_document(data, document_kind(data), name).blocks

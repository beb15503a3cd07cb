"""Mail, mailboxes (mbox), digests of mailing lists, and pages that a browser saved in one file (MHTML), with one story per
message."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from fabula.corpus.formats.base import FilePlan, ReaderRemoval, ReadingLog, Sample
from fabula.corpus.formats.rows import Row, RowFormat
from fabula.corpus.lines import FileRange
from fabula.errors import FabulaError

if TYPE_CHECKING:
    from email.message import EmailMessage

_HEADERS = re.compile(
    rb"(?:From \S[^\r\n]*\r?\n)?(?:[A-Z][\w-]{1,40}:[ \t][^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*){3,}"
)
_OF_MAIL = re.compile(rb"(?m)^(?:Message-ID|MIME-Version|Received|Return-Path):", re.IGNORECASE)
_MESSAGE = re.compile(rb"(?m)^From \S.*\d{4}[^\r\n\d]{0,8}\r?\n(?=[A-Z][\w-]+:)")
_IN_DIGEST = re.compile(
    rb"(?m)^-{30}\r?\n(?:[ \t]*\r?\n)+(?=(?:Message: \d+\r?\n)?(?:Date|From|Subject|To): |End of )"
)
"""The line before each message of a digest (RFC 1153)."""

_END_OF_DIGEST = re.compile(rb"(?s)(?:Subject: Digest Footer\b|End of ).*")
_MIN_MESSAGES = 3
"""With fewer, the line may stand in a mail that was forwarded."""

_SIGNATURE = re.compile(r"(?:\n|\A)--[ \u00a0]*\n(?:.{0,80}(?:\n|\Z)){0,8}\Z")
"""The sender's name and address below the line that mail programs put before it."""

_OF_PROGRAMS = re.compile(r"\.(?:p7s|vcf|ics|asc|sig)$", re.IGNORECASE)
"""Attachments that programs add: signatures, visiting cards, appointments."""

_FEW_WORDS = 100
"""A mail of fewer words may only go with its attachments."""


class Mail(RowFormat):
    name = "mail"
    description = "mail, one story a message"

    def detect(self, sample: Sample) -> bool:
        headers = _HEADERS.match(sample.head[:8192])
        is_mail = headers is not None and _OF_MAIL.search(headers[0]) is not None
        return is_mail or len(_IN_DIGEST.findall(sample.head)) >= _MIN_MESSAGES

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        import email  # is slow to import
        import email.policy

        data = plan.read_bytes()
        messages = list(_IN_DIGEST.finditer(data))
        if len(messages) >= _MIN_MESSAGES:
            contents = data[: messages[0].start()].decode("utf-8", "replace").strip()
            log.removals.append(ReaderRemoval(plan.name, 1, "contents", contents))
        else:
            messages = list(_MESSAGE.finditer(data))
        starts = [found.end() for found in messages] or [0]
        ends = [found.start() for found in messages][1:]
        line, place = 1, 0
        for start, end in zip(starts, [*ends, len(data)], strict=False):
            line, place = line + data.count(b"\n", place, start), start
            if found := _END_OF_DIGEST.match(data, start, end):
                log.removals.append(
                    ReaderRemoval(plan.name, line, "end-of-digest", found[0].decode("utf-8", "replace"))
                )
                continue
            message = email.message_from_bytes(data[start:end], policy=email.policy.default)
            text = _body(message, plan.name)
            if signature := _SIGNATURE.search(text):
                log.removals.append(ReaderRemoval(plan.name, line, "signature", signature[0].strip()))
                text = text[: signature.start()]
            for attached in message.iter_attachments():
                name = attached.get_filename() or ""
                if name and attached.get_content_maintype() != "image" and not _OF_PROGRAMS.search(name):
                    log.removals.append(ReaderRemoval(plan.name, 0, "attachment", f"the attachment {name}"))
                    if len(starts) == 1 and len(text.split()) < _FEW_WORDS:
                        hint = "save it, and name that file"
                        raise FabulaError(
                            f"the stories may be in the attachment {name!r} of this mail",
                            where=plan.name,
                            hint=hint,
                        )
            yield line, {"title": str(message.get("subject", "")), "text": text}


def _body(message: "EmailMessage", name: str) -> str:
    """The text of a message, or the text of its HTML if it has no plain text."""
    found = message.get_body(("plain", "html"))
    if found is None:
        return ""
    data = found.get_payload(decode=True)
    assert isinstance(data, bytes)
    if found.get_content_subtype() == "html":
        from fabula.corpus.documents.html import decode_markup, html_to_text

        return html_to_text(decode_markup(data, name))
    try:
        text = data.decode(found.get_content_charset("utf-8"), "replace")
    except LookupError:  # the character set is unknown
        text = data.decode("utf-8", "replace")
    return re.sub(r"(?m)^>(>*From )", r"\1", text.replace("\r\n", "\n"))

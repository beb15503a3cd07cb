"""Logs of chats in which people write stories together: Discord (DiscordChatExporter), Telegram, WhatsApp, IRC; and of talks
(Otter)."""

import re
from collections.abc import Sequence

from fabula.corpus.documents.document import Collector, Document

_DATE = r"\d{1,4}[-/.](?:\d{1,2}|\w{3})[-/.]\d{2,4},? \d{1,2}[:.]\d{2}(?:[:.]\d{2})?(?:[\s\u202f]?[AaPp]\.?[Mm]\.?)?"
_MESSAGE = re.compile(
    rf"\u200e?(?:(?P<copied>[^\n:]{{1,40}}) [—–] (?:{_DATE}|(?:Today|Yesterday) at \d{{1,2}}:\d{{2}}(?: [AP]M)?)|[^\n:\[]{{1,40}}, \[{_DATE}\]|[^\n:\d]{{1,40}}? {{1,3}}\d{{1,2}}:\d{{2}} [AP]M|\S[^\n:]{{1,40}}? {{2,3}}\d{{1,2}}(?::\d{{2}}){{1,2}}|\[{_DATE}\] (?P<alone>[^:\n]{{1,60}})|(?:\[{_DATE}\] |{_DATE} - )(?P<name>[^:\n]{{1,60}}): (?P<text>.*)"
    r"|[\[(]?\d{1,2}:\d{2}(?::\d{2})?(?: ?[AP]M)?[\])]?\s*(?:<[@+~%& ]?[^>\n]{1,40}>\s|[^:<>\t\n]{1,40}(?:: |\t))(?P<said>.*))"
)
_SECTION = re.compile(r"\{(?:Attachments|Reactions|Embed|Embeds|Stickers|Inline Emoji)\}")
_RULE = re.compile(r"={20,}")
_SYSTEM = re.compile(
    r"\u200e.*|<?(?:Media|image|video|audio|sticker|GIF|document) omitted>?|This message was deleted\.?"
    r"|You deleted this message\.?|Pinned a message\.?|Joined the server\.?|Started a call.*",
    re.IGNORECASE,
)
"""The program's text in place of a message."""

_NOTICE = re.compile(
    rf"\u200e?(?:\d{{4}}[-/.]\d\d?[-/.]\d\d? ?\(\w+\)|{_DATE} - [^:]*|\[?\d{{1,2}}:\d{{2}}(?::\d{{2}})?\]?\s*(?:\*|-!-|-->|<--).*|Transcribed by https?:\S+)"
)
"""A line by the program: who joined and left."""


def is_chat(lines: Sequence[str]) -> bool:
    """Whether a text is a log of messages."""
    filled = [line for line in lines if line.strip()]
    heads = sum(bool(_MESSAGE.fullmatch(line.strip())) for line in filled)
    return heads >= 5 and heads >= 0.2 * len(filled)


def read_chat(text: str) -> Document:
    """The messages of a log in order, one paragraph each, without names, dates, reactions and the program's own
    lines."""
    collector = Collector()
    message: list[str] = []
    taking = False
    for line in [*text.split("\n"), "[0/0/00 0:00] "]:
        stripped = line.strip()
        found = _MESSAGE.fullmatch(stripped)
        if found or _RULE.fullmatch(stripped) or line.startswith("[0/0/00"):
            _say(message, collector)
            message = []
            taking = bool(found)
            said = (found["text"] or found["said"]) if found else None
            if said:
                message.append(said)
            collector.leave_out(line if not said else line[: len(line) - len(said)], "chat_line")
        elif _SECTION.fullmatch(stripped) or _NOTICE.fullmatch(stripped):
            taking = False
            collector.leave_out(stripped, "chat_line")
        elif taking:
            message.append(stripped)
        else:
            collector.leave_out(stripped, "chat_line")
    return collector.document()


def _say(message: Sequence[str], collector: Collector) -> None:
    text = "\n".join(message).strip()
    if _SYSTEM.fullmatch(text):
        collector.leave_out(text, "chat_line")
    elif text:
        collector.paragraph(re.sub(r"\n{2,}", "\n", text))

"""Markdown: text with marked headings, scene breaks and emphasis, perhaps with front matter."""

import re

from fabula.corpus.blocks import Block
from fabula.corpus.formats.base import DocumentFormat, ReaderRemoval, ReadingLog, Sample
from fabula.corpus.lines import decode
from fabula.corpus.splitting.text_blocks import FIELD

_SETTINGS = re.compile(r"\s*(---|\+\+\+)[ \t]*\n(?:.*\n){0,200}?(?:\1|\.\.\.)[ \t]*(?:\n|$)")
_SETTING = re.compile(r"(?m)^[\w .-]+\s*[:=]")
_HEADING = re.compile(r"(?m)^#{1,6} \S")
_MARK = re.compile(
    r"(?m)^#{1,6} \S|(?<!\w)(\*\*?|__?)(?=\S)[^*_\n]+(?<=\S)\1(?!\w)|^>\s|\[[^\[\]\n]+\]\(https?://|^[-*+]\s\S.*$\s*\Z|\[\^\w+\]"
)
_COMMENT = re.compile(
    r"<!--.*?-->|^%%~[^\n]*$|%%.*?%%|^%[^%\n]+$|^@(?:pov|char|plot|time|location|object|entity|custom|focus|mention|story):[^\n]*$|\{%.*?%\}|\{\{[<%].*?[%>]\}\}|^[ \t]*[\w-]+::[ \t][^\n]*$|!\[\[[^\[\]\n]*\]\]|^[ \t]*(?:#[^\W\d][\w/-]*[ \t]*)+$|(?<![ \t])[ \t]*\{#[\w-][^{}\n]*\}[ \t]*$|^\{:[^{}\n]*\}[ \t]*$|^\\(?:pagebreak|newpage|clearpage)\b[^\n]*$|(?:^|(?<![ \t])[ \t]+)\^[A-Za-z][\w-]{2,}[ \t]*$",
    re.DOTALL | re.MULTILINE,
)
"""Text in Markdown that is meant for its author or for a program: comments, embedded files, lines of tags, Liquid, shortcodes of
Hugo, attributes of kramdown, properties of Logseq, names of blocks in Obsidian, tags and synopses of novelWriter."""

_FOOTNOTE = re.compile(
    r"^\[\^[^\[\]\s]+\]:.*(?:\n(?:[ \t]+\S.*|\n(?=[ \t]+\S)))*|\[\^[^\[\]\s]+\]", re.MULTILINE
)
_JOPLIN = re.compile(r"(?:\A|\n)id: [0-9a-f]{32}\n(?:\w+:.*\n)*type_: (\d+)\s*\Z")
"""What Joplin writes below each note; type 1 is a note."""


_FIELDS = re.compile(
    r"(?P<title>\s*# [^\n]*\n\s*)(?P<fields>(?:[^\W\d_a-z][\w /]{0,30}: \S[^\n]{0,200}\n){2,})(?=\n)"
)
"""What Notion writes below the title: the properties of a page."""


class Markdown(DocumentFormat):
    name = "markdown"
    description = "Markdown"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        if find_settings(sample.text) or _JOPLIN.search(sample.text) or sample.text.startswith("%%~name:"):
            return True
        if sample.suffix in (".md", ".markdown", ".mdown", ".mkd"):
            return bool(_MARK.search(sample.text)) or "\\" in sample.text
        return len(_HEADING.findall(sample.text)) >= 2

    def blocks(self, data: bytes, name: str, log: ReadingLog) -> list[Block]:
        from fabula.corpus.documents.markdown import markdown_blocks  # its parser takes long to load

        text = decode(data, name, 1, 0).removeprefix("\ufeff")
        text = re.sub(r"\r\n?", "\n", text)
        settings = find_settings(text)
        lines_before = settings.count("\n")
        if settings:
            log.removals.append(ReaderRemoval(name, 1, "front-matter", settings.strip()))
        body = text[len(settings) :]
        if joplin := _JOPLIN.search(body):
            log.removals.append(ReaderRemoval(name, 1, "front-matter", joplin[0].strip()))
            body = "# " + body[: joplin.start()]  # its first line is the title
        if (fields := _FIELDS.match(body)) and _are_known(fields["fields"]):
            log.removals.append(ReaderRemoval(name, 1, "front-matter", fields["fields"].strip()))
            body = fields["title"] + "\n" * fields["fields"].count("\n") + body[fields.end() :]
        for pattern, reason in ((_COMMENT, "comment"), (_FOOTNOTE, "footnote")):
            for found in pattern.finditer(body):
                log.removals.append(ReaderRemoval(name, 1, reason, found[0]))
            body = pattern.sub("", body)
        return markdown_blocks(body, lines_before)


def _are_known(fields: str) -> bool:
    """Whether most of the lines are fields that stories have."""
    lines = fields.strip().split("\n")
    return sum(bool(FIELD.fullmatch(line)) for line in lines) > 0.5 * len(lines)


def why_no_story(text: str) -> str:
    """Why a file among others that programs for notes write holds no story: it is a template, a list of links, or a list
    of properties; "" if it may hold one."""
    body = text[len(find_settings(text)) :]
    if (joplin := _JOPLIN.search(text)) and joplin[1] != "1":
        return "a notebook or attachment of Joplin"
    if len(_PLACEHOLDER.findall(text)) >= 2:
        return "a template"
    words = len(_HEADING_LINE.sub("", body).split())
    if not words:
        return ""
    links = _LINK_LINE.findall(body)
    if len(links) >= 3 and sum(len(link.split()) for link in links) >= 0.8 * words:
        return "a list of links"
    properties = _PROPERTY_LINE.findall(body)
    return (
        "a list of properties"
        if sum(len(one.split()) for one in properties) >= words and len(properties) > 1
        else ""
    )


_PLACEHOLDER = re.compile(r"\{\{ ?[a-z][\w :.-]{0,40}\}\}|<% ?[*_-]? ?tp\.", re.IGNORECASE)
_HEADING_LINE = re.compile(r"(?m)^#{1,6} .*$")
_LINK_LINE = re.compile(
    r"(?m)^[ \t]*(?:[-*+]|\d+[.)])?[ \t]*(?:\[[^\]\n]+\]\([^)\n]*\)|!?\[\[[^\]\n]+\]\])[ \t]*$"
)
_PROPERTY_LINE = re.compile(r"(?m)^[ \t]*[-*+] [\w ]{1,24}::? \S.{0,60}$")


def find_settings(text: str) -> str:
    """The front matter (YAML or TOML) at the head of a file, or ""."""
    match = _SETTINGS.match(text)
    return match[0] if match and _SETTING.search(match[0]) else ""

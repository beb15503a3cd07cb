"""The text of Markdown: its headings, scene breaks and paragraphs, without its marks."""

import re
from collections.abc import Sequence
from dataclasses import replace

from markdown_it import MarkdownIt
from markdown_it.token import Token

from fabula.corpus.blocks import Block
from fabula.corpus.documents.document import Collector, is_divider
from fabula.corpus.splitting.pages import unwrap
from fabula.corpus.splitting.text_blocks import with_prompts

_UNDERLINED = re.compile(r"(?m)^(\S[^\n]{0,100})\n={3,}[ \t]*$")

_BREAK_TAG = re.compile(r"</?(?:br|p|div|center|section|blockquote)\b[^<>\n]*>", re.IGNORECASE)
_RULE_TAG = re.compile(r"<hr\b[^<>\n]*>", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:i|b|u|s|em|strong|span|a|img|small|big|sup|sub|font|details|summary|del|ins)\b[^<>\n]*>",
    re.IGNORECASE,
)

_PARSER = MarkdownIt("commonmark", {"html": False}).disable(
    ["code", "html_block", "html_inline", "lheading", "entity"]
)


def markdown_blocks(text: str, lines_before: int = 0) -> list[Block]:
    """The blocks of a Markdown text; `lines_before` is added to the numbers of its lines."""
    # Writers indent paragraphs with spaces, which does not mean code.
    text = re.sub(r"(?m)^[ \t\u3000]+(?=\S)", "", text)
    # and lines that begin with a year or a number are not lists
    text = re.sub(r"(?m)^(\d{1,4})([.)])(?=\s)", r"\1\\\2", text)
    text = _RULE_TAG.sub("\n\n* * *\n\n", _TAG.sub("", _BREAK_TAG.sub("\n", text))) if "<" in text else text
    text = _UNDERLINED.sub(r"# \1\n", text)
    collector = Collector()
    tokens = _PARSER.parse(text)
    depth = 0
    for number, token in enumerate(tokens):
        depth += {"blockquote_open": 1, "blockquote_close": -1}.get(token.type, 0)
        collector.line = (token.map[0] if token.map else 0) + 1 + lines_before
        if token.type == "hr":
            collector.divider()
        elif token.type in ("fence", "code_block"):
            collector.paragraph(token.content)
        elif token.type == "inline":
            content = unwrap(_plain(token.children or [])).strip()
            if tokens[number - 1].type == "heading_open":
                collector.heading(" ".join(content.split()), int(tokens[number - 1].tag[1]))
            elif depth and not is_divider(content):
                collector.paragraph(re.sub("(?m)^", "> ", content))
            else:
                collector.paragraph(content, ("bold",) if _is_bold(token.children or []) else None)
    return [
        replace(block, text=re.sub("(?m)^> ", "", block.text)) if block.kind == "paragraph" else block
        for block in with_prompts(collector.document().blocks)
    ]


def _is_bold(tokens: Sequence[Token]) -> bool:
    """Whether all of a paragraph is bold."""
    depth, outside = 0, ""
    for token in tokens:
        depth += {"strong_open": 1, "strong_close": -1}.get(token.type, 0)
        outside += token.content if not depth else ""
    return not outside.strip() and any(token.type == "strong_open" for token in tokens)


def _plain(tokens: Sequence[Token]) -> str:
    """The text of a paragraph without markup; the text of a link is kept, an image is removed."""
    parts = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            parts.append(token.content)
        elif token.type in ("softbreak", "hardbreak"):
            parts.append("\n")
    text = "".join(parts)
    return re.sub(r"\[\[(?:[^\]|\n]*\|)?([^\]|\n]+)\]\]", r"\1", text)

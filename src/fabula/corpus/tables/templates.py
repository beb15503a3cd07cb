"""Text made for fine-tuning: prompts and answers, each after a marker of a template. The answers are the stories."""

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from fabula.corpus.splitting.markers import with_newlines

_CHATBOTS = "ChatGPT|Claude|Gemini|Copilot|Grok|DeepSeek"
"""Whose answers people copy from the page, with "You said:" and "ChatGPT said:" above the turns."""

_TURN = re.compile(
    r"<\|im_start\|>[ \t]*(?P<chatml>\w+)[ \t]*\n?"
    r"|<\|start_header_id\|>(?P<llama>\w+)<\|end_header_id\|>\s*"
    r"|<start_of_turn>[ \t]*(?P<gemma>\w+)[ \t]*\n?"
    r"|<[|｜](?P<bar>system|user|assistant|prompt|title|genre|theme|topic|keywords|summary|story|response|answer)[|｜]>"
    r"|\[(?P<inst>/?INST|WP|PROMPT|TITLE|GENRE|SUMMARY|RESPONSE|STORY)\]"
    r"|<\|?(?P<start>BOS|SOS|startoftext)\|?>|(?:<\|?|\[)(?P<sep>SEP)(?:\|?>|\])"
    r"|(?m:^)#{2,4}[ \t]*(?P<alpaca>System|Instruction|Input|Prompt|Human|User|Assistant|Response|Output|Story):?[ \t]*(?=\n)"
    r"|(?m:^)(?:#{2,4}[ \t]*)?(?P<label>System|Instruction|Prompt|Human|User|Assistant|Response|Completion|Output|Story):[ \t]*"
    rf"|(?m:^)(?:#{{2,6}}[ \t]*|\*\*)?(?P<pasted>User|You|Assistant|{_CHATBOTS})(?: said)?(?::\*\*|\*\*:|:)[ \t]*",
    re.IGNORECASE,
)
_ANSWERS = {
    "assistant", "model", "response", "completion", "output", "story", "answer", "/inst", "sep", "bot", "gpt", "ai",
    *_CHATBOTS.lower().split("|"),
}  # fmt: skip
_ENDS = re.compile(
    r"<\|(?:im_end|eot_id|end|endoftext|end_of_text)\|>|<end_of_turn>|</?s>|<(?:eos|bos)>|<\|begin_of_text\|>|<｜(?:begin|end)▁of▁sentence｜>"
    r"|<<SYS>>.*?<</SYS>>|(?m:^)Below is an instruction that describes a task[^\n]*",
    re.IGNORECASE | re.DOTALL,
)


class Turn(NamedTuple):
    """What one side says: where it begins in the text, whether it is an answer, the role in lower case, and the words."""

    place: int
    is_answer: bool
    role: str
    text: str


def turns(text: str) -> Iterator[Turn]:
    """The turns in a text, in order."""
    marks = list(_TURN.finditer(text))
    for mark, after in zip(marks, [*marks[1:], None], strict=False):
        said = _ENDS.sub("", text[mark.end() : after.start() if after else len(text)])
        role = next(value for value in mark.groups() if value).lower()
        yield Turn(mark.start(), role in _ANSWERS, role, with_newlines(said.strip()))


def is_template(text: str, min_answers: int) -> bool:
    """Whether prompts and answers, at least `min_answers`, take turns in a text."""
    roles = [turn.is_answer for turn in turns(text)]
    answers = sum(roles)
    alternate = sum(here != after for here, after in itertools.pairwise(roles))
    return (
        answers >= min_answers
        and alternate >= 0.9 * (2 * answers - 1)
        and len(roles) - answers >= 0.8 * answers
    )

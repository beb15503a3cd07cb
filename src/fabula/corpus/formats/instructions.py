"""Text made for fine-tuning: prompts and answers, each after a marker of a template. The answers are the stories."""

import itertools
import re
from collections.abc import Iterator

from fabula.corpus.formats.base import FilePlan, ReadingLog, Sample
from fabula.corpus.formats.rows import Row, RowFormat
from fabula.corpus.lines import FileRange, decode
from fabula.corpus.text_records import with_newlines

_TURN = re.compile(
    r"<\|im_start\|>[ \t]*(?P<chatml>\w+)[ \t]*\n?"
    r"|<\|start_header_id\|>(?P<llama>\w+)<\|end_header_id\|>\s*"
    r"|<start_of_turn>[ \t]*(?P<gemma>\w+)[ \t]*\n?"
    r"|<\|(?P<bar>system|user|assistant|prompt|title|genre|theme|topic|keywords|summary|story|response|answer)\|>"
    r"|\[(?P<inst>/?INST|WP|PROMPT|TITLE|GENRE|SUMMARY|RESPONSE|STORY)\]"
    r"|<\|?(?P<start>BOS|SOS|startoftext)\|?>|(?:<\|?|\[)(?P<sep>SEP)(?:\|?>|\])"
    r"|(?m:^)#{2,4}[ \t]*(?P<alpaca>System|Instruction|Input|Prompt|Human|User|Assistant|Response|Output|Story):?[ \t]*(?=\n)"
    r"|(?m:^)(?:#{2,4}[ \t]*)?(?P<label>System|Instruction|Prompt|Human|User|Assistant|Response|Completion|Output|Story):[ \t]*",
    re.IGNORECASE,
)
_ANSWERS = {
    "assistant",
    "model",
    "response",
    "completion",
    "output",
    "story",
    "answer",
    "/inst",
    "sep",
    "bot",
    "gpt",
    "ai",
}
_ENDS = re.compile(
    r"<\|(?:im_end|eot_id|end|endoftext|end_of_text)\|>|<end_of_turn>|</?s>|<(?:eos|bos)>|<\|begin_of_text\|>"
    r"|<<SYS>>.*?<</SYS>>|(?m:^)Below is an instruction that describes a task[^\n]*",
    re.IGNORECASE | re.DOTALL,
)
_MIN_ANSWERS = 2
_DETECTED_CHARS = 1 << 18


class Instructions(RowFormat):
    name = "instructions"
    description = "prompts and stories in a fine-tuning template"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        roles = [_role(turn) in _ANSWERS for turn in _TURN.finditer(sample.text[:_DETECTED_CHARS])]
        answers = sum(roles)
        alternate = sum(here != after for here, after in itertools.pairwise(roles))
        return (
            answers >= _MIN_ANSWERS
            and alternate >= 0.9 * (2 * answers - 1)
            and len(roles) - answers >= 0.8 * answers
        )

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        text = decode(plan.read_bytes(), plan.name, 1, 0).removeprefix("\ufeff")
        turns = list(_TURN.finditer(text))
        line, place, prompt = 1, 0, ""
        for turn, after in zip(turns, [*turns[1:], None], strict=True):
            said = _ENDS.sub("", text[turn.end() : after.start() if after else len(text)])
            said = with_newlines(said.strip())
            line, place = line + text.count("\n", place, turn.start()), turn.start()
            role = _role(turn)
            if role in _ANSWERS:
                yield line, {"prompt": prompt, "text": said}
                prompt = ""
            elif role != "system":
                prompt = f"{prompt}\n{said}".strip()


def _role(turn: re.Match[str]) -> str:
    return next(value for value in turn.groups() if value).lower()

"""Text in a template for fine-tuning, with prompts and stories."""

from collections.abc import Iterator

from fabula.corpus.formats.base import FilePlan, ReadingLog, Sample
from fabula.corpus.formats.rows import Row, RowFormat
from fabula.corpus.lines import FileRange, decode
from fabula.corpus.tables.templates import is_template, turns

_MIN_ANSWERS = 2
_DETECTED_CHARS = 1 << 18


class Instructions(RowFormat):
    name = "instructions"
    description = "prompts and stories in a fine-tuning template"
    is_text = True

    def detect(self, sample: Sample) -> bool:
        return is_template(sample.text[:_DETECTED_CHARS], _MIN_ANSWERS)

    def rows(self, plan: FilePlan, part: FileRange, log: ReadingLog) -> Iterator[Row]:
        text = decode(plan.read_bytes(), plan.name, 1, 0).removeprefix("\ufeff")
        line, place, prompt = 1, 0, ""
        for turn in turns(text):
            line, place = line + text.count("\n", place, turn.place), turn.place
            if turn.is_answer:
                yield line, {"prompt": prompt, "text": turn.text}
                prompt = ""
            elif turn.role != "system":
                prompt = f"{prompt}\n{turn.text}".strip()

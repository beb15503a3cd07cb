"""The text of docs/rules.md, made from the rules of cleaning; `generate.py` writes it."""

from fabula.corpus.boilerplate import RULE_SETS, RULES
from fabula.corpus.boilerplate.rule import CERTAIN, HINT, LIKELY, STRONG
from fabula.corpus.boilerplate.rules import RULE_LIST

STRENGTHS = {CERTAIN: "certain", STRONG: "strong", LIKELY: "likely", HINT: "hint"}

INTRODUCTION = """# Rules of cleaning

Written by `make docs` from `src/fabula/corpus/boilerplate/`; do not edit.

A note is text in a story's record that is not part of the story. Rules only propose: each rule searches a paragraph for
its signs, and every sign adds evidence for a note. Speech, block quotes, third-person pronouns and length are evidence for a
story. The classifier, a small logistic regression on the words of the paragraph, can be evidence for either. A note is the run
of paragraphs at the beginning or end of a text with the highest total score, if that score is high enough. A divider (`----`,
`***`, `\\____`) before a note makes the note likelier and is removed with it; a divider before more story stays. Between
paragraphs of a story, only what carries the author's label, a bracket about the next part, the news of a hiatus and Royal Road's
notices against theft are notes. What a character says (in quotation marks, or in italics within a paragraph) is never a sign.

Confidence is the probability that the combiner gives to the whole note. `--keep RULE` leaves the findings of a rule in the text.

## Rule sets
"""


def reference() -> str:
    lines = [INTRODUCTION, "| set | for |", "| --- | --- |"]
    lines += [f"| `{name}` | {doc} |" for name, doc in RULE_SETS.items()]
    lines += ["", "## Rules", ""]
    listed = {rule.name: rule for rule in RULE_LIST}
    for name, doc in RULES.items():
        lines += [f"### `{name}`", "", doc, ""]
        if rule := listed.get(name):
            lines.append(
                f"- in the sets: {', '.join(rule.sets)}{'; only at the head' if rule.where == 'head' else ''}"
            )
            counts = {
                label: sum(sign.evidence == value for sign in rule.signs)
                for value, label in STRENGTHS.items()
            }
            if rule.signs:
                lines.append(
                    f"- signs: {', '.join(f'{count} {label}' for label, count in counts.items() if count)}"
                )
            lines += [f"- finds: `{example}`" for example in rule.examples]
            lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"

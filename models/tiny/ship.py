"""Make of a trained model what is shipped: half precision, sampling settings, and a card with its figures.

    python models/tiny/ship.py WORK

WORK is build.sh's folder: WORK/model, WORK/corpus and WORK/ATTRIBUTION.md are there; WORK/tiny is made, with what its
figures come from beside it (WORK/evaluation, WORK/run, WORK/held_out_fairy_tales.txt).
"""

import shutil
import sys
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from transformers import AutoModelForCausalLM, AutoTokenizer

import fabula
from fabula.corpus.store import open_corpus
from fabula.evaluation.tune import apply_settings
from fabula.files import read_json, write_json
from fabula.generation.engines import load_engine
from fabula.generation.settings import SamplingSettings
from fabula.generation.write import write_stories
from fabula.results import LOG, TrainingLog, TrainingManifest

PROMPT = "Once upon a time,"
NUM_SAMPLES = 5
SETTINGS = SamplingSettings(temperature=0.8, top_p=0.95, max_new_tokens=200)
"""Chosen by reading: what `fabula tune` takes is as varied as people's stories, and for so small a model that is too much."""
NUM_FAIRY_TALES = 1_659
"""Rows of tales.jsonl before the modern stories."""


def write_halved(model: Path, out: Path) -> None:
    """Write the model in float16, with its tokenizer.

    The configuration names float32, so that transformers widens the weights as it reads them: in float16 a CPU takes
    ten times as long.
    """
    if (out / "config.json").exists():
        return
    AutoModelForCausalLM.from_pretrained(model).half().save_pretrained(out)
    write_json(out / "config.json", read_json(out / "config.json") | {"dtype": "float32"})
    AutoTokenizer.from_pretrained(model).save_pretrained(out)


def write_held_out(corpus: Path, out: Path) -> int:
    """Write the held-out fairy tales, one a line, for a scorer that is not fabula's. Returns their number."""
    stories = [s for s in open_corpus(corpus).stories("validation") if s.source_line <= NUM_FAIRY_TALES]
    lines = [f"<sos> {story.text.replace(chr(10), ' <nl> ')} <eos>\n" for story in stories]
    out.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def samples(model: Path) -> list[str]:
    """Stories from the prompt, seeds 0 to 4; none is left out."""
    prompts, seeds = [PROMPT] * NUM_SAMPLES, range(NUM_SAMPLES)
    engine = load_engine(model, "transformers")
    written = write_stories(engine, prompts, settings=SETTINGS, seeds=seeds)
    return ["> " + PROMPT + story.text.replace("\n", "\n>\n> ") for story in written]


def main() -> None:
    work = Path(sys.argv[1])
    tiny, corpus = work / "tiny", work / "corpus"
    write_halved(work / "model", tiny)
    apply_settings(tiny, SETTINGS)
    num_fairy_tales = write_held_out(corpus, work / "held_out_fairy_tales.txt")
    options = fabula.EvaluationOptions(num_samples=100, engine="transformers")
    evaluation = fabula.evaluate([tiny], corpus, out=work / "evaluation", options=options)
    run = fabula.run(base=str(tiny), out=work / "run")
    training = TrainingManifest.find(work / "model")
    assert training is not None
    log = TrainingLog.load(work / "model" / LOG)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, trim_blocks=True
    )
    base, tuned = run.evaluation.models
    card = environment.get_template("card.md").render(
        figures=evaluation.models[0],
        human=evaluation.human,
        held_out=evaluation.held_out,
        num_fairy_tales=num_fairy_tales,
        epochs=log.steps[-1].epoch,
        counts=training.counts,
        corpus=open_corpus(corpus).manifest.counts,
        megabytes=(tiny / "model.safetensors").stat().st_size / 1e6,
        base=base,
        tuned=tuned,
        before=samples(tiny),
        after=samples(run.model),
        prompt=PROMPT,
    )
    (tiny / "README.md").write_text(card, encoding="utf-8")
    shutil.copyfile(work / "ATTRIBUTION.md", tiny / "ATTRIBUTION.md")


if __name__ == "__main__":
    main()

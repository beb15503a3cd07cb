"""`fabula export`: converts a model to the format of another program, and checks it in that program before it is
kept."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fabula.config import Record
from fabula.corpus.read import open_stories
from fabula.corpus.store import open_corpus
from fabula.errors import FabulaError, did_you_mean
from fabula.exporting.fidelity import Fidelity, compare, longest_contexts
from fabula.files import atomic_folder, check_is_ours, library_versions, write_json
from fabula.formatting import format_percent
from fabula.install import missing_extra, missing_requirements
from fabula.models.find import find_model
from fabula.models.load import context_length_of, load_model
from fabula.models.records import weights_mark
from fabula.models.story_format import find_story_format
from fabula.progress import OnProgress, Progress, silent
from fabula.results import EXPORT, ExportRecord
from fabula.tokens.tokenizer import encode, load_tokenizer

SAMPLE_STORIES = Path(__file__).parent.parent / "data" / "sample_stories.txt"

WINDOW, NUM_PLACES = 128, 512
"""Most tokens of each story that are used, and most positions that are compared."""


class Format(Record):
    """What is known about a format before its module and its libraries are loaded."""

    module: str
    libraries: tuple[str, ...]
    default: str
    """The default quantisation."""
    max_logits: int | None = None
    """The most logits to ask of it, if it computes them slowly."""


FORMATS = {
    "gguf": Format(
        module="gguf_format", libraries=("gguf", "xllamacpp"), default="q8_0", max_logits=3_200_000
    ),
    "ctranslate2": Format(module="ctranslate2_format", libraries=("ctranslate2",), default="int8"),
    "onnx": Format(
        module="onnx_format",
        libraries=("onnx", "onnx_ir", "onnxscript", "onnxruntime", "torch"),
        default="int8",
    ),
}


class ExportResult(ExportRecord):
    """What `fabula export` made, and how close it is to the original."""

    out: str
    """The folder that was written."""


def export(
    model: str | Path,
    to: str,
    *,
    out: str | Path | None = None,
    quantize: str | None = None,
    text: str | Path | None = None,
    max_loss: float = 0.01,
    on_progress: OnProgress = silent,
) -> ExportResult:
    """Convert a model, load the result in the program it is for, and compare its predictions with the original's.

    Args:
        model: folder of a model or of a run.
        to: "gguf", "ctranslate2" or "onnx".
        out: the folder to write; by default the model's with `-<format>` appended.
        quantize: how weights are stored; each format's module lists its choices. By default 8 bits.
        text: a corpus, whose validation stories are used, or a file of stories; by default the bundled stories.
        max_loss: the most that may be lost, as a share of the original's bits per byte (see `Fidelity.share_lost`).

    Raises:
        FabulaError: the format or quantisation is unknown, a library is not installed, the format does not support the
            model, `out` has unexpected files, or the loss is above `max_loss`. Nothing is then left in `out`.
    """
    if to not in FORMATS:
        raise FabulaError(f"unknown format {to!r}", hint=did_you_mean(to, FORMATS))
    chosen = FORMATS[to]
    folder = find_model(model)
    target = Path(out) if out else folder.with_name(f"{folder.name}-{to}")
    if not (target / EXPORT).is_file():
        check_is_ours(target, "--out")
    absent = [name for name in chosen.libraries if find_spec(name) is None]
    if missing := absent or missing_requirements("export", chosen.libraries):
        raise missing_extra(f"export to {to} needs {', '.join(missing)}", "export", packages=chosen.libraries)
    format_module = import_module(f"fabula.exporting.{chosen.module}")
    quantize = quantize or chosen.default
    if quantize not in format_module.QUANTIZATIONS:
        raise FabulaError(
            f"unknown quantisation {quantize!r}", hint=did_you_mean(quantize, format_module.QUANTIZATIONS)
        )

    on_progress(Progress("export", message=f"converting to {to}, weights in {quantize}"))
    with atomic_folder(target) as partial:
        format_module.write(folder, partial, quantize)
        on_progress(
            Progress("export", message="loading it and comparing its predictions with the original's")
        )
        fidelity, described = _verify(folder, partial, format_module, chosen.max_logits, text)
        if not fidelity.share_lost <= max_loss:
            raise FabulaError(
                f"the {to} model in {quantize} predicts {format_percent(fidelity.share_lost, 2)} worse than the original (KL"
                f" {fidelity.kl:.4f} nats per token); the limit is {format_percent(max_loss, 2)}",
                hint="choose a finer --quantize, or allow more with --max-loss",
            )
        result = ExportResult(
            out=str(target),
            weights=weights_mark(folder),
            format=to,
            quantization=quantize,
            files={
                file.relative_to(partial).as_posix(): file.stat().st_size
                for file in sorted(partial.rglob("*"))
                if file.is_file()
            },
            text=described,
            num_places=fidelity.num_tokens,
            kl=fidelity.kl,
            greedy_agreement=fidelity.greedy_agreement,
            bits_per_byte=fidelity.bits_per_byte,
            bits_per_byte_lost=fidelity.bits_per_byte_lost,
            share_lost=fidelity.share_lost,
            max_loss=max_loss,
            versions=library_versions(*chosen.libraries),
        )
        write_json(partial / EXPORT, result.model_dump(mode="json", exclude={"out"}))
    return result


def _verify(
    folder: Path, out: Path, format_module: Any, max_logits: int | None, text: str | Path | None
) -> tuple[Fidelity, str]:
    """Compare the export in `out` with the model in `folder`. Also returns a description of the text."""
    model, tokenizer = load_model(folder), load_tokenizer(folder)
    limits = [
        WINDOW,
        context_length_of(model.config),
        getattr(model.config, "sliding_window", None) or WINDOW,
    ]
    stories, described = _texts(text)
    ids = [each.tolist() for each in encode(tokenizer, stories)]
    if hasattr(format_module, "tokenize"):
        _check_tokens(ids, format_module.tokenize(out, stories), tokenizer, folder)
    start_id = find_story_format(folder, tokenizer, model).start_id
    windows = [[start_id, *each][: min(limits)] for each in ids]
    places = [(window, place) for window in windows for place in range(1, len(window))]
    if not places:
        raise FabulaError("there is no text to compare predictions on", where=described)
    num_places = min(NUM_PLACES, len(places))
    if max_logits is not None:
        num_places = min(num_places, max(max_logits // model.config.vocab_size, 1))
    # The positions are spread over all windows, and are the same for each export of a model.
    picked = [places[number] for number in np.linspace(0, len(places) - 1, num_places).astype(int)]
    contexts = [window[:place] for window, place in picked]
    next_ids = np.array([window[place] for window, place in picked])
    num_bytes = sum(
        len(tokenizer.decode([token]).encode())  # pyright: ignore[reportAttributeAccessIssue]
        for token in next_ids
    )
    with torch.inference_mode():
        original = np.concatenate(
            [
                model(torch.tensor([longest]), logits_to_keep=torch.tensor(lengths) - 1).logits[0].numpy()
                for longest, lengths in longest_contexts(contexts)
            ]
        )
    converted = format_module.predict(out, contexts, original.shape[1])
    return compare(original, converted, next_ids, max(num_bytes, 1)), described


def _check_tokens(ours: list[list[int]], theirs: list[list[int]], tokenizer: Any, folder: Path) -> None:
    """Check that the other program cuts texts into the same tokens.

    Raises:
        FabulaError: it cuts them differently.
    """
    for expected, found in zip(ours, theirs, strict=True):
        if expected != found:
            place = next(
                (n for n, pair in enumerate(zip(expected, found, strict=False)) if len(set(pair)) > 1), 0
            )
            words = tokenizer.decode(expected[max(place - 2, 0) : place + 3])
            raise FabulaError(
                f"the other program cuts {words!r} into different tokens than the model", where=folder
            )


def _texts(text: str | Path | None) -> tuple[list[str], str]:
    """Up to 32 stories, and their description."""
    limit = 32
    if text is not None and (Path(text) / "manifest.json").is_file():
        corpus = open_corpus(Path(text))
        stories, described = corpus.stories("validation"), f"validation stories of {Path(text).name}"
    else:
        stories = iter(open_stories(text or SAMPLE_STORIES))
        described = f"stories of {Path(text).name}" if text else "the bundled sample stories"
    return [story.text for story, _ in zip(stories, range(limit), strict=False)], described

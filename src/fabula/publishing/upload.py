"""Upload a folder to the hub, with a one-line error if it fails."""

from pathlib import Path
from typing import Literal

from fabula.errors import FabulaError
from fabula.progress import OnProgress, Progress

MESSAGE = "Publish with fabula"


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
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    again = "run the same command again: files that have arrived are not sent twice"
    on_progress(Progress("publish", message=f"uploading to {repo} ({kind})"))
    api = HfApi(library_name="fabula")
    try:
        url = api.create_repo(
            repo,
            repo_type=kind,
            private=private,
            exist_ok=True,
            space_sdk="docker" if kind == "space" else None,
        )
        api.upload_folder(repo_id=repo, repo_type=kind, folder_path=folder, commit_message=MESSAGE)
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
                f"your token may not write to {repo} ({said})",
                hint="use one with write access to it: hf auth login",
            ) from None
        if status >= 500 or status == 429:
            raise FabulaError(f"the hub cannot accept it now ({status}: {said})", hint=again) from None
        raise FabulaError(f"the hub refuses {repo} ({status}: {said})") from None
    except (httpx2.HTTPError, OSError, RuntimeError) as error:
        message = str(error).strip().splitlines()
        raise FabulaError(
            f"the upload was interrupted ({message[0] if message else type(error).__name__})", hint=again
        ) from None
    return str(url)

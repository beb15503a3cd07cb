"""Reading a request's body, and refusing a request."""

import json
from typing import Any

from starlette.requests import Request

from fabula.generation.settings import SamplingSettings


class Refusal(Exception):
    """A request that is refused.

    Args:
        message: a sentence for the client.
        status: the HTTP status.
        field: the field of the body that is wrong, where it is one.
    """

    def __init__(self, message: str, status: int, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.field = status, field


def check_origin(request: Request) -> None:
    """Refuse a request that a page of another site sends.

    Raises:
        Refusal: with the sentence for the client.
    """
    origin = request.headers.get("origin")
    if origin is not None and origin.partition("://")[2] != request.headers.get("host"):
        raise Refusal("Requests from other sites are refused.", 403)


def check_guard(own: SamplingSettings, wanted: SamplingSettings) -> None:
    """Check that a request leaves the copy guard at least as strict as the server has it.

    Raises:
        Refusal: it does not.
    """
    if own.copy_guard and not 0 < wanted.copy_guard <= own.copy_guard:
        raise Refusal(
            f"This server does not write passages of {own.copy_guard} characters from a training story.",
            422,
            "copy_guard",
        )


async def read_body(request: Request) -> dict[str, Any]:
    """The JSON object in a request.

    It refuses a type other than JSON, and a request that a page of another site sends, so that no other site can make a
    visitor's browser use the model.

    Raises:
        Refusal: with the sentence for the client.
    """
    check_origin(request)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise Refusal("The request must be of type application/json.", 415)
    try:
        body = json.loads(await request.body())
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Refusal("The request contains half a character (a lone surrogate).", 400) from None
    except (ValueError, RecursionError):
        raise Refusal("The request is not valid JSON.", 400) from None
    if not isinstance(body, dict):
        raise Refusal("The request must be a JSON object.", 400)
    return body

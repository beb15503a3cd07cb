"""How a model is served: the settings, and the limits on what one visitor may use."""

from pathlib import Path

from pydantic import Field

from fabula.config import Record
from fabula.defaults import HOST, PORT


class Limits(Record):
    """What the server allows. It refuses a request beyond a limit with a sentence that names the limit."""

    max_prompt_chars: int = Field(
        default=40_000,
        ge=1,
        description="Maximum length of a story that the page continues, in characters.",
        json_schema_extra={"option": False},
    )
    max_new_tokens: int = Field(default=400, ge=1, description="Maximum length of a passage, in tokens.")
    max_seconds: float = Field(default=60, gt=0, description="Maximum time for one passage, in seconds.")
    max_per_minute: int = Field(
        default=60, ge=1, description="Maximum number of passages per minute for one visitor."
    )
    max_per_address: int = Field(
        default=600,
        ge=1,
        description="Maximum number of passages per minute for all visitors from one network address.",
        json_schema_extra={"option": False},
    )
    max_waiting: int = Field(
        default=64, ge=1, description="Maximum number of requests that wait in the queue."
    )
    max_stories: int = Field(
        default=16,
        ge=1,
        description="Maximum number of stories that are written at the same time, over all requests.",
    )


class ServeSettings(Limits):
    """How a model is served: the limits, and what is below."""

    host: str = Field(
        default=HOST,
        description="Address to listen on. The default can be reached only from this machine; 0.0.0.0 can be reached from everywhere.",
    )
    port: int = Field(default=PORT, ge=0, le=65535, description="Port; 0 chooses a free one.")
    api: bool = Field(
        default=False,
        description="Serve OpenAI's completions API (/v1/completions) for other programs instead of the page.",
    )
    corpus: Path | None = Field(
        default=None,
        description="Mark passages that are copied from the training stories of this corpus; the default is the run's corpus.",
    )
    guess: bool = Field(
        default=False,
        description="Let visitors guess which passage the author wrote. This shows them held-out stories of the run.",
    )
    engine: str = Field(
        default="auto",
        description="The engine that runs the model; auto chooses the fastest one that is installed.",
    )
    behind_proxy: bool = Field(
        default=False,
        description="Take visitors' addresses from the X-Forwarded-For header. Use this only behind a proxy that sets it.",
    )
    framed_by: tuple[str, ...] = Field(
        default=(),
        description="Sites that may show the page in a frame.",
        json_schema_extra={"option": False},
    )

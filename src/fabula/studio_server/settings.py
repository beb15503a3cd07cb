"""How the studio is shown."""

from pydantic import Field

from fabula.config import Record
from fabula.defaults import HOST

STUDIO_PORT = 7861


class StudioSettings(Record):
    """How the studio is shown."""

    host: str = Field(
        default=HOST,
        description="Address to listen on. The default can be reached only from this machine; with any other address, the studio asks for a key.",
    )
    port: int = Field(default=STUDIO_PORT, ge=0, le=65535, description="Port; 0 chooses a free one.")
    max_upload_mb: int = Field(
        default=2_000, ge=1, description="Maximum size of all files of a project, in megabytes."
    )
    no_browser: bool = Field(default=False, description="Do not open the page in the browser.")

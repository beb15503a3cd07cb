"""All formats that stories are read from, in the order in which they are tried: the first that knows a file reads it."""

from fabula.corpus.documents import DOCUMENTS
from fabula.corpus.formats.base import Format
from fabula.corpus.formats.csv_rows import Csv
from fabula.corpus.formats.documents import OfficeDocument, UnreadDocument
from fabula.corpus.formats.json_rows import Json, JsonLines
from fabula.corpus.formats.markdown import Markdown
from fabula.corpus.formats.parquet import Parquet
from fabula.corpus.formats.sources import Ao3Text, ChatLog, Songs, WritingPrompts
from fabula.corpus.formats.text import Text

_ALL: tuple[Format, ...] = (
    *(OfficeDocument(kind) for kind in DOCUMENTS),
    UnreadDocument(),
    Parquet(),
    JsonLines(),
    Json(),
    Csv(),
    WritingPrompts(),
    Ao3Text(),
    ChatLog(),
    Songs(),
    Markdown(),
    Text(),
)

FORMATS = {format.name: format for format in _ALL}

"""All formats that stories are read from, in the order in which they are tried: the first that recognises a file reads
it."""

from fabula.corpus.documents import DOCUMENTS
from fabula.corpus.formats.base import Format
from fabula.corpus.formats.csv_rows import Csv
from fabula.corpus.formats.documents import OfficeDocument, UnreadDocument
from fabula.corpus.formats.instructions import Instructions
from fabula.corpus.formats.json_rows import Json, JsonLines
from fabula.corpus.formats.mail import Mail
from fabula.corpus.formats.markdown import Markdown
from fabula.corpus.formats.parquet import Arrow, Parquet
from fabula.corpus.formats.sources import Ao3Text, Aozora, ChatLog, Songs, WritingPrompts
from fabula.corpus.formats.text import Text
from fabula.corpus.formats.xml_rows import Xml

_ALL: tuple[Format, ...] = (
    *(OfficeDocument(kind) for kind in DOCUMENTS),
    UnreadDocument(),
    Parquet(),
    Arrow(),
    Xml(),
    Mail(),
    JsonLines(),
    Json(),
    Csv(),
    Instructions(),
    WritingPrompts(),
    Ao3Text(),
    Aozora(),
    ChatLog(),
    Songs(),
    Markdown(),
    Text(),
)

FORMATS = {format.name: format for format in _ALL}

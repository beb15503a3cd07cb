"""How the books of Project Gutenberg begin and end."""

import re

GUTENBERG_START = re.compile(
    r"^[ \t]*\*{3} ?START OF (?:THE|THIS) PROJECT GUTENBERG[^\n]{0,300}$|^\*END\*? ?THE SMALL PRINT![^\n]{0,200}$",
    re.MULTILINE | re.IGNORECASE,
)
"""The last line before the book."""

GUTENBERG_END = re.compile(
    r"^[ \t]*(?:\*{3} ?END OF (?:THE|THIS) PROJECT GUTENBERG|\**[ \t]?End of (?:the |this )?Project Gutenberg).*",
    re.MULTILINE | re.IGNORECASE,
)
"""The first line after the book."""

GUTENBERG_HEAD = re.compile(
    r"[\ufeff\s*]*(?:the |this )?(?:start of (?:the |this )?)?project gutenberg", re.IGNORECASE
)
"""The beginning of the file."""

"""Parses untrusted XML: without its own entities, without network access, with limits on depth and size."""

import html.entities
import re
from collections.abc import Iterator
from typing import Any

from lxml import etree  # pyright: ignore[reportAttributeAccessIssue]

from fabula.errors import FabulaError

Element = Any  # lxml has no type stubs

_ENTITY = re.compile(rb"&(\w+);")
_KEPT = {b"amp", b"lt", b"gt", b"quot", b"apos"}


def parse_xml(data: bytes, name: str) -> Element:
    """The root of a document.

    Raises:
        FabulaError: it is not well-formed, or nested more than 256 deep.
    """
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True, remove_pis=True
    )
    try:
        return etree.fromstring(_with_characters(data), parser)
    except (etree.XMLSyntaxError, ValueError) as error:
        what = f"this document is damaged (its XML: {error})".split("\n")[0]
        hint = "open it in the program that wrote it, and save it again"
        raise FabulaError(what, where=name, hint=hint) from None


def _with_characters(data: bytes) -> bytes:
    """The XML with HTML's named entities, such as `&nbsp;`, replaced by numeric ones."""

    def number(found: re.Match[bytes]) -> bytes:
        if found[1] in _KEPT:
            return found[0]
        characters = html.entities.html5.get(found[1].decode("latin-1") + ";")
        return "".join(f"&#{ord(c)};" for c in characters).encode() if characters else found[0]

    return _ENTITY.sub(number, data)


def tag(element: Element) -> str:
    """The name of an element without its namespace; "" for comments and the like."""
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def attribute(element: Element, name: str, default: str = "") -> str:
    """An attribute's value, whatever its namespace."""
    if (value := element.get(name)) is not None:
        return value
    for key, value in element.attrib.items():
        if key.rpartition("}")[2] == name:
            return value
    return default


def integer(element: Element, name: str, default: int = 0) -> int:
    """An attribute that is a number; `default` if there is none or it is not a number."""
    value = attribute(element, name).strip()
    return int(value) if value.isascii() and value.isdigit() and len(value) < 9 else default


def children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if tag(child) == name)


def child(element: Element | None, *path: str) -> Element | None:
    """The first element at a path of names, or None."""
    for name in path:
        if element is None:
            return None
        element = next(children(element, name), None)
    return element

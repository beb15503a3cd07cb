"""Licences as the Hugging Face hub names them."""

from fabula.errors import FabulaError, did_you_mean

LICENCES = (
    "afl-3.0",
    "agpl-3.0",
    "apache-2.0",
    "bigscience-openrail-m",
    "bsd-2-clause",
    "bsd-3-clause",
    "bsl-1.0",
    "cc0-1.0",
    "cc-by-3.0",
    "cc-by-4.0",
    "cc-by-nc-3.0",
    "cc-by-nc-4.0",
    "cc-by-nc-nd-4.0",
    "cc-by-nc-sa-4.0",
    "cc-by-nd-4.0",
    "cc-by-sa-3.0",
    "cc-by-sa-4.0",
    "cdla-permissive-2.0",
    "creativeml-openrail-m",
    "eupl-1.2",
    "gfdl",
    "gpl-2.0",
    "gpl-3.0",
    "isc",
    "lgpl-3.0",
    "mit",
    "mpl-2.0",
    "odc-by",
    "openrail",
    "osl-3.0",
    "pddl",
    "unlicense",
    "wtfpl",
    "zlib",
)


def check_licence(licence: str | None, option: str, thing: str) -> str:
    """The licence that the user stated.

    Raises:
        FabulaError: none was stated, or the hub knows no such licence.
    """
    if licence is None:
        raise FabulaError(
            f"the licence of {thing} is not stated",
            hint=f"state it with {option}, for example {option} cc-by-4.0; fabula does not choose it for you",
        )
    if licence not in LICENCES:
        raise FabulaError(
            f"the hub knows no licence {licence!r}", where=option, hint=did_you_mean(licence, LICENCES)
        )
    return licence

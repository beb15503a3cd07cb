"""Random bytes for every target. `make fuzz` searches for hours; this runs a few seconds of it, and everything that was
ever found."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from targets import NAMES, WORDS, check, seeds

FINDINGS = sorted((Path(__file__).parent / "findings").glob("*"))

SEEDS = seeds()
PIECES = st.one_of(
    st.sampled_from([word.encode() for word in WORDS]),
    st.sampled_from([b" ", b"\n", b"\r\n", b"\n\n", b"\t", b",", b'"', b"\0", b"\xff", b"\xef\xbb\xbf"]),
    st.text(max_size=6).map(str.encode),
    st.binary(max_size=6),
)


@st.composite
def spoiled(draw: st.DrawFn) -> bytes:
    """A valid input with a part of it overwritten."""
    data = draw(st.sampled_from(sorted(SEEDS.values())))
    start = draw(st.integers(1, len(data)))
    end = draw(st.integers(start, min(len(data), start + 40)))
    return data[:start] + b"".join(draw(st.lists(PIECES, max_size=4))) + data[end:]


@pytest.mark.parametrize("name", sorted(SEEDS))
def test_good_inputs(name: str) -> None:
    check(SEEDS[name])


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.differing_executors])
@given(pieces=st.lists(PIECES, max_size=30))
@example(pieces=[])
@example(pieces=[b"\xef\xbb\xbf"])
@example(pieces=[b"\n", b"\n"])
def test_any_bytes(name: str, pieces: list[bytes]) -> None:
    check(bytes([NAMES.index(name)]) + b"".join(pieces))


@settings(max_examples=600, deadline=None)
@given(spoiled())
def test_spoiled_inputs(data: bytes) -> None:
    check(data)


@pytest.mark.parametrize("path", FINDINGS, ids=lambda path: path.name)
def test_what_was_found_before(path: Path) -> None:
    check(path.read_bytes())

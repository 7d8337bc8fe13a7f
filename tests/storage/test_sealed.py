"""Compressed files: any part of the content comes back, and nothing that was never in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from market.errors import JournalError
from storage import sealed
from storage.sealed import SealedFile, Summary, write

SUMMARY = Summary(1, 2, 3, -4, 5, 0)
CONTENT = b"".join(n.to_bytes(4, "little") for n in range(1000))


def pieces(content: bytes, size: int) -> Iterator[bytes]:
    """The content in blocks."""
    return (content[at : at + size] for at in range(0, len(content), size))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all examples; each writes it anew."""
    return tmp_path_factory.mktemp("sealed") / "file.zst"


@given(
    content=st.binary(min_size=1, max_size=300),
    size=st.integers(1, 90),
    offset=st.integers(0, 320),
    length=st.integers(0, 320),
)
def test_any_part_comes_back(
    path: Path, content: bytes, size: int, offset: int, length: int
) -> None:
    """Across blocks, from anywhere, also beyond the end; and the size that was told is true."""
    assert write(path, SUMMARY, pieces(content, size)) == path.stat().st_size
    made = SealedFile(path)
    assert made.summary == SUMMARY
    assert made.read(offset, length) == content[offset : offset + length]
    assert made.read(0, 1000) == content


def test_stock_zstd_gives_the_content_back(path: Path) -> None:
    """Nothing of ours is needed to rescue frames."""
    write(path, SUMMARY, pieces(CONTENT, 700))
    with (
        path.open("rb") as file,
        zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as reader,
    ):
        assert reader.read() == CONTENT


def _reads_a_prefix(path: Path) -> bool:
    """Whether it does, or is refused at its beginning."""
    try:
        return CONTENT.startswith(SealedFile(path).read(0, 10**6))
    except JournalError as error:
        return f"{path} is damaged at offset 0" in str(error)


@given(at=st.integers(0, 10**6), flip=st.integers(1, 255), cut=st.integers(0, 10**6))
def test_damage_ends_the_content(path: Path, at: int, flip: int, cut: int) -> None:
    """One altered byte or a cut anywhere: what is read is the beginning of what was written."""
    size = write(path, SUMMARY, pieces(CONTENT, 700))
    found = bytearray(path.read_bytes())
    found[at % size] ^= flip
    path.write_bytes(found)
    assert _reads_a_prefix(path)
    path.write_bytes(found[: cut % size])
    assert _reads_a_prefix(path)


@given(found=st.binary(max_size=300), has_summary=st.booleans())
def test_any_bytes_are_refused_or_empty(path: Path, found: bytes, has_summary: bool) -> None:
    """Also behind a sound beginning."""
    write(path, SUMMARY, iter(()))
    path.write_bytes((path.read_bytes() if has_summary else b"") + found)
    if has_summary:
        assert SealedFile(path).read(0, 1000) == b""
    else:
        with pytest.raises(JournalError, match="offset 0"):
            SealedFile(path)


def test_a_block_that_asks_for_too_much_is_not_decompressed(path: Path) -> None:
    """Its own size is held against the one before it, so that damage cannot take all memory."""
    bomb = zstandard.ZstdCompressor().compress(bytes(2**26))
    write(path, SUMMARY, pieces(b"x" * 50, 50))
    genuine = path.read_bytes()
    at = genuine.index(zstandard.FRAME_HEADER)
    path.write_bytes(genuine[:at] + bomb)
    assert SealedFile(path).read(0, 50) == b""


def test_blocks_are_read_one_by_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part costs its own blocks only, and the same one is not decompressed twice running."""
    write(path, SUMMARY, pieces(CONTENT, 100))
    asked: list[int] = []
    real = sealed._decompressed
    monkeypatch.setattr(sealed, "_decompressed", lambda f, n: asked.append(n) or real(f, n))
    made = SealedFile(path)
    for offset in range(250, 290, 10):
        assert made.read(offset, 10) == CONTENT[offset : offset + 10]
    assert asked == [100]

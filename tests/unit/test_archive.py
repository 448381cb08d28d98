"""Archives: the same content gives the same bytes, and nothing of a damaged one is used."""

import io
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.services.archive import Archive, ArchiveError, Entry, opened, packed
from app.services.table_copy import blocks


def pack(**files: bytes) -> bytes:
    entries = [Entry(name, [content], rows=content.count(b"\n")) for name, content in files.items()]
    return b"".join(packed(entries, {"format": "test", "format_version": 1}))


def read(kept: bytes) -> Archive:
    archive = opened(io.BytesIO(kept), "test", 1)
    archive.ensure_whole()
    return archive


def test_what_was_packed_comes_back():
    archive = read(pack(one=b"1\n2\n", two=b""))
    assert {"one": 2, "two": 0} == {name: file.rows for name, file in archive.files.items()}
    assert b"1\n2\n" == archive.open("one").read()


def test_the_same_content_gives_the_same_bytes():
    assert pack(one=b"1\n" * 100_000) == pack(one=b"1\n" * 100_000)


def test_any_program_can_open_it():
    with zipfile.ZipFile(io.BytesIO(pack(one=b"1\n"))) as file:
        assert file.testzip() is None
        assert ["one", "manifest.json"] == file.namelist()


def test_a_flipped_byte_anywhere_is_found():
    kept = pack(one=b"name\n" + b"Alice\n" * 50)
    whole = {"one": read(kept).open("one").read()}
    for place in range(len(kept)):
        changed = bytearray(kept)
        changed[place] ^= 0x10
        try:
            archive = read(bytes(changed))
            found = {name: archive.open(name).read() for name in archive.files}
        except ArchiveError:
            continue
        assert whole == found, place  # a byte that nobody looks at, such as a file's time


@pytest.mark.parametrize("share", [0, 0.3, 0.9, 0.99])
def test_a_file_that_was_cut_off_is_found(share: float):
    kept = pack(one=b"1\n" * 10_000, two=b"2\n")
    with pytest.raises(ArchiveError, match="damaged"):
        read(kept[: int(len(kept) * share)])


def test_another_kind_or_a_newer_format_is_told_in_words():
    kept = pack(one=b"")
    with pytest.raises(ArchiveError, match="'other' is needed"):
        opened(io.BytesIO(kept), "other", 1)
    with pytest.raises(ArchiveError, match="newer Leima"):
        opened(io.BytesIO(kept), "test", 0)


def test_a_file_that_was_put_into_it_is_found():
    file = io.BytesIO(pack(one=b"1\n"))
    with zipfile.ZipFile(file, "a") as changed:
        changed.writestr("../../etc/passwd", "root")
    with pytest.raises(ArchiveError, match="not those of its manifest"):
        read(file.getvalue())


CELLS = st.text(alphabet='a",\n\\.é ', max_size=12)


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=30), size=st.integers(1, 40))
def test_blocks_end_where_a_row_ends(rows: list[list[str]], size: int):
    lines = [",".join('"' + cell.replace('"', '""') + '"' for cell in row).encode() + b"\n" for row in rows]
    ends = {0}
    for line in lines:
        ends.add(max(ends) + len(line))
    found = list(blocks(io.BytesIO(b"".join(lines)), size))
    assert b"".join(lines) == b"".join(found)
    place = 0
    for block in found:
        place += len(block)
        assert place in ends

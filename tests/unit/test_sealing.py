"""Files under a passphrase: what was sealed comes back whole, or not at all."""

import io

import pytest

from app.services.sealing import CHUNK, SealError, Unsealed, is_sealed, sealed

WORDS = "a passphrase for tests"
COST = 4  # the least effort: a real key takes 0.4 s
SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 5]


def content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def seal(plain: bytes, piece: int = 100_000) -> bytes:
    pieces = [plain[at : at + piece] for at in range(0, len(plain), piece)]
    return b"".join(sealed(pieces, WORDS, cost=COST))


def unseal(kept: bytes, words: str = WORDS) -> bytes:
    return io.BufferedReader(Unsealed(io.BytesIO(kept), words), CHUNK).read()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_sealed_comes_back(size: int):
    assert content(size) == unseal(seal(content(size)))


def test_any_place_can_be_read():
    plain = content(3 * CHUNK + 5)
    file = io.BufferedReader(Unsealed(io.BytesIO(seal(plain)), WORDS), CHUNK)
    for place, size in ((2 * CHUNK - 3, 7), (0, 1), (len(plain) - 2, 10), (CHUNK, CHUNK + 1)):
        file.seek(place)
        assert plain[place : place + size] == file.read(size)


def test_the_same_content_is_never_sealed_twice_alike():
    assert seal(b"the same") != seal(b"the same")


def test_nothing_of_the_content_can_be_seen():
    assert b"0401231234" not in seal(b"phone,0401231234\n" * 1000)


def test_a_wrong_passphrase_is_told_as_such():
    with pytest.raises(SealError, match="passphrase is wrong"):
        unseal(seal(b"content"), "another passphrase")


@pytest.mark.parametrize("size", [0, 10, CHUNK, CHUNK + 10])
def test_a_flipped_bit_anywhere_is_found(size: int):
    kept = seal(content(size))
    places = {0, 15, 16, 17, 31, 32, 47, 48, len(kept) // 2, len(kept) - 17, len(kept) - 1}
    for place in sorted(place for place in places if place < len(kept)):
        changed = bytearray(kept)
        changed[place] ^= 1
        with pytest.raises(SealError):
            unseal(bytes(changed))


@pytest.mark.parametrize("size", [10, CHUNK, 2 * CHUNK, 2 * CHUNK + 10])
def test_a_file_that_was_cut_off_is_found_before_a_byte_is_read(size: int):
    kept = seal(content(size))
    for length in {0, 10, 47, 48, 48 + 16, 48 + CHUNK + 16, len(kept) - 1} - {len(kept)}:
        if length < len(kept):
            with pytest.raises(SealError):
                Unsealed(io.BytesIO(kept[:length]), WORDS)


def test_chunks_cannot_be_swapped_or_left_out():
    kept = seal(content(3 * CHUNK))
    header, size = kept[:48], CHUNK + 16
    first, second, third = (kept[48 + n * size : 48 + (n + 1) * size] for n in range(3))
    for chunks in ([second, first, third], [first, third], [first, second, second, third]):
        with pytest.raises(SealError):
            unseal(header + b"".join(chunks))


def test_a_key_that_would_take_all_memory_is_not_made():
    kept = bytearray(seal(b"content"))
    kept[16] = 40
    with pytest.raises(SealError, match="no sealed file"):
        unseal(bytes(kept))


def test_a_sealed_file_is_known_by_its_beginning():
    assert is_sealed(io.BytesIO(seal(b"content")))
    assert not is_sealed(io.BytesIO(b"PK\x03\x04 and so on"))

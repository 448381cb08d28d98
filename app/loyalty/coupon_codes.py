"""What the QR code of a coupon's own pass holds: R, the reward's id, and a seal that only this installation can make.

The id alone is no secret: tills are told of it. The letters are those of card codes.
"""

from uuid import UUID

from app.loyalty.card_codes import number_of, squeezed, written

SEAL_BITS = 40
_PREFIX = "R"
_ID_LENGTH, _SEAL_LENGTH = 26, SEAL_BITS // 5
LENGTH = len(_PREFIX) + _ID_LENGTH + _SEAL_LENGTH


def code_of(reward_id: UUID, seal: int) -> str:
    """The code of a reward. `seal` has SEAL_BITS bits."""
    return _PREFIX + written(reward_id.int, _ID_LENGTH) + written(seal, _SEAL_LENGTH)


def read(text: str) -> tuple[UUID, str] | None:
    """The reward that the text names, and its code as it is printed; None when the text is no such code.

    What is forgiven is what app.loyalty.card_codes.read forgives. Whether the seal is right is the caller's to compare.
    """
    code = squeezed(text, LENGTH)
    if code is None or not code.startswith(_PREFIX):
        return None
    number = number_of(code[len(_PREFIX) : -_SEAL_LENGTH])
    return (UUID(int=number), code) if number < 1 << 128 else None

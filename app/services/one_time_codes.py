"""The digits of a one-time code: made from the row's nonce and the installation's secret, kept nowhere."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy.orm import Session

from app.db.credit import SpendingProof
from app.services.context import Context

LENGTH = 6
PARAM = "proof_id"  # the message's parameter that names the row


def digits(ctx: Context, row: SpendingProof) -> str:
    """The six digits of this row."""
    number = int(ctx.keyed_hash("one-time-code", f"{row.id}:{row.nonce.hex()}"), 16)
    return f"{number % 10**LENGTH:0{LENGTH}d}"


def of_message(ctx: Context, session: Session, params: Mapping[str, object]) -> str:
    """The digits that a message with these parameters carries, for the moment at which it is sent."""
    return digits(ctx, session.get_one(SpendingProof, UUID(str(params[PARAM]))))

"""The SMS that asks how likely somebody is to recommend the shop: written when it is sent, and as staff may read it."""

from uuid import UUID

from sqlalchemy.orm import Session

from app.db.messages import SmsMessage
from app.db.nps import NpsAsk
from app.db.programs import Program
from app.services import sms_texts
from app.services.context import Context

HIDDEN_LINK = "…/n/…"


def body(ctx: Context, session: Session, program: Program, message: SmsMessage, *, hide_link: bool = False) -> str:
    """The text; its params name the question (`ask`)."""
    ask = session.get_one(NpsAsk, UUID(str(message.params["ask"])))
    link = HIDDEN_LINK if hide_link else f"{ctx.settings.base_url}/n/{ask.token}"
    return sms_texts.render(message.template, message.language, {"program": program.name, "link": link})

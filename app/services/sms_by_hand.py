"""SMS that somebody of the staff writes to one person."""

from collections.abc import Mapping

from app.db.people import Member
from app.db.programs import Program
from app.i18n import N_
from app.services import sms_rules, sms_sending
from app.services.audit import record
from app.services.context import Actor, Context
from app.services.conversations import Thread
from app.services.errors import InvalidForm, Refused
from app.services.saved_answers import fingerprint, once
from sms.text import PartCount, count_parts, downgraded

MOST_PARTS = 6


def written(text: str) -> tuple[str, PartCount]:
    """The text as it is sent, and what it costs: plain quotes and dashes where that makes fewer parts."""
    plain = "".join(
        char for char in text.replace("\r\n", "\n").strip() if char.isprintable() or char in "\n\u200c\u200d"
    )
    sent = downgraded(plain)
    return sent, count_parts(sent)


def write(ctx: Context, actor: Actor, thread: Thread, form: Mapping[str, str], key: str) -> None:
    """Send what somebody of the staff has typed, once for each key. `form`: text, and kind (service or marketing).

    Raises InvalidForm. An offer goes only to a member who has agreed to get offers.
    """
    text, count = written(form.get("text", ""))
    marketing = form.get("kind") == "marketing"
    _check(text, count, thread, marketing, served=sms_rules.get(ctx, actor.program_id).allow(thread.phone))
    asked = fingerprint("sms.write", {"phone": thread.phone, "text": text, "marketing": marketing})
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        member = session.get(Member, thread.member_id) if thread.member_id else None

        def act() -> dict[str, object]:
            message = sms_sending.queue(
                session,
                program,
                thread.phone,
                language=member.language if member else program.language,
                text=text,
                member_id=thread.member_id,
                staff_id=actor.staff_id,
                marketing=marketing,
            )
            record(session, actor, "sms.written", message.id)
            return {"message_id": str(message.id)}

        once(session, actor, key, asked, act)


def cost_micro(ctx: Context, actor: Actor, thread: Thread, parts: int) -> int:
    """What so many parts to this person cost, in millionths of the programme's currency unit."""
    return sms_rules.get(ctx, actor.program_id).cost_micro(thread.phone, parts)


def _check(text: str, count: PartCount, thread: Thread, marketing: bool, *, served: bool) -> None:
    errors = {}
    if not served:
        words = N_("SMS do not go to this country: see the SMS settings, and the SMS account.")
        errors["form"] = Refused("country-not-served", words, field="form")
    if not text:
        errors["text"] = Refused("no-text", N_("Write the message first."), field="text")
    elif count.parts > MOST_PARTS:
        errors["text"] = Refused(
            "text-too-long",
            N_("The message is too long: it makes %(parts)s parts, and %(most)s are the most. Please shorten it."),
            {"parts": count.parts, "most": MOST_PARTS},
            field="text",
        )
    if marketing and not thread.wants_offers:
        errors["kind"] = Refused(
            "no-consent",
            N_("This person has not agreed to get offers by SMS. Only what they need to know may be sent."),
            field="kind",
        )
    if errors:
        raise InvalidForm(errors)

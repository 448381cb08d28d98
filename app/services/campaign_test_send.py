"""A campaign's text to a phone of one's own, before anybody else gets it. It counts for no campaign."""

from collections.abc import Mapping
from dataclasses import replace

from limits import parse

from app import clock
from app.db.people import Staff
from app.db.programs import Program
from app.i18n import LANGUAGES, N_
from app.services import campaign_planning, campaign_rendering, limits, sms_rules, sms_sending
from app.services.audit import record
from app.services.campaign_forms import OWN_LINKS
from app.services.campaign_preview import unsaved
from app.services.campaigns import CampaignValues
from app.services.context import Actor, Context
from app.services.errors import InvalidForm, Refused
from app.services.saved_answers import fingerprint, once
from sms.phones import PhoneError, normalise

MARK = "TEST: "
_EACH = parse("10 per hour")
_PROGRAM = parse("30 per hour")


def send(ctx: Context, actor: Actor, values: CampaignValues, form: Mapping[str, str], key: str) -> None:
    """Send one text, once for each key. `form`: test_phone, test_language and test_variant.

    The reader is whoever asks, with made-up stamps and credit. The link leads where the campaign's links will.
    Raises InvalidForm, and Refused: too-many-tries.
    """
    with ctx.sessions.begin() as session:
        program = session.get_one(Program, actor.program_id)
        phone = _phone(form, program, sms_rules.of(session, program))
        language = form.get("test_language", "")
        variant = "b" if form.get("test_variant") == "b" and "b" in values.texts else "a"
        sender = campaign_rendering.sender_of(ctx, program)
        person = session.get(Staff, actor.staff_id)
        facts = campaign_rendering.likely(sender, language if language in LANGUAGES else program.language)
        facts = replace(facts, name=person.name if person else "")
        content = campaign_planning.content_of(unsaved(program, values))
        token = "test".ljust(campaign_rendering.TOKEN_LENGTH, "-")
        # Somebody who tries the link must land somewhere, and has no card.
        link = f"{ctx.settings.base_url}/join/{program.slug}" if values.link in OWN_LINKS else values.link
        body = campaign_rendering.body(content, facts, token, variant, link=link)
        asked = fingerprint("campaign.test", {"phone": phone, "text": body})

        def act() -> dict[str, object]:
            limits.spend(ctx, _EACH, "campaign-test", str(actor.staff_id))
            limits.spend(ctx, _PROGRAM, "campaign-test", str(program.id))
            message = sms_sending.queue(
                session,
                program,
                phone,
                language=facts.language,
                text=MARK + body,
                staff_id=actor.staff_id,
            )
            record(session, actor, "campaign.tested", message.id)
            return {"at": clock.now().isoformat()}

        once(session, actor, key, asked, act)


def _phone(form: Mapping[str, str], program: Program, rules: sms_rules.Rules) -> str:
    try:
        phone = normalise(form.get("test_phone", ""), program.country)
    except PhoneError as error:
        raise InvalidForm(
            {"test_phone": Refused("invalid-phone", error.message, error.params, field="test_phone")}
        ) from None
    if not rules.allow(phone):
        words = N_("SMS do not go to this country: see the SMS settings, and the SMS account.")
        raise InvalidForm({"test_phone": Refused("country-not-served", words, field="test_phone")})
    return phone

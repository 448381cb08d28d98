"""What the texts of a campaign cost, counted as they are typed and before anybody is chosen."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.db.campaigns import Benefit, Medium
from app.db.programs import Program
from app.loyalty import campaign_text
from app.loyalty.campaign_text import Caution, TextError
from app.loyalty.segments import EVERYONE
from app.services import campaign_forms, campaign_rendering, sms_rules
from app.services.campaigns import CampaignValues
from app.services.context import Actor, Context
from app.services.errors import Refused
from app.services.programs import program_view
from sms.text import PartCount, count_parts, downgraded


@dataclass(frozen=True, slots=True)
class Counted:
    """One text. `count` is for somebody with a rather long name, `cost_micro` for a number of the programme's country,
    in millionths of the currency's unit. `error`: it cannot be read, and nothing was counted."""

    count: PartCount
    cost_micro: int
    text: str
    cautions: tuple[Caution, ...] = ()
    error: Refused | None = None


def count(ctx: Context, actor: Actor, form: Mapping[str, str]) -> dict[str, Counted]:
    """Each text that is typed in, by the name of its field. By wallet only, nothing is counted: it costs nothing."""
    with ctx.sessions() as session:
        program = session.get_one(Program, actor.program_id)
        rules = sms_rules.of(session, program)
        sender = campaign_rendering.sender_of(ctx, program)
        view = program_view(program)
    values = campaign_forms.draft(form, EVERYONE, view)
    price = rules.country_prices_micro.get(view.country, rules.part_price_micro)
    return {
        campaign_forms.text_field(variant, language): _counted(values, sender, language, text, price)
        for variant, texts in values.texts.items()
        for language, text in texts.items()
    }


def _counted(
    values: CampaignValues, sender: campaign_rendering.Sender, language: str, text: str, price_micro: int
) -> Counted:
    content = {
        "texts": {"a": {language: text}},
        "link": values.link,
        "benefit": {"kind": values.benefit.value, "name": values.benefit_name},
    }
    by_sms = values.medium is not Medium.WALLET
    try:
        token = "x" * campaign_rendering.TOKEN_LENGTH
        body = downgraded(campaign_rendering.body(content, campaign_rendering.likely(sender, language), token))
        cautions = campaign_text.cautions(
            text,
            sender.program,
            link=bool(values.link),
            code=values.benefit is Benefit.CREDIT,
            by_sms=by_sms,
            example=body,
        )
    except TextError as error:
        return Counted(count_parts(""), 0, "", error=Refused("invalid-text", error.message, error.params))
    parts = count_parts(body)
    return Counted(parts, parts.parts * price_micro if by_sms else 0, body, tuple(cautions))

"""What a member's own page shows of bringing friends: the link, what both get, and what came of it."""

from dataclasses import dataclass

from app.i18n import N_
from app.services import referral_links, referral_rules, referral_words
from app.services.own_page import OwnPage
from app.services.programs import ProgramView
from app.services.referral_links import Standing
from app.web.access import ctx
from app.web.language import text


@dataclass(frozen=True, slots=True)
class Refer:
    """`link` is empty, and `standing` None, where nothing is given for friends. `invitation`: the owner's words."""

    link: str = ""
    offer: tuple[str, ...] = ()
    invitation: str = ""
    standing: Standing | None = None

    def message(self, link: str, program: ProgramView) -> str:
        """What is sent to a friend."""
        if self.invitation:
            return f"{self.invitation} {link}"
        return text().gettext(N_("Here you get the card of %(name)s: %(link)s"), name=program.name, link=link)


def shown(opened: OwnPage) -> Refer:
    program, member = opened.program, opened.member
    rules = referral_rules.of_view(ctx(), program)
    if not rules.active or not opened.active:
        return Refer()
    return Refer(
        referral_links.url_of(ctx(), member.id),
        tuple(referral_words.offer(text(), rules, referral_rules.choices(ctx(), program.id))),
        rules.invitation(text().language, program.language),
        referral_links.standing(ctx(), program, member.id),
    )

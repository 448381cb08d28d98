"""What a programme keeps of its members, why, for how long, and who else gets to see it: from what it has set up.

The owner's own words (contact, terms) stand beside it. Nothing here is typed by hand, so that it stays true when the
programme changes.
"""

from dataclasses import dataclass

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from app.db.campaigns import Campaign
from app.db.credit import CustomerClass
from app.db.joining import Asked, JoinQuestion, JoinRules
from app.db.ledger import AuditEntry
from app.db.nps import NpsRules
from app.db.referrals import ReferralRules
from app.db.register import OldCard
from app.db.tiers import MemberGroup, TierRules
from app.db.visits import VisitRules
from app.i18n import N_, Translator
from app.services import google_cards, program_rules, retention_rules
from app.services.context import Context
from app.services.erased_wallets import PHONES_KEPT
from app.services.programs import ProgramView
from app.services.retention_rules import Rules

_MEMBERSHIP = N_("As long as you are a member")
_DETAILS = {
    "name": (N_("Your name"), N_("To greet you, and to find your card")),
    "email": (N_("Your e-mail address"), N_("To reach you, if you agreed to it")),
    "birth_date": (N_("Your birthday"), N_("For presents on that day")),
    "city": (N_("Your city"), N_("To know where customers come from")),
}


@dataclass(frozen=True, slots=True)
class Item:
    """Something that is kept, why, and for how long; in the reader's language."""

    what: str
    why: str
    how_long: str


@dataclass(frozen=True, slots=True)
class Notice:
    """A programme's privacy notice in one language. `recipients`: who else gets something, and what."""

    told: list[Item]  # by the member
    made: list[Item]  # by using the card
    cookies: list[Item]
    recipients: list[tuple[str, str]]
    ends: list[str]  # what becomes of it all when somebody leaves or is not seen


def notice(ctx: Context, program: ProgramView, text: Translator) -> Notice:
    """What holds now."""
    with ctx.sessions() as session:
        facts = _Facts(session, program, text, retention_rules.within(session, program.id))
        return Notice(
            told=facts.told(),
            made=facts.made(ctx),
            cookies=facts.cookies(),
            recipients=facts.recipients(ctx),
            ends=facts.ends(),
        )


@dataclass(frozen=True, slots=True)
class _Facts:
    session: Session
    program: ProgramView
    text: Translator
    rules: Rules

    def _(self, words: str, **values: object) -> str:
        return self.text.gettext(words, **values)

    def _has(self, table: type, *conditions: object) -> bool:
        owned = exists().where(table.program_id == self.program.id, *conditions)  # type: ignore[attr-defined,arg-type] # tables of a programme
        return bool(self.session.scalar(select(owned)))

    def _item(self, what: str, why: str, days: int | None = None, **values: object) -> Item:
        return Item(self._(what, **values), self._(why), self._days(days) if days else self._(_MEMBERSHIP))

    def _days(self, days: int) -> str:
        return self.text.ngettext("%(n)s day", "%(n)s days", days)

    def told(self) -> list[Item]:
        items = [self._item(N_("Your phone number"), N_("To find your card, and to send its link and codes"))]
        row = self.session.get(JoinRules, self.program.id)
        for name, (what, why) in _DETAILS.items():
            asked = getattr(row, name) if row is not None else Asked.OPTIONAL
            if asked is not Asked.OFF:
                words = (
                    self._(what) if asked is Asked.REQUIRED else self._(N_("%(what)s, if you like"), what=self._(what))
                )
                items.append(Item(words, self._(why), self._(_MEMBERSHIP)))
        own = select(JoinQuestion).where(JoinQuestion.program_id == self.program.id, JoinQuestion.active)
        for question in self.session.scalars(own.order_by(JoinQuestion.position)):
            words = question.texts.get(self.text.language) or next(iter(question.texts.values()), "")
            items.append(Item(words, self._(N_("A question of the shop's own")), self._(_MEMBERSHIP)))
        items.append(self._item(N_("Your language"), N_("To write to you in it")))
        items.append(
            self._item(N_("What you agreed to, when, how, and in which words"), N_("To prove it, and to keep to it"))
        )
        if self._has(OldCard):
            items.append(self._item(N_("The number of your old card"), N_("So that it can be used on")))
        return items

    def made(self, ctx: Context) -> list[Item]:
        waits = self._days(program_rules.get(ctx, self.program.id).attach_days)
        items = [
            self._item(N_("When and how you joined"), N_("To learn which way to join works")),
            self._item(N_("Purchases: when, where, the sum, and the receipt's number"), N_("To give what you earned")),
            self._item(
                N_("The lines of your receipts"),
                N_("For your own history, and to know what customers like"),
                self.rules.receipt_days,
            ),
            Item(
                self._(N_("Purchases made with your number before you joined")),
                self._(N_("So that they are yours when you join")),
                waits,
            ),
            self._item(N_("Stamps, rewards and credit: each entry"), N_("To keep your balance right")),
            self._item(N_("Receipts that you keep for a warranty"), N_("To remind you before it ends")),
            self._item(
                N_("SMS to you and from you: the words, when, and what became of them"),
                N_("To reach you, and to answer you"),
                self.rules.message_days,
            ),
            self._item(
                N_("On which phones your card is installed: the phone's own number for the wallet"),
                N_("So that the card on the phone changes"),
            ),
        ]
        optional = (
            (
                self._has(Campaign),
                N_("Which links in offers you opened, and when"),
                N_("To learn which offers people like"),
                self.rules.click_days,
            ),
            (self._is_on(VisitRules), N_("When you came in"), N_("To reward visits"), None),
            (self._is_on(TierRules), N_("Your tier, and when it changed"), N_("To give you its benefits"), None),
            (self._has(MemberGroup), N_("Groups that you belong to"), N_("To give you their prices"), None),
            (
                self._has(CustomerClass),
                N_("A class by how often, how much and how lately you bought"),
                N_("To decide who gets credit. Nothing else is decided by it"),
                None,
            ),
            (
                self._is_on(ReferralRules),
                N_("Who came by your link, and a mark of the browser"),
                N_("To reward you both, and to notice who makes friends up"),
                None,
            ),
            (self._is_on(NpsRules), N_("What you answer when we ask for your opinion"), N_("To become better"), None),
        )
        items += [self._item(what, why, days) for on, what, why, days in optional if on]
        log = N_("What staff did with your card: who, what, and when")
        items.append(self._item(log, N_("To find mistakes and misuse"), self.rules.audit_days))
        return items

    def _is_on(self, table: type) -> bool:
        row = self.session.get(table, self.program.id)
        return row is not None and bool(row.active)

    def cookies(self) -> list[Item]:
        items = [
            Item(
                self._(N_("A cookie for forms")),
                self._(N_("So that nobody else can send a form in your name")),
                self._(N_("Until you close the browser")),
            ),
            Item(self._(N_("The language that you chose")), self._(N_("To show pages in it")), self._days(365)),
        ]
        if self._is_on(ReferralRules):
            items.append(
                Item(
                    self._(N_("A mark of the browser")),
                    self._(N_("To notice who makes friends up")),
                    self._days(400),
                )
            )
        return items

    def recipients(self, ctx: Context) -> list[tuple[str, str]]:
        found = [
            (self.program.organization_name, self._(N_("Runs the programme. Its staff see what their work needs.")))
        ]
        if self.program.pass_type_identifier:
            found.append(
                ("Apple", self._(N_("Tells your iPhone that the card has changed. Apple does not see what is on it.")))
            )
        if google_cards.is_on(ctx):
            found.append(
                (
                    "Google",
                    self._(N_("Keeps the card in Google Wallet: your name, the card's number, and your balance.")),
                )
            )
        carrier = {"twilio": "Twilio", "gateway": self._(N_("The SMS provider")), "console": ""}
        if name := carrier[ctx.settings.sms_provider]:
            found.append((name, self._(N_("Carries SMS: your number, and the words."))))
        nps = self.session.get(NpsRules, self.program.id)
        if nps is not None and nps.active and nps.survey_url:
            found.append((nps.survey_url, self._(N_("Asks for your opinion, if you follow the link."))))
        if self._has(AuditEntry, AuditEntry.action == "audience.exported"):
            found.append(
                (
                    self._(N_("Advertising networks")),
                    self._(N_("Got scrambled numbers or addresses, so that members see no ads for newcomers.")),
                )
            )
        return found

    def ends(self) -> list[str]:
        rules, found = self.rules, []
        if rules.left_days is not None:
            found.append(
                self.text.ngettext(
                    "Who leaves is erased after %(n)s day.", "Who leaves is erased after %(n)s days.", rules.left_days
                )
            )
        if rules.inactive_days is not None:
            found.append(
                self.text.ngettext(
                    "Who does not come for %(n)s day is told so before, and then erased.",
                    "Who does not come for %(n)s days is told so before, and then erased.",
                    rules.inactive_days,
                )
            )
        found.append(
            self._(
                N_(
                    "Of who is erased, sums and times of purchases and of the card's entries stay, without anything "
                    "that tells who it was. The phone's number for the wallet stays %(days)s days more, so that the "
                    "card there can be ended."
                ),
                days=PHONES_KEPT.days,
            )
        )
        return found

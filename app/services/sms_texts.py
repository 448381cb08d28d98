"""The texts of our SMS, rendered when they are sent. A template names its placeholders; links are filled in last."""

from collections.abc import Mapping

from app.i18n import N_, translator

CARD_LINK = "card_link"
JOINED = "joined"
INVITED = "invited"
BLOCKED = "blocked"
STOPPED = "stopped"
STARTED = "started"
HELP = "help"
WRONG_CODE = "wrong_code"
CODE_AT_TILL = "code_at_till"
ONE_TIME = "one_time"
CREDIT = "credit"
CAMPAIGN = "campaign"  # its words are those of the run: app.services.campaign_messages
FRESH_LINK = "fresh_link"
ERASE_CODE = "erase_code"
WARRANTY = "warranty"
INACTIVE = "inactive"
NPS = "nps"
BONUS_LAPSES = "bonus_lapses"
REWARD_LAPSES = "reward_lapses"
CREDIT_LATER = "credit_later"  # the words of CREDIT for a credit that begins on another day
TEXTS = {
    CARD_LINK: N_("%(program)s: your card is here: %(link)s"),
    JOINED: N_("Welcome to %(program)s! Your card: %(link)s"),
    INVITED: N_("%(program)s: your loyalty card is now on your phone. Open it: %(link)s"),
    BLOCKED: N_("This number cannot join by itself. Please ask the staff."),
    STOPPED: N_("%(program)s: you get no more offers by SMS. To get them again, reply START."),
    STARTED: N_("%(program)s: you get our offers by SMS again. To stop them, reply STOP."),
    HELP: N_("%(program)s: reply with the shop's 5-digit code to join, or STOP to end offers. %(contact)s"),
    CODE_AT_TILL: N_("%(program)s: please show your code at the till. Do not send it to anybody."),
    ONE_TIME: N_("%(program)s: your code is %(code)s. Tell it to the cashier only if you are at the till now."),
    FRESH_LINK: N_("%(program)s: to end your old card link and get a new one, open within an hour: %(link)s"),
    ERASE_CODE: N_("%(program)s: the code to erase all your data is %(code)s. Not you? Then tell it to nobody."),
    WARRANTY: N_("%(program)s: the warranty of %(name)s ends on %(day)s. Your receipt: %(link)s"),
    INACTIVE: N_("%(program)s: we have not seen you for long. Your card is erased on %(day)s. To keep it: %(link)s"),
    REWARD_LAPSES: N_("%(program)s: %(reward)s can be used until %(day)s. Your card: %(link)s"),
    BONUS_LAPSES: N_("%(program)s: %(amount)s of your bonus can be used until %(day)s. Your card: %(link)s"),
    CREDIT: N_("%(program)s: you have %(amount)s to use until %(day)s. At the till say the code %(code)s"),
    CREDIT_LATER: N_(
        "%(program)s: you have %(amount)s to use from %(first)s to %(day)s. At the till say the code %(code)s"
    ),
    NPS: N_("%(program)s: how did we do? A number and a word would help us: %(link)s"),
    WRONG_CODE: N_("We do not know this code. Please text the 5 digits that you see in the shop."),
}
# What a conversation shows in the place of a link: the real one opens the card.
HIDDEN_LINK = "…/c/…"
HIDDEN_CODE = "••••••"
HIDDEN_CREDIT_CODE = "•••••••"


def render(template: str, language: str, params: Mapping[str, object]) -> str:
    """The text in this language, without spaces that an empty placeholder leaves at the end."""
    return translator(language).gettext(TEXTS[template], **params).rstrip()

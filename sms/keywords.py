"""What somebody means who texts to the shop: stop, start, help, a join code, or something for the staff to read.

Keywords count only when they are the whole message, as phone companies and Twilio have it
(https://www.twilio.com/docs/messaging/tutorials/advanced-opt-out). A sentence that merely sounds like stopping is
flagged, and a person decides.

A join code is a message with five digits, of any script, that stand together or have only spaces and punctuation
between them ('4 8 2 1 3'), no other digits, and at most five words around them.
"""

import re
import unicodedata
from dataclasses import dataclass, field

from sms.digits import ascii_digits

_JOIN_DIGITS, _CREDIT_DIGITS = 5, 7
_MOST_WORDS = 5

# Twilio answers these by itself, in English, and from then on refuses what we send, or sends again.
_PROVIDER_WORDS = frozenset(
    {"stop", "stopall", "unsubscribe", "cancel", "end", "quit", "revoke", "optout"}
    | {"start", "unstop", "yes"}
    | {"help", "info"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Stop:
    """No more messages. `provider_answers`: Twilio has said goodbye already, so answer with nothing."""

    provider_answers: bool = False


@dataclass(frozen=True, slots=True)
class Start:
    """Messages are welcome again. `provider_answers` as for Stop."""

    provider_answers: bool = False


@dataclass(frozen=True, slots=True)
class Help:
    """Who is this, and how do I get out? `provider_answers` as for Stop."""

    provider_answers: bool = False


@dataclass(frozen=True, slots=True)
class JoinCode:
    """Five digits, as 0-9."""

    digits: str


@dataclass(frozen=True, slots=True)
class CreditCode:
    """Seven digits: a credit code, which belongs at the till. It is money, so such a message must not be stored."""

    digits: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Other:
    """Anything else. `asks_to_stop`: it sounds as if the person wants no more messages; staff should read it."""

    asks_to_stop: bool = False


Meant = Stop | Start | Help | JoinCode | CreditCode | Other

_KEYWORDS: dict[type[Stop] | type[Start] | type[Help], str] = {
    Stop: """
        stop, stopall, stop all, unsubscribe, cancel, end, quit, revoke, optout, opt out,
        lopeta, peru, peruuta, peru tilaus, ei viestejä,
        стоп, отписаться, отписка, отпишите, отмена, отказ, хватит,
        لغو, لغو ۱۱, لغو عضویت, لغو اشتراک, توقف, انصراف, قطع
    """,
    Start: """
        start, unstop, yes,
        aloita, jatka, kyllä,
        старт, начать, возобновить, да,
        شروع, آغاز, بله, بلی, ازسرگیری
    """,
    Help: """
        help, info,
        apua, ohje, ohjeet, tietoa,
        помощь, справка, инфо,
        راهنما, راهنمایی, کمک
    """,
}

# Beginnings of words, and several words in a row, in sentences that want to be left alone.
_STOPPING = """
    stop, unsubscrib, opt out, optout, opt me out, cancel, remove me, take me off, delete my number, leave me alone,
    don t text, dont text, do not text, don t send, dont send, do not send, don t message, do not contact,
    don t contact, no more messages, no more texts,
    lopeta, lopettakaa, peru tilau, perukaa, peruuta, peruutta, poista, älä lähet, älkää lähet, en halua, ei enää,
    ei kiitos,
    стоп, отпис, отпиш, хватит, прекрат, перестан, не пиши, не присыла, не шли, не отправл, удалите, уберите, отмен,
    لغو, توقف, انصراف, نفرست, پیام نده, پیامک نده, ارسال نکن, قطع کن, حذف کن, مزاحم, نمیخوا, نمی خوا, نمیخا, بس است, بسه
"""


def read(body: str) -> Meant:
    """What the message means. Case, width, the digits' script, direction marks and punctuation don't matter."""
    flat = _flat(body)
    # Without spaces: 'S T O P' and 'opt out' are the keywords, too.
    if meant := _BY_KEYWORD.get(flat.replace(" ", "")):
        return meant(provider_answers=body.strip().lower() in _PROVIDER_WORDS)
    stopping = bool(_STOPPING_WORDS.search(flat))
    if stopping:
        return Other(asks_to_stop=True)
    digits = _only_number(flat)
    if digits and len(digits) == _JOIN_DIGITS:
        return JoinCode(digits)
    if digits and len(digits) == _CREDIT_DIGITS:
        return CreditCode(digits)
    return Other()


def _only_number(flat: str) -> str | None:
    """The one number in the message, put together; None when there are none, several, or too many words."""
    if len(re.findall(r"[^\W\d_]+", flat)) > _MOST_WORDS:
        return None
    numbers = re.findall(r"[0-9]+(?: [0-9]+)*", flat)
    return numbers[0].replace(" ", "") if len(numbers) == 1 else None


def _flat(text: str) -> str:
    """Lower-case words with single spaces between them, in one spelling; digits as 0-9; nothing else."""
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    plain = ascii_digits(plain).translate(_ONE_SPELLING)
    kept = []
    for char in plain:
        category = unicodedata.category(char)
        if category == "Cf":  # direction marks and zero-width characters come with copying and with keyboards
            continue
        kept.append(char if category[0] in "LNM" else " ")
    return " ".join("".join(kept).split())


# Arabic and Persian keyboards have different letters for the same; Russian texts leave out the dots of ё.
_ONE_SPELLING = str.maketrans({"ي": "ی", "ى": "ی", "ك": "ک", "ة": "ه", "أ": "ا", "إ": "ا", "آ": "ا", "ё": "е"})

_BY_KEYWORD = {_flat(word).replace(" ", ""): meant for meant, words in _KEYWORDS.items() for word in words.split(",")}
_STOPPING_WORDS = re.compile(r"(?:^| )(?:" + "|".join(re.escape(_flat(word)) for word in _STOPPING.split(",")) + ")")

"""Who opens a personal link: a person, a messenger that draws a preview, or a scanner that looks for malware.

Told by what a request says of itself, so that a campaign's clicks are people's. Whoever wants to be taken for a person
is; what is certainly none is never counted as one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from app.db.campaigns import ClickKind


@dataclass(frozen=True, slots=True)
class Sign:
    """What gives a visitor away: a pattern in the lower-case User-Agent, and whose it is."""

    pattern: re.Pattern[str]
    kind: ClickKind
    reason: str


@dataclass(frozen=True, slots=True)
class Visitor:
    """What somebody was taken for, and why."""

    kind: ClickKind
    reason: str = ""


def _signs(kind: ClickKind, rows: Mapping[str, str]) -> tuple[Sign, ...]:
    return tuple(Sign(re.compile(pattern), kind, reason) for pattern, reason in rows.items())


# In this order; the first that fits decides.
SIGNS = (
    *_signs(
        ClickKind.PREVIEW,
        {
            r"^whatsapp/": "WhatsApp, on the phone of whoever passes the link on; Signal says the same of itself",
            r"facebookexternalhit|facebot|meta-externalfetcher": "Messenger, Instagram; Apple's Messages names it too",
            r"telegrambot": "Telegram's servers",
            r"slackbot|slack-imgproxy": "Slack",
            r"twitterbot": "X, and others that pretend to be it",
            r"discordbot": "Discord",
            r"skypeuripreview|microsoftpreview": "Skype and Microsoft Teams",
            r"linkedinbot": "LinkedIn",
            r"googlemessages|google-pagerenderer": "Google Messages",
            r"^viber|viberbot": "Viber",
            r"vkshare": "VK",
            r"line-poker|linespider": "LINE",
            r"redditbot|pinterest(bot)?/|iframely|embedly|mattermost|rocket\.chat|snap url preview": "other messengers",
        },
    ),
    *_signs(
        ClickKind.SCANNER,
        {
            r"google-safety|google-inspectiontool|googleother|appengine-google": "Google looks for malware, or crawls",
            r"bingpreview": "Microsoft opens links of mails and messages in advance",
            r"proofpoint|mimecast|barracuda|symantec|forcepoint|trend ?micro|fortinet|sophos|zscaler|checkpoint":
            "a company's mail and message filter",
            r"paloalto|expanse|censys|shodan|zgrab|urlscan|virustotal|netcraft|phishtank|internet-measurement":
            "looks all over the net for weak or harmful pages",
            r"headlesschrome|phantomjs|puppeteer|playwright|lighthouse|selenium": "a browser without a person",
            r"^(curl|wget|python|go-http-client|java|libwww|okhttp|axios|node|ruby|php|apache-http|dart|aiohttp|httpx)\b":
            "a program",
            # Cubot is a maker of phones.
            r"(?<!cu)bot\b|crawler|spider\b|scanner|https?://": "says that it is a robot, or gives its own page",
        },
    ),
)  # fmt: skip

_NO_AGENT = "browsers always say what they are"
_HEAD = "browsers ask for the page, not for its head"
_EARLY = "fetched in advance, for a person who may come or not"
_NOT_OPENED = "fetched by a page or an app, not opened in a browser"
_NO_LANGUAGE = "browsers say what languages their user reads"


@lru_cache(4096)
def _named(agent: str) -> Visitor | None:
    """What the User-Agent alone gives away. Kept: phones have few of them, and to look for all signs takes 30 µs."""
    return next((Visitor(sign.kind, sign.reason) for sign in SIGNS if sign.pattern.search(agent)), None)


def visitor(method: str, headers: Mapping[str, str]) -> Visitor:
    """Who sent this request. `headers` are looked up by their usual names; they need not be all there."""
    agent = headers.get("User-Agent", "").strip().lower()[:1000]
    if not agent:
        return Visitor(ClickKind.SCANNER, _NO_AGENT)
    if named := _named(agent):
        return named
    purpose = " ".join(headers.get(name, "") for name in ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")).lower()
    if "prefetch" in purpose or "preview" in purpose or "prerender" in purpose:
        return Visitor(ClickKind.PREVIEW, _EARLY)
    if headers.get("Sec-Fetch-Mode", "navigate") != "navigate":
        return Visitor(ClickKind.PREVIEW, _NOT_OPENED)
    if method == "HEAD":
        return Visitor(ClickKind.SCANNER, _HEAD)
    if not headers.get("Accept-Language"):
        return Visitor(ClickKind.SCANNER, _NO_LANGUAGE)
    return Visitor(ClickKind.PERSON)

"""A pretend phone's web browser: follows a link, and sees the page's title and its way into the phone's wallet."""

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from urllib.parse import urljoin, urlsplit

import requests

_TIMEOUT = 10.0
_MOST_REDIRECTS = 5
_AGENTS = {
    "iphone": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/18.5 Mobile/15E148 Safari/604.1",
    "android": "Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/137.0.0.0 Mobile Safari/537.36",
}
_COUPON_LINK = {
    "iphone": re.compile(r"/c/[\w-]+/coupons/[\w-]+/apple\.pkpass"),
    "android": re.compile(r"/c/[\w-]+/coupons/[\w-]+/google"),
}
_WALLET_LINK = {"iphone": re.compile(r"/c/[\w-]+/apple\.pkpass"), "android": re.compile(r"/c/[\w-]+/google")}


@dataclass(frozen=True, slots=True)
class OpenedPage:
    """What the browser shows. `status` is 0 when the page was not asked for; `wallet_link` adds the page's card,
    `coupon_links` its coupons."""

    url: str
    host: str
    status: int = 0
    title: str = ""
    heading: str = ""
    wallet_link: str = ""
    coupon_links: tuple[str, ...] = ()


class PhoneBrowser:
    """Opens pages of the shop at `public_url`, and no others: what is on the web is for real browsers.

    Phones reach the app by its address for wallets, `wallet_url`, and trust it by `ca_file`.
    """

    def __init__(self, public_url: str, wallet_url: str, ca_file: str) -> None:
        self._public, self._wallet, self._ca_file = public_url, wallet_url, ca_file

    def open(self, url: str, kind: str, language: str) -> OpenedPage:
        """Follow a link from an “iphone” or “android” that is set to this language."""
        headers = {"User-Agent": _AGENTS[kind], "Accept-Language": language}
        with requests.Session() as session:
            session.trust_env, session.verify = False, self._ca_file
            for _ in range(_MOST_REDIRECTS):
                place = self._reached(url)
                if not place:
                    break
                try:
                    answer = session.get(place, headers=headers, timeout=_TIMEOUT, allow_redirects=False)
                except requests.RequestException:
                    break
                if not answer.is_redirect:
                    return self._seen(url, kind, answer)
                url = urljoin(url, answer.headers["Location"])
        return OpenedPage(url, urlsplit(url).netloc)

    def _reached(self, url: str) -> str:
        """Where the phone asks for this address; empty when it is not of the shop."""
        for base in (self._public, self._wallet):
            if url == base or url.startswith(f"{base}/"):
                return self._wallet + url.removeprefix(base)
        return ""

    def _seen(self, url: str, kind: str, answer: requests.Response) -> OpenedPage:
        page = _Page(answer.text)
        links = [self._reached(urljoin(url, link)) for link in page.links]
        wallet_link = next((link for link in links if _WALLET_LINK[kind].fullmatch(urlsplit(link).path)), "")
        coupons = tuple(link for link in links if _COUPON_LINK[kind].fullmatch(urlsplit(link).path))
        host, title, heading = urlsplit(url).netloc, page.text["title"], page.text["h1"]
        return OpenedPage(url, host, answer.status_code, title, heading, wallet_link, coupons)


class _Page(HTMLParser):
    """The title, the first heading and the links of a page."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text = {"title": "", "h1": ""}
        self._inside = ""
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.text and not self.text[tag]:
            self._inside = tag
        self.links += [value for name, value in attrs if tag == "a" and name == "href" and value]

    def handle_endtag(self, tag: str) -> None:
        if tag == self._inside:
            self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.text[self._inside] = f"{self.text[self._inside]} {data}".strip()

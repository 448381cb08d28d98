"""The HTTP/2 clients that bench/push_libraries.py compares, each as one function that pushes to many tokens.

All but Leima's own are no dependencies of Leima: they are imported only when they are installed.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

from certs.identity import load
from passes.apple.push import Push, Verdict
from passes.apple.push_auth import CertificateAuth
from passes.apple.push_client import PushClient

TOPIC = "pass.fi.leima.demo"
PAYLOAD = b"{}"
HEADERS = {"apns-topic": TOPIC, "apns-priority": "10"}

Send = Callable[[Sequence[str]], int]
"""Pushes to all tokens and says how many were answered with 200."""


@dataclass(frozen=True)
class Service:
    """Where the stand-in is, and the files that clients need: its authority, our certificate, and its folder."""

    port: int
    folder: Path

    def url(self, token: str) -> str:
        return f"https://localhost:{self.port}/3/device/{token}"

    def file(self, name: str) -> str:
        return str(self.folder / name)

    def context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=self.file("ca.pem"))
        context.load_cert_chain(self.file("all.pem"))
        context.set_alpn_protocols(["h2"])
        return context


def leima(service: Service) -> Send:
    def now() -> datetime:
        return datetime.now(UTC)

    auth = CertificateAuth(load(service.folder / "certs" / TOPIC))
    ca_pem = Path(service.file("ca.pem")).read_text()
    client = PushClient(("localhost", service.port), auth=auth, clock=now, ca_pem=ca_pem)

    def send(tokens: Sequence[str]) -> int:
        results = client.send([Push(token, TOPIC) for token in tokens])
        return sum(result.verdict is Verdict.SENT for result in results)

    return send


def with_pycurl(service: Service) -> Send:
    pycurl: Any = import_module("pycurl")
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
    multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, 1)
    multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, 1000)
    options = {
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2_0,
        pycurl.PIPEWAIT: 1,
        pycurl.CAINFO: service.file("ca.pem"),
        pycurl.SSLCERT: service.file("chain.pem"),
        pycurl.SSLKEY: service.file("key.pem"),
        pycurl.HTTPHEADER: [*(f"{name}: {value}" for name, value in HEADERS.items()), "Content-Type:", "Accept:"],
        pycurl.POSTFIELDS: PAYLOAD,
        pycurl.TIMEOUT: 30,
        pycurl.WRITEFUNCTION: lambda data: None,
    }
    handles = []
    for _ in range(500):
        handle = pycurl.Curl()
        for option, value in options.items():
            handle.setopt(option, value)
        handles.append(handle)

    def send(tokens: Sequence[str]) -> int:
        waiting, free, sent, open_now = list(tokens), list(handles), 0, 0
        while waiting or open_now:
            while waiting and free:
                handle = free.pop()
                handle.setopt(pycurl.URL, service.url(waiting.pop()))
                multi.add_handle(handle)
                open_now += 1
            multi.perform()
            more = 1
            while more:
                more, done, failed = multi.info_read()
                sent += sum(handle.getinfo(pycurl.RESPONSE_CODE) == 200 for handle in done)
                for handle in [*done, *(item[0] for item in failed)]:
                    multi.remove_handle(handle)
                    free.append(handle)
                    open_now -= 1
            if open_now:
                multi.select(1.0)
        return sent

    return send


def with_aioapns(service: Service) -> Send:
    aioapns: Any = import_module("aioapns")
    protocol: Any = import_module("aioapns.connection").APNsProductionClientProtocol
    logging.disable(logging.CRITICAL)
    protocol.APNS_SERVER, protocol.APNS_PORT = "localhost", service.port

    async def make() -> Any:
        certificate, context = service.file("all.pem"), service.context()
        return aioapns.APNs(client_cert=certificate, topic=TOPIC, ssl_context=context, max_connections=1)

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    client = loop.run_until_complete(make())

    async def one(token: str) -> bool:
        request = aioapns.NotificationRequest(device_token=token, message={}, priority=10)
        return bool((await client.send_notification(request)).is_successful)

    return _gathered(loop, one)


def with_httpx2(service: Service) -> Send:
    httpx2: Any = import_module("httpx2")
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    limits = httpx2.Limits(max_connections=1)
    client = httpx2.AsyncClient(http2=True, verify=service.context(), limits=limits, timeout=30)
    gate = asyncio.Semaphore(100)  # with more at a time it is slower

    async def one(token: str) -> bool:
        async with gate:
            answer = await client.post(service.url(token), content=PAYLOAD, headers=HEADERS)
        return bool(answer.status_code == 200)

    return _gathered(loop, one)


def with_niquests(service: Service) -> Send:
    niquests: Any = import_module("niquests")
    session = niquests.Session(multiplexed=True, disable_http3=True)
    session.trust_env = False  # REQUESTS_CA_BUNDLE would go before what is set here
    session.verify = service.file("ca.pem")
    session.cert = (service.file("chain.pem"), service.file("key.pem"))

    def send(tokens: Sequence[str]) -> int:
        sent = 0
        for start in range(0, len(tokens), 100):
            part = tokens[start : start + 100]
            answers = [session.post(service.url(token), data=PAYLOAD, headers=HEADERS) for token in part]
            session.gather()
            sent += sum(answer.status_code == 200 for answer in answers)
        return sent

    return send


def _gathered(loop: asyncio.AbstractEventLoop, one: Callable[[str], Any]) -> Send:
    async def every(tokens: Sequence[str]) -> int:
        done = await asyncio.gather(*map(one, tokens), return_exceptions=True)
        return sum(item is True for item in done)

    return lambda tokens: loop.run_until_complete(every(tokens))


CONTENDERS: dict[str, tuple[str, Callable[[Service], Send]]] = {
    "Leima on ngh2": ("ngh2", leima),
    "pycurl": ("pycurl", with_pycurl),
    "aioapns": ("aioapns", with_aioapns),
    "niquests": ("niquests", with_niquests),
    "httpx2": ("httpx2", with_httpx2),
}

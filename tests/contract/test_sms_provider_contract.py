"""What every SMS provider promises. An adapter inherits the suite and says how to make itself, whole and broken."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest

from sandbox.twilio import NUMBER, TwilioSandbox
from sandbox.twilio_server import Drop, Reply, Request, Server
from sms.console import ConsoleProvider
from sms.delivery_states import State
from sms.gateway import GatewayProvider
from sms.gateway_settings import GatewaySettings, settings_from
from sms.provider import NotOffered, OutgoingMessage, SmsError, SmsProvider
from sms.provider_line import ProviderLine
from sms.text import count_parts
from sms.twilio import TwilioProvider

ALICE = "+358401234567"
BODIES = [
    "Your card: https://leima.example/c/abc",
    "کارت شما آماده است ☕",
    "Ваша карта\nготова",
    "x" * 500,
    "100 % €^",
]


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class SmsProviderContract:
    own_number = "+358501234567"

    @pytest.fixture
    def provider(self) -> SmsProvider:
        """The adapter with a provider at the other end that takes messages."""
        raise NotImplementedError

    @pytest.fixture
    def broken_provider(self) -> SmsProvider:
        """The adapter with nobody at the other end."""
        raise NotImplementedError

    def test_its_name_is_one_lower_case_word(self, provider: SmsProvider) -> None:
        assert provider.name.isidentifier()
        assert provider.name.lower() == provider.name

    @pytest.mark.parametrize("body", BODIES)
    def test_it_accepts_any_script_and_length_and_counts_the_parts_we_count(
        self, provider: SmsProvider, body: str
    ) -> None:
        accepted = provider.send(OutgoingMessage(to=ALICE, body=body, reference="row-1"))
        assert accepted.provider_id
        assert accepted.parts in (None, count_parts(body).parts)

    def test_it_takes_a_sender_or_chooses_one(self, provider: SmsProvider) -> None:
        for sender in (None, "LEIMA", self.own_number):
            assert provider.send(OutgoingMessage(to=ALICE, body="Hi", reference="row-1", sender=sender)).provider_id

    def test_every_accepted_message_has_its_own_id(self, provider: SmsProvider) -> None:
        message = OutgoingMessage(to=ALICE, body="Hi", reference="row-1")
        with ThreadPoolExecutor(4) as threads:
            accepted = list(threads.map(lambda _: provider.send(message), range(12)))
        assert 12 == len({one.provider_id for one in accepted})

    def test_a_broken_line_is_an_sms_error_that_may_pass_and_tells_no_secrets(
        self, broken_provider: SmsProvider
    ) -> None:
        with pytest.raises(SmsError) as caught:
            broken_provider.send(OutgoingMessage(to=ALICE, body="Your code is 1234567", reference="row-1"))
        assert (False, False, False) == (caught.value.permanent, caught.value.unknown, caught.value.stop)
        assert caught.value.code
        assert str(caught.value)
        assert ALICE not in str(caught.value)
        assert "1234567" not in str(caught.value)

    def test_a_look_at_a_provider_that_is_gone_leaves_nothing_unknown(self, broken_provider: SmsProvider) -> None:
        with pytest.raises((SmsError, NotOffered)) as caught:
            broken_provider.find(ALICE, datetime.now(UTC))
        assert not getattr(caught.value, "unknown", False)

    def test_it_finds_the_newest_message_first_or_says_that_it_cannot(self, provider: SmsProvider) -> None:
        since = datetime.now(UTC).replace(microsecond=0)  # providers keep whole seconds
        if not provider.finds_messages:
            with pytest.raises(NotOffered):
                provider.find(ALICE, since)
            return
        accepted = [
            provider.send(OutgoingMessage(to=to, body=body, reference="1"))
            for to, body in ((ALICE, "One"), (ALICE, "Two"), ("+358401112223", "Three"))
        ]
        found = provider.find(ALICE, since)
        assert [(accepted[1].provider_id, "Two"), (accepted[0].provider_id, "One")] == [
            (one.provider_id, one.body) for one in found
        ]
        assert all(one.state and one.created_at >= since for one in found)
        assert [] == provider.find(ALICE, since + timedelta(hours=1))
        assert [] == provider.find("+358409999999", since)

    def test_it_tells_of_one_message_or_says_that_it_cannot(self, provider: SmsProvider) -> None:
        accepted = provider.send(OutgoingMessage(to=ALICE, body="Hi", reference="row-1"))
        if not provider.fetches_messages:
            with pytest.raises(NotOffered):
                provider.fetch(accepted.provider_id)
            return
        found = provider.fetch(accepted.provider_id)
        assert found is not None
        assert (accepted.provider_id, ALICE, "Hi") == (found.provider_id, found.to, found.body)
        assert found.state
        assert None is provider.fetch("SM" + "0" * 32)

    def test_asking_of_a_message_where_nobody_answers_leaves_nothing_unknown(
        self, broken_provider: SmsProvider
    ) -> None:
        with pytest.raises((SmsError, NotOffered)) as caught:
            broken_provider.fetch("SM" + "0" * 32)
        assert not getattr(caught.value, "unknown", False)


class HttpProviderContract(SmsProviderContract):
    """What holds of every adapter that speaks HTTP: the truth about answers that never came or were not yes."""

    fates: dict[str, str]
    """Numbers to which the other end: hangs after accepting, drops the line, says 500, 429, and no for good."""

    @pytest.mark.parametrize("fate", ["hangs", "drops", "fails"])
    def test_an_answer_that_is_lost_leaves_the_outcome_unknown_and_is_not_asked_again(
        self, provider: SmsProvider, fate: str
    ) -> None:
        to = self.fates[fate]
        with pytest.raises(SmsError) as caught:
            provider.send(OutgoingMessage(to=to, body="Your code is 1234567", reference="row-1"))
        assert (True, False) == (caught.value.unknown, caught.value.permanent)
        assert to not in str(caught.value)
        assert ["Your code is 1234567"] == self.taken(to)

    def test_a_provider_that_is_busy_is_to_be_asked_later(self, provider: SmsProvider) -> None:
        with pytest.raises(SmsError) as caught:
            provider.send(OutgoingMessage(to=self.fates["busy"], body="Hi", reference="row-1"))
        assert (False, False, 1.0) == (caught.value.unknown, caught.value.permanent, caught.value.retry_after)

    def test_a_number_without_sms_is_refused_for_good(self, provider: SmsProvider) -> None:
        with pytest.raises(SmsError) as caught:
            provider.send(OutgoingMessage(to=self.fates["no-sms"], body="Hi", reference="row-1"))
        assert (True, "no-sms") == (caught.value.permanent, caught.value.reason)

    def taken(self, to: str) -> list[str]:
        """The bodies that the other end has taken for this number."""
        raise NotImplementedError


class TestConsole(SmsProviderContract):
    @pytest.fixture
    def stream(self) -> StringIO:
        return StringIO()

    @pytest.fixture
    def provider(self, stream: StringIO) -> SmsProvider:
        return ConsoleProvider(stream)

    @pytest.fixture
    def broken_provider(self) -> SmsProvider:
        closed = StringIO()
        closed.close()
        return ConsoleProvider(closed)

    def test_a_message_is_one_readable_block(self, provider: SmsProvider, stream: StringIO) -> None:
        provider.send(OutgoingMessage(to=ALICE, body="Hei Alice!\nکارت شما", reference="row-1", sender="LEIMA"))
        expected = f"┌ SMS to {ALICE} from LEIMA\n│ Hei Alice!\n│ کارت شما\n└ 1 × UCS-2, reference row-1\n"
        assert expected == stream.getvalue()

    def test_a_message_cannot_steer_the_terminal(self, provider: SmsProvider, stream: StringIO) -> None:
        provider.send(OutgoingMessage(to=ALICE, body="\x1b[2Jgone", reference="row-1"))
        assert "\x1b" not in stream.getvalue()
        assert "│ �[2Jgone\n" in stream.getvalue()

    def test_messages_go_to_standard_error_unless_told_otherwise(self, capsys: pytest.CaptureFixture[str]) -> None:
        ConsoleProvider().send(OutgoingMessage(to=ALICE, body="Hi", reference="row-1"))
        output = capsys.readouterr()
        assert (output.out, "│ Hi\n" in output.err) == ("", True)


class TestTwilio(HttpProviderContract):
    own_number = NUMBER
    fates = {  # noqa: RUF012 - never changed
        "hangs": "+358401200504",
        "drops": "+358401200502",
        "fails": "+358401200500",
        "busy": "+358401220429",
        "no-sms": "+358401221614",
    }

    @pytest.fixture
    def twilio(self, tmp_path: Path) -> Iterator[TwilioSandbox]:
        with TwilioSandbox(tmp_path) as twilio:
            self._twilio = twilio
            yield twilio

    @pytest.fixture(params=["service", "number"])
    def provider(self, twilio: TwilioSandbox, request: pytest.FixtureRequest) -> Iterator[SmsProvider]:
        line = ProviderLine(str(twilio.ca_file), answer_seconds=0.5)
        token = (twilio.account, twilio.auth_token)
        sender, credentials = (twilio.service, twilio.api_key) if request.param == "service" else (NUMBER, token)
        yield TwilioProvider(twilio.account, credentials, sender, line=line, base_url=twilio.url)
        line.close()

    @pytest.fixture
    def broken_provider(self) -> SmsProvider:
        account = f"AC{32 * '0'}"
        return TwilioProvider(account, (account, "x"), NUMBER, base_url=f"https://localhost:{_closed_port()}")

    def taken(self, to: str) -> list[str]:
        return [message.body for message in self._twilio.messages.of(to)]

    def test_a_message_found_later_says_how_far_it_got(self, provider: SmsProvider, twilio: TwilioSandbox) -> None:
        since = datetime.now(UTC).replace(microsecond=0)
        with pytest.raises(SmsError):
            provider.send(OutgoingMessage(to="+358401200500", body="Hi", reference="row-1"))
        twilio.poster.stop()  # which sends what waits
        [found] = provider.find("+358401200500", since)
        assert (State.DELIVERED, "Hi", 1) == (found.state, found.body, found.parts)


class TestGateway(HttpProviderContract):
    fates = {  # noqa: RUF012 - never changed
        "hangs": "+358400000001",
        "drops": "+358400000002",
        "fails": "+358400000003",
        "busy": "+358400000004",
        "no-sms": "+358400000005",
    }

    @pytest.fixture
    def panel(self) -> Iterator[Server]:
        self._asked: list[dict[str, str]] = []
        server = Server(0, self._answer)
        server.start()
        yield server
        server.stop()

    @pytest.fixture
    def provider(self, panel: Server) -> Iterator[SmsProvider]:
        line = ProviderLine(answer_seconds=0.3)
        yield GatewayProvider(_settings(panel.url), line)
        line.close()

    @pytest.fixture
    def broken_provider(self) -> SmsProvider:
        return GatewayProvider(_settings(f"http://localhost:{_closed_port()}"))

    def taken(self, to: str) -> list[str]:
        return [form["text"] for form in self._asked if form["to"] == to]

    def _answer(self, request: Request) -> Reply:
        form = request.form
        self._asked.append(form)
        fate = {number: name for name, number in self.fates.items()}.get(form["to"])
        if fate in ("drops", "hangs"):
            if fate == "hangs":
                time.sleep(1)
            raise Drop
        if fate == "fails":
            return Reply(500, {"status": "oops"})
        if fate == "busy":
            return Reply(429, {}, {"Retry-After": "1"})
        if fate == "no-sms":
            return Reply(200, {"status": "error", "code": 17})
        return Reply(200, {"status": "ok", "ids": [f"m{len(self._asked)}-{id(form)}"]})


def _settings(url: str) -> GatewaySettings:
    return settings_from(
        f"""{{
            "name": "panel", "url": "{url}/send", "sender": "LEIMA",
            "fields": {{"to": "{{to}}", "text": "{{body}}", "from": "{{sender}}", "ref": "{{reference}}"}},
            "success": {{"json": "status", "pattern": "^ok$"}},
            "id": {{"json": "ids.0"}},
            "errors": [{{"json": "code", "pattern": "^17$", "reason": "no-sms"}}]
        }}"""
    )

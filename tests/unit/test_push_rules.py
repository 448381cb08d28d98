"""What Apple's answers mean, what the credentials look like, and what a client must not be used for."""

import json
import ssl
import subprocess
import sys
from base64 import urlsafe_b64decode
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, SECP384R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from certs import development
from passes.apple.push import VERDICTS, PushError, Verdict, explain, verdict
from passes.apple.push_auth import CertificateAuth, TokenAuth

AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY = generate_private_key(SECP256R1())
AUTH = TokenAuth("LEIMADEMO1", "KEY1234567", KEY)


@given(st.integers(100, 599), st.text() | st.sampled_from(sorted(VERDICTS)))
def test_only_a_200_is_sent_and_every_other_answer_has_a_verdict(status: int, reason: str) -> None:
    assert (status == 200) == (verdict(status, reason) is Verdict.SENT)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, Verdict.REFUSED),
        (403, Verdict.REFUSED),
        (404, Verdict.REFUSED),
        (410, Verdict.UNREGISTERED),
        (429, Verdict.RETRY),
        (500, Verdict.RETRY),
        (502, Verdict.RETRY),
        (599, Verdict.RETRY),
    ],
)
def test_a_reason_that_apple_makes_up_tomorrow_is_judged_by_its_status(status: int, expected: Verdict) -> None:
    assert expected == verdict(status, "SomethingNew")


def test_a_refusal_is_always_explained() -> None:
    assert "Apple refused the push: SomethingNew (status 400)" == explain(400, "SomethingNew")
    assert "Apple refused the push: no reason given (status 405)" == explain(405, "")
    assert "clock" in explain(403, "ExpiredProviderToken")


@given(st.integers(0, 6 * 3600), st.integers(0, 6 * 3600))
def test_a_token_is_never_an_hour_old_and_two_are_twenty_minutes_apart(first: int, second: int) -> None:
    moments = [AT + timedelta(seconds=seconds) for seconds in (first, second)]
    issued = [claims(AUTH.token(at))["iat"] for at in moments]

    for at, iat in zip(moments, issued, strict=True):
        assert 0 <= at.timestamp() - iat <= 3600
    assert issued[0] == issued[1] or abs(issued[0] - issued[1]) >= 1200


def test_all_processes_make_the_same_token_at_the_same_time() -> None:
    again = TokenAuth("LEIMADEMO1", "KEY1234567", KEY)

    assert AUTH.token(AT) == again.token(AT + timedelta(minutes=5))
    assert "LEIMADEMO1" == claims(AUTH.token(AT))["iss"]


def claims(token: bytes) -> dict[str, int | str]:
    part = token.split(b".")[1]
    return json.loads(urlsafe_b64decode(part + b"=" * (-len(part) % 4)))


def test_apples_p8_file_is_read() -> None:
    pem = KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    assert AUTH.token(AT) == TokenAuth.from_p8("LEIMADEMO1", "KEY1234567", pem).token(AT)
    assert "PRIVATE" not in repr(AUTH)
    assert "key=" not in repr(AUTH)


@pytest.mark.parametrize(
    "content",
    [b"", b"-----BEGIN PRIVATE KEY-----\nx\n-----END PRIVATE KEY-----\n", "other curve"],
)
def test_a_file_that_is_no_push_key_is_told(content: bytes | str) -> None:
    if isinstance(content, str):
        other = generate_private_key(SECP384R1())
        content = other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    with pytest.raises(PushError, match=r"Give the AuthKey_….p8 file"):
        TokenAuth.from_p8("LEIMADEMO1", "KEY1234567", content)


def test_the_certificates_key_is_nowhere_on_disk_after_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    identity = development.make("pass.fi.leima.demo", "LEIMADEMO1", "Leima", AT)

    CertificateAuth(identity).prepare(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))

    assert [] == list(tmp_path.iterdir())


def test_a_forked_process_is_told_to_make_its_own_client() -> None:
    script = """if True:
        import os
        from datetime import UTC, datetime
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
        from passes.apple.push import PushError
        from passes.apple.push_auth import TokenAuth
        from passes.apple.push_client import PushClient
        auth = TokenAuth("LEIMADEMO1", "KEY1234567", generate_private_key(SECP256R1()))
        client = PushClient(("127.0.0.1", 1), auth=auth, clock=lambda: datetime.now(UTC))
        child = os.fork()
        if child == 0:
            try:
                client.send([])
            except PushError as error:
                print(error, flush=True)
            os._exit(0)
        os.waitpid(child, 0)
        """
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True
    )

    assert ("", "A forked process has to make a push client of its own\n") == (done.stderr, done.stdout)

"""Callbacks count only when Google signed them, for us, lately."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from passes.google.callbacks import Callback, RootKey, public_key, signed_bytes, verify
from passes.google.errors import CallbackError
from sandbox.google_signing import CallbackSigner, millis

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ISSUER = "3388000000000000001"

# A genuine callback of October 2025, as published in the tests of edutap.wallet_google.
GENUINE = json.dumps(
    {
        "signature": "MEUCIQC+xKva1ydmNwJJiP2HJJWsteUe02ztTDKExzcWIpmlywIgJwD4HUYvZJg/cr1OL21vVKr0b2ZXt79NblCQ1V18zsc=",
        "intermediateSigningKey": {
            "signedKey": '{"keyValue":"MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEKb256ssDdmf7DokZ7jsMtAvjiTX2HF1ay8QR1sSA+gFp'
            'C/ChhRwVdMEVJTaoAP1MIH38QWtqShiQ63zROaKtgQ\\u003d\\u003d","keyExpiration":"1759996807000"}',
            "signatures": [
                "MEUCIDd7rXh7qgJZ7YSlQiXG2zOdZUT5XlMSUPu3RfyV3p2CAiEApxrIwTmRVig93FVJUC6bSWdQXMqata5sHenKsVYreUk="
            ],
        },
        "protocolVersion": "ECv2SigningOnly",
        "signedMessage": '{"classId":"3388000000022141777.lib.edutap.eu","objectId":"3388000000022141777.6b4cbd15-'
        '0de7-4fe8-95f6-995a51b4595e.object","eventType":"del","expTimeMillis":1759331348143,"count":1,"nonce":"1a9e3df0-ec10-4a17-'
        '8b39-89d2d7f48e3b"}',
    }
).encode()
# Google's root key of that time. It follows from the signatures on two genuine intermediate keys of July and October
# 2025: of the keys that can have made each of them, this is the only one in common, and only with this sender id.
GOOGLES_ROOT = (
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEs/J7ghdwu4/b6NvqzQebS+Z80FEP8ZlGdAdWDUjfPeBKaV+YOWW0l6U/4IGXnfY9NrsND1fwxAqR"
    "q0unR/LCIg=="
)


@cache
def signer() -> CallbackSigner:
    return CallbackSigner(ec.generate_private_key(ec.SECP256R1()), lambda: NOW)


def roots(**changes: Any) -> list[RootKey]:
    given = {"key": signer().root.public_key(), "expires_at": NOW + timedelta(days=1)}
    return [RootKey(**(given | changes))]


def message(**changes: Any) -> str:
    values = {
        "classId": f"{ISSUER}.kahvi",
        "objectId": f"{ISSUER}.alice",
        "eventType": "save",
        "expTimeMillis": millis(NOW + timedelta(hours=1)),
        "count": 1,
        "nonce": "a-nonce",
    }
    return json.dumps(values | changes)


def refused(body: bytes, root_keys: list[RootKey] | None = None, at: datetime = NOW, **settings: Any) -> str:
    with pytest.raises(CallbackError) as caught:
        verify(body, roots() if root_keys is None else root_keys, ISSUER, at, **settings)
    return caught.value.code


def test_a_genuine_callback_of_googles_is_believed():
    at = datetime(2025, 10, 1, 12, 0, tzinfo=UTC)
    expected = Callback(
        event="del",
        class_id="3388000000022141777.lib.edutap.eu",
        object_id="3388000000022141777.6b4cbd15-0de7-4fe8-95f6-995a51b4595e.object",
        nonce="1a9e3df0-ec10-4a17-8b39-89d2d7f48e3b",
        expires_at=datetime(2025, 10, 1, 15, 9, 8, 143000, UTC),
    )
    assert expected == verify(GENUINE, [RootKey(public_key(GOOGLES_ROOT))], "3388000000022141777", at)


def test_the_sandbox_signs_as_google_does():
    body = signer().sign(message(), ISSUER)
    expected = Callback("save", f"{ISSUER}.kahvi", f"{ISSUER}.alice", "a-nonce", NOW + timedelta(hours=1))
    assert expected == verify(body, roots(), ISSUER, NOW)


def test_a_repeated_callback_shows_the_same_nonce():
    body = signer().sign(message(nonce="once"), ISSUER)
    assert {"once"} == {verify(body, roots(), ISSUER, NOW).nonce for _ in range(2)}


def test_lengths_are_counted_in_bytes():
    assert b"\x03\x00\x00\x00A\xc3\xa4\x00\x00\x00\x00" == signed_bytes("Aä", "")
    body = signer().sign(message(nonce="ääkkönen"), ISSUER)
    assert "ääkkönen" == verify(body, roots(), ISSUER, NOW).nonce


def test_a_callback_for_another_issuer_is_refused():
    assert "signature" == refused(signer().sign(message(), "3388000000000000002"))


@pytest.mark.parametrize("name", ["classId", "objectId"])
def test_a_message_about_another_issuers_card_is_refused(name: str):
    assert "issuer" == refused(signer().sign(message(**{name: "3388000000000000002.x"}), ISSUER))


def test_an_id_that_only_begins_like_ours_is_refused():
    assert "issuer" == refused(signer().sign(message(objectId=f"{ISSUER}9.alice"), ISSUER))


def test_an_expired_callback_is_refused():
    assert "expired" == refused(signer().sign(message(expTimeMillis=millis(NOW)), ISSUER))


def test_an_expired_intermediate_key_is_refused():
    assert "intermediate_expired" == refused(signer().sign(message(), ISSUER, key_life=timedelta(0)))


def test_an_expired_root_key_counts_no_more():
    assert "intermediate" == refused(signer().sign(message(), ISSUER), roots(expires_at=NOW))


def test_a_root_key_without_an_end_counts():
    assert "save" == verify(signer().sign(message(), ISSUER), roots(expires_at=None), ISSUER, NOW).event


def test_a_strangers_root_key_is_refused():
    stranger = CallbackSigner(ec.generate_private_key(ec.SECP256R1()), lambda: NOW)
    assert "intermediate" == refused(stranger.sign(message(), ISSUER))


def test_a_strangers_key_under_a_genuine_intermediate_is_refused():
    stranger = CallbackSigner(ec.generate_private_key(ec.SECP256R1()), lambda: NOW)
    mixed = json.loads(stranger.sign(message(), ISSUER))
    mixed["intermediateSigningKey"] = json.loads(signer().sign(message(), ISSUER))["intermediateSigningKey"]
    assert "signature" == refused(json.dumps(mixed).encode())


def test_another_sender_is_refused():
    assert "intermediate" == refused(signer().sign(message(), ISSUER), sender_id="GoogleWalletPasses")


def test_without_any_root_key_nothing_is_believed():
    assert "intermediate" == refused(signer().sign(message(), ISSUER), [])


def change(name: str, value: Any) -> Callable[[dict[str, Any]], None]:
    return lambda values: values.update({name: value})


@pytest.mark.parametrize(
    ("damage", "code"),
    [
        (change("protocolVersion", "ECv1"), "protocol"),
        (change("protocolVersion", None), "protocol"),
        (change("signature", "not base64!"), "signature"),
        (change("signature", ["MEUC"]), "malformed"),
        (change("signedMessage", ""), "malformed"),
        (change("signedMessage", "\ud800"), "malformed"),
        (change("intermediateSigningKey", "none"), "malformed"),
        (change("intermediateSigningKey", {"signedKey": "{}", "signatures": []}), "intermediate"),
        (change("intermediateSigningKey", {"signedKey": "{}", "signatures": [3, None]}), "intermediate"),
    ],
)
def test_a_damaged_callback_is_refused(damage: Callable[[dict[str, Any]], None], code: str):
    values = json.loads(signer().sign(message(), ISSUER))
    damage(values)
    assert code == refused(json.dumps(values).encode())


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"\xff", b"[" * 60_000, b" " * 70_000, b'"' + b"x" * 10 + b'"'])
def test_noise_is_refused(body: bytes):
    assert "malformed" == refused(body)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"eventType": "share"}, "event"),
        ({"eventType": 1}, "malformed"),
        ({"expTimeMillis": "soon"}, "malformed"),
        ({"expTimeMillis": True}, "malformed"),
        ({"expTimeMillis": 10**30}, "malformed"),
        ({"nonce": ""}, "malformed"),
        ({"classId": None}, "malformed"),
    ],
)
def test_a_signed_message_that_makes_no_sense_is_refused(changes: dict[str, Any], code: str):
    assert code == refused(signer().sign(message(**changes), ISSUER))


def published(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return base64.b64encode(der).decode()


@pytest.mark.parametrize(
    "key",
    [
        "",
        "AAAA",
        "no base64",
        published(ec.generate_private_key(ec.SECP384R1())),
        published(rsa.generate_private_key(65537, 2048)),
    ],
    ids=["empty", "noise", "no base64", "P-384", "RSA"],
)
def test_only_keys_on_googles_curve_are_read(key: str):
    with pytest.raises(ValueError, match=r"."):
        public_key(key)


@cache
def genuine_body() -> bytes:
    return signer().sign(message(), ISSUER)


@given(place=st.integers(0, 10**6), flip=st.integers(1, 255))
def test_no_flipped_bit_makes_another_message(place: int, flip: int):
    body = bytearray(genuine_body())
    body[place % len(body)] ^= flip
    try:
        changed = verify(bytes(body), roots(), ISSUER, NOW)
    except CallbackError:
        return
    # Only what says nothing may change: spaces between JSON's tokens, and unused bits at the end of base64.
    assert verify(genuine_body(), roots(), ISSUER, NOW) == changed


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "signature",
                        "signedMessage",
                        "intermediateSigningKey",
                        "signedKey",
                        "signatures",
                        "protocolVersion",
                    ]
                )
                | st.text(),
                inner,
            )
        ),
    )
)
def test_no_json_makes_it_stumble(values: Any):
    refused(json.dumps(values).encode())

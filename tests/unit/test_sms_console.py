"""The console provider: everything in a demo, nothing that opens a card in a shop's log."""

from io import StringIO

from sms.console import ConsoleProvider
from sms.provider import OutgoingMessage

MESSAGE = OutgoingMessage("+358401234567", "Your card: https://leima.example/c/secret", "row-1")


def test_a_demo_shows_the_whole_message():
    shown = StringIO()
    ConsoleProvider(shown).send(MESSAGE)
    assert "https://leima.example/c/secret" in shown.getvalue()


def test_a_shops_log_gets_neither_number_nor_text():
    shown = StringIO()
    ConsoleProvider(shown, discreet=True).send(MESSAGE)
    assert "secret" not in shown.getvalue()
    assert "1234567" not in shown.getvalue()
    assert "no SMS provider is set" in shown.getvalue()

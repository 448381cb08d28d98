"""The fields of a pass: wallet-py3k's Field, with what it gets wrong put right. See passes.apple.model."""
# ruff: noqa: N803, N815 - the names of attributes and arguments are wallet-py3k's

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, ClassVar, TypeAlias

from wallet import models

from passes.apple.errors import PassError

FieldValue: TypeAlias = str | int | Decimal | date
"""What a field may show; a datetime is a date, too."""


class Slot(str):
    """Stands in a model for a value that differs from card to card (see passes.apple.document)."""

    __slots__ = ()


def filled(values: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of `values` without nulls, empty strings and empty lists, which Wallet doesn't accept."""
    return {key: value for key, value in values.items() if value is not None and value not in ("", [], {})}


def moment(value: datetime) -> str:
    """A W3C date-time with its zone, to the second. Raises PassError for a time without a zone."""
    if isinstance(value, Slot):
        return value
    if value.utcoffset() is None:
        raise PassError(f"The time {value} has no time zone, so phones would show another hour. Give it one")
    return value.isoformat("T", "seconds")


def day(value: date) -> str:
    """A calendar day as Wallet wants it: midnight in a zone that the field then ignores."""
    return value if isinstance(value, Slot) else f"{value.isoformat()}T00:00:00Z"


def number(value: int | Decimal) -> int | Decimal:
    """The value itself. Raises PassError for NaN, infinities and whatever is not a number."""
    if isinstance(value, Slot):
        return value
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PassError(f"“{value}” is not a number. Give an int or a Decimal")
    if isinstance(value, Decimal) and not value.is_finite():
        raise PassError(f"A card can't show the number {value}")
    return value


class Field(models.Field):  # type: ignore[misc]
    """A labelled text."""

    style: ClassVar[tuple[str, ...]] = ()
    """Further attributes that belong into pass.json."""

    def __init__(
        self, key: str, value: Any, label: str = "", changeMessage: str = "", textAlignment: str | None = None
    ) -> None:
        super().__init__(key, value, label)
        self.changeMessage = changeMessage
        self.textAlignment = textAlignment

    def json_value(self) -> Any:
        """The value as JSON writes it."""
        if not isinstance(self.value, str):
            raise PassError(f"The value of the field “{self.key}” is not a text")
        return self.value

    def json_dict(self) -> dict[str, Any]:
        if not self.key:
            raise PassError("A field has no key")
        if self.changeMessage and self.changeMessage.count("%@") != 1:
            raise PassError(
                f"The change message of the field “{self.key}” must have exactly one %@, "
                "where the phone puts the new value"
            )
        if self.value is None or self.value == "":
            raise PassError(f"The field “{self.key}” has no value. Leave the field out")
        styles = {name: getattr(self, name) for name in self.style}
        return filled(self.__dict__ | styles | {"value": self.json_value()})


class NumberField(Field):
    """A number, written as the phone's language writes numbers."""

    style = ("numberStyle",)
    numberStyle: str = models.NumberStyle.DECIMAL

    def json_value(self) -> Any:
        return number(self.value)


class CurrencyField(Field):
    """An amount in major units of `currencyCode` (ISO 4217)."""

    def __init__(
        self, key: str, value: int | Decimal, label: str = "", currencyCode: str = "", changeMessage: str = ""
    ) -> None:
        super().__init__(key, value, label, changeMessage)
        self.currencyCode = currencyCode

    def json_value(self) -> Any:
        if not re.fullmatch("[A-Z]{3}", self.currencyCode):
            raise PassError(f"“{self.currencyCode}” is not a currency code such as EUR")
        return number(self.value)


class DateField(Field):
    """A moment, shown in the phone's own zone and language."""

    style = ("dateStyle", "timeStyle")
    dateStyle: str = models.DateStyle.MEDIUM
    timeStyle: str = models.DateStyle.SHORT

    def json_value(self) -> Any:
        return moment(self.value)


class DayField(Field):
    """A calendar day, the same in every zone."""

    style = ("dateStyle", "timeStyle", "ignoresTimeZone")
    dateStyle: str = models.DateStyle.MEDIUM
    timeStyle: str = models.DateStyle.NONE
    ignoresTimeZone: bool = True

    def json_value(self) -> Any:
        return day(self.value)


def field_for(
    key: str, value: FieldValue, label: str = "", changeMessage: str = "", currency: str = "", kind: type | None = None
) -> Field:
    """The field class that fits `value`, or `kind` when a Slot stands for the value."""
    kind = kind or type(value)
    if issubclass(kind, int | Decimal) and kind is not bool:
        if currency:
            return CurrencyField(key, value, label, currency, changeMessage)  # type: ignore[arg-type]
        return NumberField(key, value, label, changeMessage)
    if currency:
        raise PassError(f"The field “{key}” has a currency, but its value is not a number")
    kinds: tuple[tuple[type, type[Field]], ...] = ((str, Field), (datetime, DateField), (date, DayField))
    for base, made in kinds:
        if issubclass(kind, base):
            return made(key, value, label, changeMessage)
    raise PassError(f"The field “{key}” can't show a value of the kind {kind.__name__}")

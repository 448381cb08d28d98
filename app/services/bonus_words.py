"""How a programme's bonus is written: as money, or as so many of its named points."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.db.bonus import BonusKind
from app.i18n import N_, Translator, translator

MONEY_LABEL = N_("Bonus")
POINTS_LABEL = N_("Points")

Names = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Naming:
    """What bonus is called. `names`: {language: {plural form (CLDR): name}}; a language without names has those of the
    programme's `language`."""

    kind: BonusKind
    currency: str
    language: str
    names: Names = field(default_factory=dict)

    def amount(self, text: Translator, amount: int) -> str:
        """So much of it: '€1.20', or '12 milkshakes'."""
        if self.kind is BonusKind.MONEY:
            return text.money(amount, self.currency)
        return f"{text.number(amount)} {self._name(text, amount)}"

    def split(self, text: Translator, amount: int) -> tuple[str, str]:
        """The same as a label and what stands beneath it: ('Bonus', '€1.20'), or ('milkshakes', '12')."""
        if self.kind is BonusKind.MONEY:
            return text.gettext(MONEY_LABEL), text.money(amount, self.currency)
        return self._name(text, amount), text.number(amount)

    def _name(self, text: Translator, amount: int) -> str:
        own = self.names.get(text.language)
        language = text.language if own else self.language
        forms = own or self.names.get(self.language) or {}
        form = translator(language).locale.plural_form(abs(amount))
        return forms.get(form) or forms.get("other") or text.gettext(POINTS_LABEL)


def plural_forms(language: str) -> tuple[str, ...]:
    """The forms that counted things have in this language, as CLDR calls them: 'other' is the last."""
    known = translator(language).locale.plural_form.tags | {"other"}
    return tuple(form for form in ("zero", "one", "two", "few", "many", "other") if form in known)

"""The till: one box for cards, phone numbers and credit codes, and what a cashier does with what was found.

Everything that changes something is a form whose answer is a redirect, so that a reload only looks again. Phone
numbers and codes are never part of an address: addresses are kept in logs.
"""

from app.web.till import acts, bonus, credit, door, finding, joining
from app.web.till.page import blueprint

__all__ = ["acts", "blueprint", "bonus", "credit", "door", "finding", "joining"]

"""Programmes: what an owner sets up. Pictures, locations, and keys for tills live beside them."""

from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, LargeBinary, String, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base, Identified, text_enum


class Theme(StrEnum):
    """Whether the card's background is the brand colour, or white with the brand colour for the stamps."""

    DARK = "dark"
    LIGHT = "light"


class Program(Identified, Base):
    """One loyalty programme. `version` grows with every change that a card shows.

    Its first stamp card is set here, further ones are app.db.stamps.StampCard rows with columns of the same names. A
    purchase earns a stamp, or one for each full `stamp_per_minor` of it. With `stamp_products` only their lines on a
    receipt earn: a stamp for each piece, or for each full `stamp_per_minor` that they cost together.
    """

    __tablename__ = "programs"
    __table_args__ = (
        CheckConstraint("stamps_needed BETWEEN 1 AND 30", name="stamps_needed"),
        CheckConstraint("smallest_purchase_minor >= 0", name="smallest_purchase"),
        CheckConstraint("stamp_valid_days IS NULL OR stamp_valid_days > 0", name="stamp_valid_days"),
        CheckConstraint("reward_valid_days IS NULL OR reward_valid_days > 0", name="reward_valid_days"),
        CheckConstraint("join_stamps >= 0 AND join_stamps < stamps_needed", name="join_stamps"),
        CheckConstraint("birthday_stamps >= 0 AND birthday_stamps < stamps_needed", name="birthday_stamps"),
        CheckConstraint("stamp_per_minor IS NULL OR stamp_per_minor > 0", name="stamp_per_minor"),
    )

    slug: Mapped[str] = mapped_column(String(40), unique=True)
    name: Mapped[str] = mapped_column(String(60))
    organization_name: Mapped[str] = mapped_column(String(60))
    language: Mapped[str] = mapped_column(String(2))
    time_zone: Mapped[str] = mapped_column(String(64))
    country: Mapped[str] = mapped_column(String(2))
    currency: Mapped[str] = mapped_column(String(3))
    pass_type_identifier: Mapped[str] = mapped_column(String(120), default="")

    brand_color: Mapped[str] = mapped_column(String(60))  # as typed by the owner; parsed by passes.colors
    theme: Mapped[Theme] = mapped_column(text_enum(Theme), default=Theme.DARK)
    logo_id: Mapped[UUID | None] = mapped_column(ForeignKey("pictures.id"))

    welcome_text: Mapped[str] = mapped_column(String(300), default="")
    terms_text: Mapped[str] = mapped_column(String(4000), default="")
    contact_text: Mapped[str] = mapped_column(String(500), default="")
    website: Mapped[str] = mapped_column(String(200), default="")

    stamps_needed: Mapped[int]
    smallest_purchase_minor: Mapped[int] = mapped_column(default=0)
    stamp_valid_days: Mapped[int | None]
    join_stamps: Mapped[int] = mapped_column(default=0)
    birthday_stamps: Mapped[int] = mapped_column(default=0, server_default="0")
    stamp_card_name: Mapped[str] = mapped_column(String(40), default="", server_default="")
    stamp_products: Mapped[list[str]] = mapped_column(JSONB, default=list, server_default="[]")
    stamp_per_minor: Mapped[int | None] = mapped_column(BigInteger)
    reward_name: Mapped[str] = mapped_column(String(60))
    reward_valid_days: Mapped[int | None]
    starts_on: Mapped[date | None]

    version: Mapped[int] = mapped_column(default=1)
    created_at: Mapped[datetime]


class Picture(Identified, Base):
    """An uploaded picture, cleaned and as PNG. Kept in the database, so that every web process has it."""

    __tablename__ = "pictures"

    sha256: Mapped[str] = mapped_column(String(64), unique=True)
    content: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]


class Location(Identified, Base):
    """A place where the programme is used. Degrees are WGS 84; without them the card is not tied to the place."""

    __tablename__ = "locations"
    __table_args__ = (
        UniqueConstraint("program_id", "name"),
        CheckConstraint("latitude BETWEEN -90 AND 90", name="latitude"),
        CheckConstraint("longitude BETWEEN -180 AND 180", name="longitude"),
        CheckConstraint("(latitude IS NULL) = (longitude IS NULL)", name="both_degrees"),
    )

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"))
    name: Mapped[str] = mapped_column(String(60))
    address: Mapped[str] = mapped_column(String(200), default="")
    latitude: Mapped[float | None]
    longitude: Mapped[float | None]
    active: Mapped[bool] = mapped_column(default=True)


class ApiKey(Identified, Base):
    """A till's or web shop's key. Only a keyed hash is kept; `hint` are its last four characters."""

    __tablename__ = "api_keys"

    program_id: Mapped[UUID] = mapped_column(ForeignKey("programs.id"), index=True)
    location_id: Mapped[UUID | None] = mapped_column(ForeignKey("locations.id"))
    name: Mapped[str] = mapped_column(String(60))
    key_hash: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(4))
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]

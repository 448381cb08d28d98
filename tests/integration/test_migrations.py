"""An empty database is brought to the newest schema, which is what the models say."""

from sqlalchemy import text

from app.db import migrate, tables
from app.services.context import Context


def test_migrations_and_models_agree(ctx: Context):
    assert [] == migrate.differences(ctx.engine)


def test_the_database_allows_every_value_of_every_enum(ctx: Context):
    """Alembic compares no CHECK constraints, so a value that was added to an enum is easily forgotten."""
    with ctx.engine.connect() as connection:
        rows = connection.execute(
            text("SELECT conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'c'")
        ).all()
    allowed: dict[str, str] = {}
    for table, definition in rows:
        allowed[table] = allowed.get(table, "") + definition
    for table in tables.metadata.sorted_tables:
        for column in table.columns:
            for value in getattr(column.type, "enums", ()):
                assert f"'{value}'" in allowed[table.name], f"{table.name}.{column.name}"


def test_the_migrated_database_is_not_behind(ctx: Context):
    assert not migrate.pending(ctx.engine)


def test_migrating_twice_changes_nothing(ctx: Context):
    migrate.upgrade(ctx.engine)
    assert [] == migrate.differences(ctx.engine)

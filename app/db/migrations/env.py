"""Alembic's entry: migrates over the connection that app.db.migrate hands over."""

from alembic import context

from app.db import tables

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=tables.metadata, compare_type=True)
with context.begin_transaction():
    context.run_migrations()

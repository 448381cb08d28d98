"""Do the engines answer?"""

from redis import RedisError
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from app.services.context import Context


def database_answers(ctx: Context) -> bool:
    try:
        with ctx.engine.connect() as connection:
            connection.execute(text("SELECT 1"))
    except SQLAlchemyError:
        return False
    return True


def valkey_answers(ctx: Context) -> bool:
    try:
        ctx.valkey.ping()
    except RedisError:
        return False
    return True

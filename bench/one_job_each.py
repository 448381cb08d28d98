"""What campaigns are measured against: a plain job for each message, on RQ's own worker. See bench/campaign.py.

    python bench/one_job_each.py REDIS_URL

Works on the queue until told to stop. A job looks the member up, sends through twilio-python with its own HTTP client,
and notes what came of it, as tutorials do.
"""

import os
import sys
from functools import cache
from pathlib import Path
from uuid import UUID

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from redis import Redis
from rq import Queue, Worker
from sqlalchemy import Engine, create_engine, text

from sms.provider import OutgoingMessage
from sms.provider_line import ProviderLine
from sms.twilio import TwilioProvider

QUEUE = "one-job-each"


@cache
def _engine() -> Engine:
    return create_engine(os.environ["ONE_JOB_DATABASE"].replace("postgresql://", "postgresql+psycopg://"))


@cache
def _provider() -> TwilioProvider:
    return TwilioProvider(
        "AC1", ("AC1", "token"), "+358457399999", line=ProviderLine(os.environ["ONE_JOB_CA"]),
        base_url=os.environ["ONE_JOB_URL"],
    )  # fmt: skip


def send(member_id: str) -> None:
    """The job."""
    with _engine().begin() as connection:
        phone, name = connection.execute(
            text("SELECT phone, name FROM members WHERE id = :id AND status = 'active'"), {"id": UUID(member_id)}
        ).one()
    accepted = _provider().send(OutgoingMessage(phone, f"Hi {name}, buns today!", member_id))
    with _engine().begin() as connection:
        connection.execute(
            text("UPDATE members SET city = :sid WHERE id = :id"), {"id": UUID(member_id), "sid": accepted.provider_id}
        )


def main() -> None:
    connection = Redis.from_url(sys.argv[1])
    Worker([Queue(QUEUE, connection=connection)], connection=connection).work(logging_level="ERROR")


if __name__ == "__main__":
    main()

"""Who of a class gets how much by its policy, worked out from what they spent until now."""

from datetime import datetime, timedelta
from uuid import UUID

from app.db.credit import CustomerClass
from app.services.classing import policy_of
from app.services.classing_sql import amount

# Active members of the class, what its policy gives each, and whether they want offers by SMS.
_RECEIVERS = f"""WITH policy AS (
        SELECT CAST(:fixed AS bigint) AS fixed, CAST(:share_bp AS bigint) AS share_bp,
               CAST(:smallest AS bigint) AS smallest, CAST(:cap AS bigint) AS cap),
    receivers AS (
        SELECT member_classes.member_id, {amount("policy", "spent.minor")} AS amount_minor,
               coalesce(wish.granted, false) AS texted
        FROM member_classes
        JOIN members ON members.id = member_classes.member_id AND members.status = 'active'
        CROSS JOIN policy
        CROSS JOIN LATERAL (
            SELECT CAST(coalesce(sum(amount_minor), 0) AS bigint) AS minor FROM purchases
            WHERE purchases.member_id = member_classes.member_id AND purchases.program_id = :program
              AND policy.share_bp > 0 AND at > :since AND at <= :at AND undone_at IS NULL
        ) AS spent
        LEFT JOIN LATERAL (
            SELECT granted FROM consents
            WHERE consents.member_id = member_classes.member_id AND purpose = 'sms_marketing'
            ORDER BY at DESC, id DESC LIMIT 1
        ) AS wish ON true
        WHERE member_classes.program_id = :program AND class_id = :class_id
          AND (CAST(:after AS uuid) IS NULL OR member_classes.member_id > :after)
        ORDER BY member_classes.member_id)"""  # noqa: S608 - our own words

# Members, those who get something, those of them who are texted, and the sum.
TOTAL = f"""{_RECEIVERS}
    SELECT count(*), count(*) FILTER (WHERE amount_minor > 0), count(*) FILTER (WHERE amount_minor > 0 AND texted),
           CAST(coalesce(sum(amount_minor), 0) AS bigint)
    FROM receivers"""  # noqa: S608 - our own words

# The next members, by id, who get something.
NEXT = f"""{_RECEIVERS}
    SELECT member_id, amount_minor, texted FROM receivers WHERE amount_minor > 0 LIMIT :limit"""  # noqa: S608 - our own words


def values(row: CustomerClass, at: datetime, after: UUID | None = None) -> dict[str, object]:
    """The parameters of both. `after`: only members with larger ids."""
    policy = policy_of(row)
    return {
        "program": row.program_id,
        "class_id": row.id,
        "fixed": policy.fixed_minor,
        "share_bp": policy.share_bp,
        "smallest": policy.smallest_minor,
        "cap": policy.cap_minor,
        "since": at - timedelta(days=row.spending_days),
        "at": at,
        "after": after,
    }

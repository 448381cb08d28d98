"""The statements behind classing. They do what app.loyalty.rfm says, for all members at once."""

from app.db.credit import RfmMethod

# A million members' figures sorted and hashed in memory; the statements use a few of these at a time.
MEMORY = "SET LOCAL work_mem = '96MB'"

# A receipt whose sum nobody told is a visit without money.
_COUNTED = """SELECT member_id, max(at) AS last_at, count(*) AS purchases, sum(coalesce(amount_minor, 0)) AS spent_minor
    FROM purchases
    WHERE program_id = :program AND at > :since AND at <= :at AND member_id IS NOT NULL AND undone_at IS NULL
    GROUP BY member_id"""
_KNOWN = """SELECT member_id, last_at, purchases, spent_minor
    FROM member_classes WHERE program_id = :program AND purchases > 0"""
_ACTIVE = "SELECT id AS member_id, joined_at FROM members WHERE program_id = :program AND status = 'active'"

_SCORES = {
    RfmMethod.QUANTILES: """
    1 + (rank() OVER (ORDER BY last_at) - 1) * CAST(:scores AS bigint) / count(*) OVER () AS recency,
    1 + (rank() OVER (ORDER BY purchases) - 1) * CAST(:scores AS bigint) / count(*) OVER () AS frequency,
    1 + (rank() OVER (ORDER BY spent_minor) - 1) * CAST(:scores AS bigint) / count(*) OVER () AS money""",
    RfmMethod.THRESHOLDS: """
    1 + width_bucket(last_at, CAST(:recency_limits AS timestamptz[])) AS recency,
    1 + width_bucket(purchases, CAST(:frequency_limits AS bigint[])) AS frequency,
    1 + width_bucket(spent_minor, CAST(:money_limits AS bigint[])) AS money""",
}
_CELLS = """SELECT * FROM unnest(
    CAST(:recency AS int[]), CAST(:frequency AS int[]), CAST(:money AS int[]), CAST(:places AS int[])
) AS cell (recency, frequency, money, place)"""


def _classed(method: RfmMethod, figures: str) -> str:
    """The common table `classed`: one row for each active member, whose `place` is that of their class or null.

    Newcomers who have bought nothing yet are in no class: they are not lost.
    """
    return f"""WITH figures AS ({figures}),
    buyers AS (
        SELECT member_id, last_at, CAST(purchases AS bigint) AS purchases, CAST(spent_minor AS bigint) AS spent_minor
        FROM figures JOIN ({_ACTIVE}) AS active USING (member_id)),
    scored AS (SELECT *, {_SCORES[method]} FROM buyers),
    placed AS (
        SELECT member_id, active.joined_at, last_at, coalesce(purchases, 0) AS purchases,
               coalesce(spent_minor, 0) AS spent_minor,
               CAST(coalesce(recency, 1) AS int) AS recency, CAST(coalesce(frequency, 1) AS int) AS frequency,
               CAST(coalesce(money, 1) AS int) AS money
        FROM ({_ACTIVE}) AS active LEFT JOIN scored USING (member_id)),
    classed AS (
        SELECT placed.*, CASE WHEN purchases > 0 OR joined_at <= :since THEN cell.place END AS place
        FROM placed LEFT JOIN ({_CELLS}) AS cell USING (recency, frequency, money))"""  # noqa: S608 - our own words


def write(method: RfmMethod) -> str:
    """Keep what changed since the last classing; rows that stay as they are are not touched."""
    return f"""{_classed(method, _COUNTED)},
    new AS (SELECT *, (CAST(:class_ids AS uuid[]))[place + 1] AS class_id FROM classed)
    INSERT INTO member_classes
        (member_id, program_id, class_id, last_at, purchases, spent_minor, recency, frequency, money)
    SELECT new.member_id, :program, new.class_id, new.last_at, new.purchases, new.spent_minor,
           new.recency, new.frequency, new.money
    FROM new LEFT JOIN member_classes AS old ON old.member_id = new.member_id
    WHERE old.member_id IS NULL
       OR (old.class_id, old.last_at, old.purchases, old.spent_minor, old.recency, old.frequency, old.money)
          IS DISTINCT FROM
          (new.class_id, new.last_at, new.purchases, new.spent_minor, new.recency, new.frequency, new.money)
    ON CONFLICT (member_id) DO UPDATE SET
        class_id = excluded.class_id, last_at = excluded.last_at, purchases = excluded.purchases,
        spent_minor = excluded.spent_minor, recency = excluded.recency, frequency = excluded.frequency,
        money = excluded.money"""  # noqa: S608 - our own words


# Those who left or were blocked.
FORGET = """DELETE FROM member_classes
    WHERE program_id = :program
      AND NOT EXISTS (SELECT FROM members WHERE id = member_classes.member_id AND status = 'active')"""


def amount(policy: str, spent: str) -> str:
    """app.loyalty.rfm.Policy.amount, of the row `policy` and the expression `spent`."""
    cut = f"least({policy}.fixed + ({spent} * {policy}.share_bp + 5000) / 10000, {policy}.cap)"
    return f"(CASE WHEN {cut} >= {policy}.smallest THEN {cut} ELSE 0 END)"


_POLICIES = """SELECT * FROM unnest(
    CAST(:policies AS int[]), CAST(:fixed AS bigint[]), CAST(:share_bp AS bigint[]), CAST(:smallest AS bigint[]),
    CAST(:cap AS bigint[]), CAST(:spent_since AS timestamptz[])
) AS policy (place, fixed, share_bp, smallest, cap, spent_since)"""
_SPENT = """SELECT classed.member_id, CAST(sum(purchases.amount_minor) AS bigint) AS spent
    FROM classed JOIN policies USING (place)
    JOIN purchases ON purchases.member_id = classed.member_id AND purchases.program_id = :program
        AND purchases.at > policies.spent_since AND purchases.at > CAST(:spent_from AS timestamptz)
        AND purchases.at <= :at AND purchases.undone_at IS NULL
    WHERE policies.share_bp > 0
    GROUP BY classed.member_id"""


def sizes(method: RfmMethod, *, known: bool, spends: bool) -> str:
    """Per place: members, those of them without purchases, what they spent in the window, how many of them the policy
    would give something now, and how much together.

    `known`: the figures are those of the last classing. `spends`: some policy asks what its class spent lately.
    """
    spent = _SPENT if spends else "SELECT CAST(NULL AS uuid) AS member_id, CAST(0 AS bigint) AS spent WHERE false"
    given = amount("policies", "coalesce(spent.spent, 0)")
    return f"""{_classed(method, _KNOWN if known else _COUNTED)},
    policies AS ({_POLICIES}),
    spent AS ({spent})
    SELECT place, count(*), count(*) FILTER (WHERE purchases = 0), CAST(sum(spent_minor) AS bigint),
           count(*) FILTER (WHERE {given} > 0), CAST(coalesce(sum({given}), 0) AS bigint)
    FROM classed LEFT JOIN policies USING (place) LEFT JOIN spent USING (member_id)
    GROUP BY place"""  # noqa: S608 - our own words

"""What was still to be told when data were copied: it is shown to staff, and goes out when somebody says so.

A copy can't know what the original has told since. Cards may be told again; an SMS must not come twice.
"""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, insert, literal, select, update
from sqlalchemy.dialects.postgresql import JSONB

from app import clock
from app.db.campaigns import Campaign, CampaignRun, CampaignState, RunPhase
from app.db.credit import CreditRun, RunState
from app.db.delivery import Channel, OutboxRow, OutboxState
from app.db.messages import SmsMessage
from app.db.register import ImportState, RegisterImport
from app.services import campaign_planning, credit_policies, register_import
from sms.delivery_states import State

RESTORED = "The data were restored from a backup: this may have gone out since it was made. Try it again if it has not"
MOVED = "The data came from another installation: this may have gone out there. Try it again if it has not"

_HELD = (Channel.SMS, Channel.CAMPAIGN)
_GOING = (CampaignState.SCHEDULED, CampaignState.RUNNING)
# Which rows are told by which channel, with which payload, while their state is one of these.
_ON_ITS_WAY: tuple[tuple[Channel, dict[str, str], Any, Any, tuple[StrEnum, ...]], ...] = (
    (Channel.SMS, {}, SmsMessage, SmsMessage.state, (State.QUEUED, State.SENDING)),
    (Channel.CAMPAIGN, {}, CampaignRun, CampaignRun.phase, (RunPhase.SENDING,)),
    (
        Channel.TASK,
        {"kind": campaign_planning.CHOOSE},
        CampaignRun,
        CampaignRun.phase,
        (RunPhase.PLANNED, RunPhase.CHOOSING),
    ),
    (Channel.TASK, {"kind": credit_policies.KIND}, CreditRun, CreditRun.state, (RunState.PLANNED, RunState.RUNNING)),
    (
        Channel.TASK,
        {"kind": register_import.KIND},
        RegisterImport,
        RegisterImport.state,
        (ImportState.CHECKING, ImportState.RUNNING),
    ),
)
_COLUMNS = (
    "channel",
    "program_id",
    "subject_id",
    "state",
    "notify",
    "payload",
    "due_at",
    "attempts",
    "error",
    "created_at",
)


def hold_restored(connection: Connection) -> tuple[int, int]:
    """After a restore: hold what the outbox has to say to people, and pause campaigns.

    Returns how many messages are held and how many campaigns were paused.
    """
    held = connection.execute(
        update(OutboxRow)
        .where(OutboxRow.channel.in_(_HELD), OutboxRow.state != OutboxState.DEAD)
        .values(state=OutboxState.DEAD, error=RESTORED)
    )
    paused = connection.execute(update(Campaign).where(Campaign.state.in_(_GOING)).values(state=CampaignState.PAUSED))
    return held.rowcount, paused.rowcount


def hold_moved(connection: Connection, program_id: UUID) -> int:
    """After a load, which brings no outbox: write what was on its way as rows that wait for somebody's word.

    Returns how many.
    """
    now = clock.now()
    held = 0
    for channel, payload, whose, state, going in _ON_ITS_WAY:
        values = (literal(channel, OutboxRow.channel.type), whose.program_id, whose.id, *_dead(payload, now))
        found = select(*values).where(whose.program_id == program_id, state.in_(going))
        counted = insert(OutboxRow).from_select(_COLUMNS, found).execution_options(preserve_rowcount=True)
        held += connection.execute(counted).rowcount
    return held


def _dead(payload: dict[str, str], now: datetime) -> tuple[ColumnElement[Any], ...]:
    state = literal(OutboxState.DEAD, OutboxRow.state.type)
    moment = literal(now, OutboxRow.due_at.type)
    return (state, literal(False), literal(payload, JSONB()), moment, literal(0), literal(MOVED), moment)

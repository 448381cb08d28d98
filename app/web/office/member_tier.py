"""What a member's page shows of the tier and the groups."""

from app.loyalty.credit import last_day
from app.services import card_tier, member_groups, tier_rules
from app.services.programs import ProgramView
from app.services.views import MemberView
from app.web.access import actor, ctx
from app.web.language import text
from app.web.tiers import badge


def shown_tier(program: ProgramView, member: MemberView) -> dict[str, object]:
    """For the template office/_tier.html."""
    here, standing = actor(), member.tier
    inside = {group.id for group in member.groups}
    groups = [one.group for one in member_groups.every(ctx(), here)]
    return {
        "tier_badge": badge(program, standing.tier) if standing and standing.tier else None,
        "tier_goal": card_tier.next_goal(text(), program.currency, standing) if standing else "",
        "tier_figure": (
            card_tier.counted(text(), program.currency, standing.basis, standing.figure) if standing else ""
        ),
        "tier_kept": last_day(standing.until, program.time_zone) if standing and standing.until else None,
        "tier_changes": tier_rules.changes(ctx(), here, member.id),
        "other_groups": [(str(group.id), group.name) for group in groups if group.id not in inside],
    }

"""What every notice says, in words that a member likes: one table, rendered when it is read.

A stored notice holds ids, numbers and short texts written by staff; wording can therefore be made
better for messages of the past too, and nothing that a member wrote is ever repeated here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from string import Formatter
from typing import Any, Final

from coterie_contracts.notification import NotificationClass
from coterie_notifications.domain.notice import Priority
from coterie_notifications.domain.quiet_hours import Zone

__all__ = ["TEMPLATES", "Rendered", "Template", "render"]

ACCOUNT: Final = NotificationClass.ACCOUNT
PERSONAL: Final = NotificationClass.PERSONAL
COMMUNITY: Final = NotificationClass.COMMUNITY
OFFER: Final = NotificationClass.OFFER


@dataclass(frozen=True, slots=True)
class Template:
    """`owed` notices reach even those who left. Texts are `str.format` over the notice's params."""

    notification_class: NotificationClass
    title: str
    text: str
    priority: Priority = Priority.NORMAL
    owed: bool = False


@dataclass(frozen=True, slots=True)
class Rendered:
    title: str
    text: str


TEMPLATES: Final[Mapping[str, Template]] = {
    "application_received": Template(
        ACCOUNT,
        "Your application has arrived",
        "Thank you for asking to join {community}. We look at every application ourselves, and "
        "the answer will stand here.",
    ),
    "application_declined": Template(
        ACCOUNT,
        "Not this time",
        "We could not say yes to your application to {community}. The reason stands with your "
        "application. Thank you for wanting to be part of it.",
    ),
    "application_waitlisted": Template(
        ACCOUNT,
        "You are on the list",
        "You would be welcome in {community}, and every seat is taken right now. As soon as one "
        "is free and it is your turn, it will be offered to you here.",
    ),
    "seat_offered": Template(
        ACCOUNT,
        "A seat is free for you",
        "Your seat in {community} is kept until {expires_at}. Take it before then, or the next "
        "one waiting is asked.",
        Priority.HIGH,
    ),
    "seat_offer_reminder": Template(
        ACCOUNT,
        "Your seat is still free",
        "The seat in {community} is kept for you until {expires_at}.",
        Priority.HIGH,
    ),
    "seat_kept_waiting": Template(
        ACCOUNT,
        "Your place on the list stays",
        "The seat in {community} went to the next one waiting. You keep your place, and we ask "
        "you once more.",
    ),
    "seat_lapsed": Template(
        ACCOUNT,
        "We took you off the list",
        "Twice a seat in {community} was free for you and we did not hear back. You are welcome "
        "to apply again whenever you like.",
    ),
    "member_admitted": Template(
        ACCOUNT,
        "Welcome to {community}",
        "You have a seat. Tell us what would make things better; you will see here what becomes "
        "of it.",
        Priority.HIGH,
    ),
    "member_suspended": Template(
        ACCOUNT,
        "Your membership is paused",
        "You cannot take part in {community} until {until}. Your seat stays yours.",
        Priority.HIGH,
    ),
    "member_reinstated": Template(
        ACCOUNT, "You are back", "You can take part in {community} again."
    ),
    "member_left": Template(
        ACCOUNT,
        "You have left",
        "You have left {community}. Thank you for what you gave; what is owed to you still comes.",
        owed=True,
    ),
    "member_released": Template(
        ACCOUNT,
        "Your membership has ended",
        "Your membership in {community} has ended, with our thanks. If you want to come back, "
        "you are the first on the list for a while.",
        owed=True,
    ),
    "member_removed": Template(
        ACCOUNT,
        "You are no longer a member",
        "You were removed from {community}. You may apply again from {reapply_after}.",
        owed=True,
    ),
    "feedback_accepted": Template(
        PERSONAL,
        "We took up what you suggested",
        "“{label}” is now on our list because of you. You will hear when something happens.",
    ),
    "feedback_planned": Template(
        PERSONAL,
        "Your suggestion is planned",
        "We are going to work on “{label}”. When it is there, you will be the first to look.",
    ),
    "feedback_declined": Template(
        PERSONAL,
        "We decided against a suggestion of yours",
        "We will not do this one. Why stands beside it. Thank you for saying it.",
    ),
    "feedback_merged": Template(
        PERSONAL,
        "Others asked for the same",
        "We joined your suggestion with a similar one, so that it counts once and loudly. When "
        "it is done, you will be asked to look too.",
    ),
    "look_again": Template(
        PERSONAL,
        "You asked, we changed: would you look?",
        "{label}: {what_changed} See it here: {see_it_at}. Does it do what you wanted? Please "
        "tell us by {due_at}.",
        Priority.HIGH,
    ),
    "look_again_reminder": Template(
        PERSONAL,
        "Would you still look?",
        "{label}: {what_changed} See it here: {see_it_at}. We would like your word by {due_at}; "
        "yes and no help us alike.",
    ),
    "feedback_verified": Template(
        PERSONAL,
        "It works, thanks to you",
        "“{label}” is confirmed. It is better now because you said something.",
        Priority.HIGH,
    ),
    "reward": Template(
        ACCOUNT,
        "A thank-you for you",
        "{item_name}: it is yours, because what you gave made a difference. You find it under "
        "your rewards.",
        Priority.HIGH,
        owed=True,
    ),
    "badge": Template(
        PERSONAL, "A new badge", "You have earned the badge “{badge}”.", Priority.LOW
    ),
    "campaign": Template(
        COMMUNITY,
        "We would like your view: {title}",
        "{member_benefit} You can answer until {closes_at}.",
    ),
    "news": Template(COMMUNITY, "{title}", "{text}"),
    "offer": Template(OFFER, "{title}", "{member_benefit} {text}"),
    "reward_held": Template(
        ACCOUNT,
        "A reward has to wait",
        "{item_name} for a member waits: {reason}. It goes out by itself when that is settled.",
    ),
    "budget_exhausted": Template(
        ACCOUNT,
        "A budget is empty",
        "{available} {currency} are left, and a reward needs more. Fund the budget and it goes "
        "out.",
        Priority.HIGH,
    ),
    "suggestion_waits": Template(
        ACCOUNT,
        "A suggestion waits for an answer",
        "A member of {community} has waited for five days to hear what becomes of it. Taking it "
        "up or saying why not takes a minute; it stands on the list of what waits.",
    ),
    "invitation_waits": Template(
        ACCOUNT,
        "An invitation was not used yet",
        "Nobody has come to {community} with an invitation of a week ago. It ends on {expires_at}.",
    ),
    "monday_brief": Template(ACCOUNT, "Monday brief: {community}", "{brief}"),
}

_REASONS: Final = {
    "budget": "the budget is too low",
    "pool": "no code is left in the pool",
    "cap": "the member has had the most for this season",
    "cooldown": "the member had one a short while ago",
    "suspended": "the member is suspended",
}
_BADGES: Final = {
    "first_feedback": "first suggestion",
    "first_implemented": "first one built",
    "helpful_tester": "helpful tester",
    "helpful_rater": "helpful rater",
    "season_top": "among the best of the season",
}
_SPACES: Final = re.compile(r" {2,}")
_MOMENTS: Final = frozenset({"expires_at", "until", "reapply_after", "due_at", "closes_at"})


def render(name: str, params: Mapping[str, Any], zone: Zone) -> Rendered:
    """The texts of a notice; times in `zone`. A template of a later release shows its name."""
    template = TEMPLATES.get(name)
    if template is None:
        return Rendered(name.replace("_", " ").capitalize(), "")
    words = {key: _word(key, value, zone) for key, value in params.items()}
    return Rendered(_fill(template.title, words), _fill(template.text, words))


def _fill(text: str, words: Mapping[str, str]) -> str:
    wanted = {field: words.get(field, "") for _, field, _, _ in Formatter().parse(text) if field}
    return _SPACES.sub(" ", text.format_map(wanted)).strip()


def _word(key: str, value: Any, zone: Zone) -> str:
    if value is None:
        return ""
    if key in _MOMENTS:
        local = datetime.fromisoformat(str(value)).astimezone(zone.info)
        return f"{local:%A} {local.day} {local:%B %Y}, {local:%H:%M}"
    if key == "reason":
        return _REASONS.get(str(value), str(value))
    if key == "badge":
        return _BADGES.get(str(value), str(value))
    return str(value)

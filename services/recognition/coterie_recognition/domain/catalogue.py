"""What can be given, and the policies that say when to whom.

A policy never looks at praise: it follows an improvement, a member's look at one, or a manager's
judgement. Policies are versioned; a reward carries the version that it was proposed under.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final, Literal, TypeAlias
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from coterie_chassis.decisions import Cause, Draft, Refusal, derived_id
from coterie_contracts.reward import ItemKind, RewardPolicyChanged

__all__ = [
    "Beneficiary",
    "Item",
    "ItemSpec",
    "Policy",
    "When",
    "announcement",
    "check",
    "template_pools",
    "templates",
]

AUTO_APPROVE_MINOR: Final = 500
CAP_REWARDS: Final = 2
CAP_MINOR: Final = 5_500
COOLDOWN_DAYS: Final = 14
POOL_LOW: Final = 5
DONATIONS: Final = "donations"
"""The provider that passes donations on."""

Name = Annotated[str, Field(min_length=1, max_length=80)]
Amount = Annotated[int, Field(gt=0, le=100_000_000, description="minor units")]


class _Spec(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    @property
    def amount(self) -> int:
        """What one costs, in minor units of the policy's budget."""
        return 0

    @property
    def pool(self) -> UUID | None:
        return None

    @property
    def provided_by(self) -> str | None:
        """The name of the provider who delivers it, if one does."""
        return None


class GiftCode(_Spec):
    """A prepaid card's code from a pool; without `pool_id` the catalogue makes a new pool."""

    kind: Literal[ItemKind.GIFT_CODE] = ItemKind.GIFT_CODE
    pool_id: UUID | None = None
    face_value: Amount

    @property
    def amount(self) -> int:
        return self.face_value

    @property
    def pool(self) -> UUID | None:
        return self.pool_id


class Session(_Spec):
    """A phone session with a named host, booked at `booking_url`."""

    kind: Literal[ItemKind.SESSION] = ItemKind.SESSION
    minutes: Annotated[int, Field(ge=5, le=480)]
    host: Name | None = None
    booking_url: Annotated[str, Field(pattern=r"^https://[^\s<>\"]+$", max_length=500)] | None = (
        None
    )


class ProviderGift(_Spec):
    """A gift that an outside provider delivers."""

    kind: Literal[ItemKind.PROVIDER_GIFT] = ItemKind.PROVIDER_GIFT
    provider: Name
    product: Name
    amount_minor: Amount

    @property
    def amount(self) -> int:
        return self.amount_minor

    @property
    def provided_by(self) -> str | None:
        return self.provider


class EarlyAccess(_Spec):
    """A look at something before everybody else, until a date or for good."""

    kind: Literal[ItemKind.EARLY_ACCESS] = ItemKind.EARLY_ACCESS
    feature: Name
    until: AwareDatetime | None = None


class Donation(_Spec):
    """A gift to a charity in the member's name."""

    kind: Literal[ItemKind.DONATION] = ItemKind.DONATION
    charity: Name
    amount_minor: Amount

    @property
    def amount(self) -> int:
        return self.amount_minor

    @property
    def provided_by(self) -> str | None:
        return DONATIONS


class Thanks(_Spec):
    """A thank-you."""

    kind: Literal[ItemKind.THANKS] = ItemKind.THANKS


ItemSpec: TypeAlias = Annotated[
    GiftCode | Session | ProviderGift | EarlyAccess | Donation | Thanks,
    Field(discriminator="kind"),
]

FREE: Final = frozenset({ItemKind.THANKS, ItemKind.EARLY_ACCESS})
"""Costs nobody anything: neither budget nor cap nor cooldown apply."""
CLAIMED: Final = frozenset({ItemKind.GIFT_CODE, ItemKind.SESSION})
"""The member takes it by revealing it."""
PROVIDED: Final = frozenset({ItemKind.PROVIDER_GIFT, ItemKind.DONATION})
"""Somebody outside delivers it."""


@dataclass(frozen=True, slots=True)
class Item:
    item_id: UUID
    community_id: UUID
    name: str
    spec: ItemSpec
    version: int = 1


class When(StrEnum):
    """The event that a policy follows; `feedback.verified` includes unconfirmed by default.

    `judgement` follows none: a manager decides, and the decision is the cause.
    """

    IMPLEMENTED = "feedback.implemented"
    VERIFIED = "feedback.verified"
    ANSWERED = "lookagain.answered"
    JUDGEMENT = "judgement"


class Beneficiary(StrEnum):
    AUTHOR = "author"
    DUPLICATE_AUTHORS = "duplicate_authors"
    LOOKAGAIN_RESPONDER = "lookagain_responder"
    CHOSEN_MEMBER = "chosen_member"


_AUTHORS: Final = frozenset({Beneficiary.AUTHOR, Beneficiary.DUPLICATE_AUTHORS})
_FITS: Final = {
    When.IMPLEMENTED: _AUTHORS,
    When.VERIFIED: _AUTHORS,
    When.ANSWERED: frozenset({Beneficiary.LOOKAGAIN_RESPONDER}),
    When.JUDGEMENT: frozenset({Beneficiary.CHOSEN_MEMBER}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """When what is given to whom.

    `auto_approve_up_to` is in minor units; None: a manager always decides. The cap counts all that
    a member was given in a season under any policy, in number and minor units.
    `awaits_funding`: turns itself on when its budget has money and its pool has codes.
    """

    policy_id: UUID
    community_id: UUID
    version: int = 1
    name: str
    when: When
    beneficiary: Beneficiary
    item_id: UUID
    budget_id: UUID | None = None
    objective_id: UUID | None = None
    also_unconfirmed: bool = True
    cap_rewards: int = CAP_REWARDS
    cap_minor: int = CAP_MINOR
    cooldown_days: int = COOLDOWN_DAYS
    auto_approve_up_to: int | None = AUTO_APPROVE_MINOR
    active: bool = True
    awaits_funding: bool = False


def check(policy: Policy, item: Item) -> None:
    """Raises `Refusal` for a policy that could never be carried out."""
    if policy.beneficiary not in _FITS[policy.when]:
        raise Refusal(
            "beneficiary-does-not-fit",
            "Who looked again is rewarded when they answered, authors when something was built, "
            "a chosen member by a manager's judgement.",
            status=422,
        )
    if not policy.active:
        return
    if item.spec.amount > 0 and policy.budget_id is None:
        raise Refusal("policy-needs-budget", "What costs money needs a budget to pay it from.")
    if isinstance(item.spec, Session) and not (item.spec.host and item.spec.booking_url):
        raise Refusal(
            "session-needs-host", "Say who holds the session and where it is booked first."
        )


def announcement(policy: Policy, cause: Cause) -> Draft:
    """The event for a policy that was set or switched."""
    body = RewardPolicyChanged(
        policy_id=policy.policy_id,
        community_id=policy.community_id,
        policy_version=policy.version,
        active=policy.active,
        when=policy.when.value,
        item_id=policy.item_id,
        effective_at=cause.at,
    )
    return Draft(policy.policy_id, body, policy.version)


def templates(community_id: UUID) -> list[tuple[Item, Policy]]:
    """What a community has on its first day; thanks and early access are on.

    Coffee and gas wait for money and codes; the session waits for a host.
    """
    answered, verified = When.ANSWERED, When.VERIFIED
    responder, author = Beneficiary.LOOKAGAIN_RESPONDER, Beneficiary.AUTHOR
    coffee_pool, gas_pool = template_pools(community_id)
    coffee, gas = (
        GiftCode(pool_id=coffee_pool, face_value=500),
        GiftCode(pool_id=gas_pool, face_value=5_000),
    )
    rows: list[tuple[str, str, ItemSpec, When, Beneficiary, int | None, bool]] = [
        ("thanks", "Thanks", Thanks(), answered, responder, 0, True),
        (
            "early-access",
            "Early access",
            EarlyAccess(feature="What comes next"),
            verified,
            author,
            0,
            True,
        ),
        ("coffee", "Coffee card", coffee, verified, author, AUTO_APPROVE_MINOR, False),
        ("session", "Phone session", Session(minutes=15), verified, author, None, False),
        ("gas", "Gas card", gas, verified, author, AUTO_APPROVE_MINOR, False),
    ]
    return [
        (
            Item(item_id := derived_id(community_id, "item", key), community_id, name, spec),
            Policy(
                policy_id=derived_id(community_id, "policy", key),
                community_id=community_id,
                name=name,
                when=when,
                beneficiary=beneficiary,
                item_id=item_id,
                auto_approve_up_to=auto,
                active=active,
                awaits_funding=isinstance(spec, GiftCode),
            ),
        )
        for key, name, spec, when, beneficiary, auto, active in rows
    ]


def template_pools(community_id: UUID) -> tuple[UUID, UUID]:
    """The code pools of the coffee and the gas template."""
    return derived_id(community_id, "pool", "coffee"), derived_id(community_id, "pool", "gas")

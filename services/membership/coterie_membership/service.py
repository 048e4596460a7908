"""All that membership is made of."""

from __future__ import annotations

from coterie_chassis.outbox import CurrentState
from coterie_chassis.service import Service
from coterie_contracts.member import MemberContact
from coterie_membership import handlers, store
from coterie_membership.api import APIS
from coterie_membership.settings import MembershipSettings

service = Service(
    name="membership",
    settings=MembershipSettings,
    apis=APIS,
    sweeps=[
        handlers.lapse_seat_offers,
        handlers.expire_invitations,
        handlers.end_suspensions,
        handlers.expire_evidence,
    ],
    current_state=[CurrentState(MemberContact.topic, store.current_contacts)],
    kept=dict.fromkeys(
        store.metadata.tables, "people and staff write it, and membership decides on it"
    ),
    metadata=store.metadata,
    migrations="coterie_membership.migrations",
    circle=False,
)

"""Membership's tables, and how decisions are loaded and saved.

Lock order, in every command and deadline: a driven community's clock row where the clock moves,
then deadlines by whoever acts on them, then the community's row, then nothing that needs a lock of
its own, because whoever changes an application, a member or an invitation holds the row of its
community. So no command waits for a deadline: it sets those of what it has just made.
"""

from coterie_membership.store.contacts import current_contacts
from coterie_membership.store.invitations import (
    invitation_by_id,
    invitation_by_token,
    invitations_of,
)
from coterie_membership.store.line import move_up, waitlist
from coterie_membership.store.people import (
    add_tree,
    application_by_id,
    application_with_tree,
    applications,
    applications_of,
    begin,
    community_by_id,
    erased_from,
    erasures_of,
    forget,
    member_by_id,
    member_of,
    members,
    members_by_id,
    save,
    tree,
    trees,
    with_deadlines,
)
from coterie_membership.store.tables import (
    application,
    community,
    erased,
    erased_application,
    incarnation,
    invitation,
    member,
    metadata,
    requirements,
)

__all__ = [
    "add_tree",
    "application",
    "application_by_id",
    "application_with_tree",
    "applications",
    "applications_of",
    "begin",
    "community",
    "community_by_id",
    "current_contacts",
    "erased",
    "erased_application",
    "erased_from",
    "erasures_of",
    "forget",
    "incarnation",
    "invitation",
    "invitation_by_id",
    "invitation_by_token",
    "invitations_of",
    "member",
    "member_by_id",
    "member_of",
    "members",
    "members_by_id",
    "metadata",
    "move_up",
    "requirements",
    "save",
    "tree",
    "trees",
    "waitlist",
    "with_deadlines",
]

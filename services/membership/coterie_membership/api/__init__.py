"""Membership over HTTP: communities, applications, members, invitations."""

from coterie_membership.api.applications import api as applications
from coterie_membership.api.communities import api as communities
from coterie_membership.api.invitations import api as invitations
from coterie_membership.api.members import api as members

__all__ = ["APIS"]

APIS = (communities, applications, members, invitations)

"""Membership over HTTP: communities, applications, members, invitations."""

from coterie_membership.api.applications import api as applications
from coterie_membership.api.clock import api as clock
from coterie_membership.api.communities import api as communities
from coterie_membership.api.erasure import api as erasure
from coterie_membership.api.invitations import api as invitations
from coterie_membership.api.judging import api as judging
from coterie_membership.api.members import api as members
from coterie_membership.api.operators import api as operators
from coterie_membership.api.todo import api as todo

__all__ = ["APIS"]

APIS = (communities, clock, todo, applications, judging, members, invitations, erasure, operators)

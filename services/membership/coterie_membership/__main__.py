"""`python -m coterie_membership serve | migrate | redrive | republish`."""

from coterie_chassis.cli import run
from coterie_membership.service import service

if __name__ == "__main__":
    run(service)

"""`python -m coterie_notifications serve | migrate | redrive | republish`."""

from coterie_chassis.cli import run
from coterie_notifications.service import service

run(service)

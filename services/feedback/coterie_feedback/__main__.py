"""`python -m coterie_feedback serve | migrate | redrive | republish`."""

from coterie_chassis.cli import run
from coterie_feedback.service import service

run(service)

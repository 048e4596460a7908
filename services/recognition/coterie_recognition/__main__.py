"""serve, migrate, redrive, republish."""

from coterie_chassis.cli import run
from coterie_recognition.service import service

run(service)

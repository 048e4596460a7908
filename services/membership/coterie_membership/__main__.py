"""The command `coterie-membership`: serve, migrate, redrive, republish."""

from coterie_chassis.cli import run
from coterie_membership.service import service


def main() -> None:
    """Run the command line of this service."""
    run(service)


if __name__ == "__main__":
    main()

"""What membership decides: entry requirements, seats, applications and members. Pure."""

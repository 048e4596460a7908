"""A season of one community, played through the public interfaces on a driven clock."""

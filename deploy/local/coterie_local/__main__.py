"""`python -m coterie_local` is the command `coterie`."""

from coterie_local.cli import main

if __name__ == "__main__":
    main()

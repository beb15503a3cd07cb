"""`python -m fabula` is the `fabula` command."""

from fabula.cli.app import main

main()

"""`python -m agegender`."""

from agegender.cli import main

main()

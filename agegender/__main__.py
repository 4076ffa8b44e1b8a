"""`python -m agegender`."""

from agegender.cli import main

if __name__ == "__main__":
    main()

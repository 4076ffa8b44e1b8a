"""`python -m agegender`."""

from agegender.commands.packages import end_for_missing

try:
    from agegender.cli import main
except ModuleNotFoundError as error:
    end_for_missing(error)
    raise

if __name__ == "__main__":
    main()

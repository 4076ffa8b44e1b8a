"""The `agegender` command: the four stages in one process, and what a person asks of the results."""

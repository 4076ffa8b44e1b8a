"""The report of an evaluation: on the terminal, and as Markdown with pictures."""

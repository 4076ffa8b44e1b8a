"""Results in; Redis out, each result exactly once."""

"""Results, track updates and previews in, Redis out: each message takes effect exactly once."""

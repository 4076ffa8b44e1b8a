"""Results, track updates, previews and notices in, Redis out: each message takes effect exactly once."""

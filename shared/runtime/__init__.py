"""The loop that every service runs, and what carries messages between stages."""

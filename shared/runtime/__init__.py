"""The loop that every service runs, and the transport between stages."""

"""The messages between the services, and their encoding."""

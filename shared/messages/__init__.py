"""What travels between the services, and how it is encoded."""

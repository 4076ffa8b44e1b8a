"""Kafka: topics, sources, outputs and the group; private parts of the client stay in `client.py`."""

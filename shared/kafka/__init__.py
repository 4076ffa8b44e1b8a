"""Kafka: topics, sources, outputs and groups. Only `private.py` uses undocumented parts of the client."""

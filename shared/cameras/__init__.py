"""Cameras as their owner describes them, and as Kafka may hold them."""

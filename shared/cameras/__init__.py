"""The settings of cameras: as a person gives them, and as Kafka may hold them."""

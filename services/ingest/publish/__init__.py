"""What waits for Kafka: a bounded buffer for each camera, and backpressure for files."""

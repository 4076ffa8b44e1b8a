"""Publishing frames: a bounded buffer for each camera, and backpressure for files."""

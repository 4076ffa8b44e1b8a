"""One process for each RTSP camera, and how the worker talks to it."""

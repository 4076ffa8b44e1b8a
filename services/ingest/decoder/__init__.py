"""One process for each RTSP camera, and its protocol with the worker."""

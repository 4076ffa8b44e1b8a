"""RTSP cameras, through PyAV: connecting, reading, and telling why one cannot be read."""

"""Reads cameras, webcams and files, and publishes JPEG frames with the time of their capture."""

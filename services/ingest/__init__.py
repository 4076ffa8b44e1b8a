"""Cameras, webcams and files in; JPEG frames with their capture time out."""

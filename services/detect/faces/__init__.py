"""Faces: detection, alignment into chips, and quality."""

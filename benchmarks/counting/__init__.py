"""Compares the number of tracks with the known number of people in a clip."""

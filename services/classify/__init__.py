"""Batches of chips in; age and gender out."""

"""Measures the constants of `agegender plan`, and compares its simulation with real workers."""

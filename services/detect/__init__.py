"""Frames in; one aligned chip for every face out."""

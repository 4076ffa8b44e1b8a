"""The service detect: frames in, one aligned chip for each face out, and the tracks of each camera."""

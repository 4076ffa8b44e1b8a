"""`agegender demo`: the pipeline on a simulated camera."""

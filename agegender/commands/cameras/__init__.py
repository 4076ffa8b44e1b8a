"""`agegender cameras`: who is watched, for all workers; and what is wrong with a camera."""

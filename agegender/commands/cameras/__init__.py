"""`agegender cameras`: the cameras of all workers, and what is wrong with one."""

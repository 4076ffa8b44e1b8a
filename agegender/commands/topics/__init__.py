"""`agegender topics …`: the topics as the system wants them, and as they are."""

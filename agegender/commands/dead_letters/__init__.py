"""`agegender dead-letters`: what could not be processed, and how to try it again."""

"""`agegender query`: what the store knows, as tables for people and as records for programs."""

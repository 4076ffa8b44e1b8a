"""Pictures, videos and webcams on one machine: behind `agegender analyze` and the functions to import."""

"""`make overload-check`: what is counted when the CPU does not suffice."""

"""`agegender plan`: what so many cameras need, from what a machine was measured to do."""

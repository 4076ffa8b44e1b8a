"""`agegender run`: the whole pipeline in one process, with a live table and page."""

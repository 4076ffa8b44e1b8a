"""`agegender analyze`: pictures, folders, videos and cameras on this machine."""

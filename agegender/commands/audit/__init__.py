"""`agegender audit`: the reconciliation of all numbers from the camera to the store."""

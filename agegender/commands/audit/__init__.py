"""`agegender audit`: do the books of the pipeline balance, from the camera to the store?"""

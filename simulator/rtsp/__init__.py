"""RTSP cameras on loopback that play clips, and the faults that tests give them."""

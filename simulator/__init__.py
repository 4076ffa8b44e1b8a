"""Simulated cameras: H.264 clips of known truth, served for ever over RTSP."""

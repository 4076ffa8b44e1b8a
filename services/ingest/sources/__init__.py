"""The sources of frames: RTSP cameras, webcams, video files, folders of pictures."""

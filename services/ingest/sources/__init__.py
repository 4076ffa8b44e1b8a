"""What frames are read from: RTSP cameras, webcams, video files, folders of pictures."""

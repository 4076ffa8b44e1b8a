"""What the cameras show: sample pictures, scenes with known faces, and crowds with known visits."""

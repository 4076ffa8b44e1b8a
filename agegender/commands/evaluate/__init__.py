"""How well the pipeline judges labelled faces, and for whom it fails."""

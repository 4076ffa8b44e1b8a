"""How well the pipeline classifies labelled faces, and for whom it fails."""

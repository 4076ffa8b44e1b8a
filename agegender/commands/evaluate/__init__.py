"""How well the pipeline classifies labelled faces, and for which groups it fails."""

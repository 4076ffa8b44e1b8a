"""The four services of the pipeline. They never import each other: topics are all they share."""

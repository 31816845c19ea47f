"""The index of a data set: built once from its annotations, opened in milliseconds by everybody."""

"""Command lines, thin: parse, call one function of the packages above, print."""

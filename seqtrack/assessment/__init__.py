"""Protocols (OPE, TRE), metrics, result files, summary over seeds."""

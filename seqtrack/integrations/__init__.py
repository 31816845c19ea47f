"""Adapters: our trackers inside the tools of others."""

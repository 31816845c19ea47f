"""Data sets packed for ourselves, and written and read as other systems have them."""

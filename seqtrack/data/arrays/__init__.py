"""Arrays in files: written once, mapped into memory by whoever reads them."""

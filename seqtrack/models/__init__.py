"""Networks, nothing else: backbones, heads, losses. One module per tracker family."""

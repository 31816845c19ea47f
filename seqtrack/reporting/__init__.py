"""Tables, pictures and video overlays."""

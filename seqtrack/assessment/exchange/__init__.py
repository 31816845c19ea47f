"""Result files of the field's toolkits: read from any of their layouts, and written to them."""

"""The configuration: read with the place of every key, layered, checked, explained, watched, and written back."""

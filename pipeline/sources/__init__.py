"""One file a source kind."""

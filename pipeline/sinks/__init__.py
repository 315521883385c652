"""One file a sink kind."""

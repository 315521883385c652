"""How the operating system starts the daemon by itself."""

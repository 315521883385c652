"""Names, options and help of every command; what a command does is in `daemon.commands`, imported late."""

"""The process: settings, life cycle, control hub, supervision, command line."""

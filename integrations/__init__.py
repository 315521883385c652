"""The control plane: things outside that send commands and hear events."""

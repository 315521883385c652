"""How fast this machine paints, what it could do at most, and what it costs."""

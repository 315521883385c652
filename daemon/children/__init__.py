"""The host's side of the two processes that may die, capture and engine, and of the memory between them."""

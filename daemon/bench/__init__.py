"""`phosphene bench`: the engine alone, then the whole daemon around it, in one run on this machine."""

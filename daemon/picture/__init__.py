"""What a viewer gets: the ladder's choice, the card, the sign, and the threads that publish to the sinks."""

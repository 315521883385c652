"""What `phosphene doctor` looks at. Each check only reads facts; none opens a camera for pictures."""

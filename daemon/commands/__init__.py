"""What each command of `phosphene` does. Imported only when that command runs."""

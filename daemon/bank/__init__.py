"""The style bank: the user's style file, its edits, and what shows the styles as pictures."""

"""The adaptive deadline: what is given up, level by level, while frames are late."""

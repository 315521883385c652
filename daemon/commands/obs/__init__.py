"""`phosphene obs install`, `uninstall` and `status`.

session.py     a connection for one command
picture.py     where OBS is to take the picture from
install.py     install and uninstall: `integrations.obs.kit` does it
status.py      how OBS stands, and what of ours is in it
"""

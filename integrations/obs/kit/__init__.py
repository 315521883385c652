"""What `phosphene obs install` puts into the user's OBS, and takes out again.

names.py       what its scenes and sources are called, and which action a push button stands for
wanted.py      the kit: scenes, sources, settings, places
studio.py      what OBS has (asked for in look.py)
record.py      what we made: the daemon's state file
ownership.py   which of OBS's things are ours
plan.py        from all of these the steps of an installation; unplan.py: of its removal
carry_out.py   does them over a connection
lua_script.py  the script with named hotkeys (phosphene.lua)
"""

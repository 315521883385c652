"""Every engine is one file whose name is its `kind`; `_contract.py` says what it gives."""

"""Loading models: the built-in one, diffusers folders and hub ids, single files, LoRA."""

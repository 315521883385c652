"""What trained the built-in model: `python -m pipeline.models.training --photos FOLDER --out DIR`."""

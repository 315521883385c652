"""How a step is executed. `kinds/` holds the engines, one file each; the denoiser's maths is the same in all."""

"""The data plane: camera → denoiser → virtual camera. It imports neither `daemon` nor `integrations`."""

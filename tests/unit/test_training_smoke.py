"""The training program end to end on a CPU: a few steps of every stage, and a folder that diffusers loads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from pipeline.errors import ModelError
from pipeline.models.load import BUILTIN
from pipeline.models.training.palettes import PALETTES
from pipeline.models.training.refine import RefineOptions, distinction, refine
from pipeline.models.training.styles import STYLES
from pipeline.models.training.tokenizer import build_tokenizer
from pipeline.models.training.train import TrainingOptions, train

pytestmark = pytest.mark.slow


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three scenes of coloured blobs, and a file that is no picture."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng()
    for i in range(3):
        coarse = rng.integers(0, 256, (5, 6, 3), dtype=np.uint8)
        scene = cv2.resize(coarse, (120, 90 + 20 * i), interpolation=cv2.INTER_CUBIC)
        cv2.imwrite(str(folder / f"scene{i}.png"), scene)
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder


# torch warns that bfloat16 autocast is slow on some CPUs
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_few_steps_give_a_model_that_diffusers_loads(photos, tmp_path):
    said: list[str] = []
    out = train(
        TrainingOptions(
            photos,
            tmp_path / "model",
            crops=4,
            batch_size=8,
            side=64,
            captions=2,
            device="cpu",
            processes=1,
            steps=(3, 2, 2),
        ),
        said.append,
    )
    losses = [float(x) for line in said for x in re.findall(r"(?:loss|critic|factor is) (\S+?)(?:,|$)", line)]
    assert len(losses) >= 4
    assert np.isfinite(losses).all()
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["model_index.json", "scheduler", "text_encoder", "tokenizer", "unet", "vae"]
    )

    from diffusers import StableDiffusionPipeline

    pipe = StableDiffusionPipeline.from_pretrained(out).to(torch.float32)
    assert pipe.vae.config.scaling_factor > 0
    assert pipe.scheduler.config.prediction_type == "v_prediction"
    z = pipe.vae.encoder(torch.rand(1, 3, 64, 64) * 2 - 1) * pipe.vae.config.scaling_factor
    tokens = torch.tensor(pipe.tokenizer(["neon"], padding="max_length", max_length=32).input_ids)
    v = pipe.unet(z, 99, encoder_hidden_states=pipe.text_encoder(tokens)[0]).sample
    assert v.shape == z.shape
    assert torch.isfinite(v).all()


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_refining_changes_the_unet_a_little_and_nothing_else(photos, tmp_path):
    from safetensors.torch import load_file

    options = RefineOptions(
        photos, tmp_path / "model", keep=0.5, crops=2, batch_size=3, side=64, captions=2, steps=5
    )
    out = refine(options, lambda text: None)
    for part, file in (("vae", "diffusion_pytorch_model"), ("text_encoder", "model")):
        before, after = (load_file(d / part / f"{file}.safetensors") for d in (BUILTIN, out))
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
    before, after = (load_file(d / "unet" / "diffusion_pytorch_model.safetensors") for d in (BUILTIN, out))
    assert before.keys() == after.keys()
    moved = max(float((before[key].float() - after[key].float()).abs().max()) for key in before)
    assert 0 < moved < 0.01


def test_a_picture_is_distinct_when_it_differs_from_the_mean_as_its_target_does():
    mean, target = torch.rand(2, 3, 64, 64), torch.rand(2, 3, 64, 64)
    assert distinction(target, target, mean) < 1e-4
    assert distinction(mean + 0.2 * (target - mean), target, mean) < 1e-2  # its strength does not matter
    assert distinction(mean, target, mean) > 0.9
    assert distinction(2 * mean - target, target, mean) > 1.9


def test_the_learnt_tokenizer_is_the_built_in_one():
    """The built-in model's prompts are read as they were when it was trained."""
    from transformers import CLIPTokenizer

    shipped = CLIPTokenizer.from_pretrained(BUILTIN / "tokenizer")
    learnt = build_tokenizer()
    assert learnt.get_vocab() == shipped.get_vocab()
    for text in ("a neon cyberpunk portrait, in blue tones", "zebra, 8-bit!", "", "Ünïcode 猫"):
        assert learnt(text).input_ids == shipped(text).input_ids


def test_every_teacher_changes_the_picture_its_own_way():
    rng = np.random.default_rng()
    coarse = rng.integers(0, 256, (9, 12, 3), dtype=np.uint8)
    scene = cv2.resize(coarse, (128, 96), interpolation=cv2.INTER_CUBIC)
    painted = {name: style.teach(scene) for name, style in STYLES.items()}
    for name, image in painted.items():
        assert image.shape == scene.shape, name
        assert image.dtype == np.uint8, name
        assert np.array_equal(image, STYLES[name].teach(scene)), name
    assert np.array_equal(painted["photo"], scene)
    distances = [
        np.abs(painted[a].astype(int) - painted[b]).mean() for a in painted for b in painted if a < b
    ]
    assert min(distances) > 1


def test_palettes_keep_shape_and_range():
    pictures = torch.rand(2, 3, 5, 7)
    for name, palette in PALETTES.items():
        toned = palette(pictures)
        assert toned.shape == pictures.shape, name
        assert 0 <= float(toned.min()) <= float(toned.max()) <= 1, name
        assert (toned - pictures).abs().mean() > 0.01, name


def test_wrong_input_is_named(tmp_path):
    with pytest.raises(ModelError, match="no photographs"):
        train(TrainingOptions(tmp_path, tmp_path / "out"))
    with pytest.raises(ModelError, match="side is 100"):
        train(TrainingOptions(tmp_path, tmp_path / "out", side=100))


def test_the_command_line_says_what_is_wrong(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pipeline.models.training",
        "--photos",
        str(tmp_path),
        "--out",
        str(tmp_path),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "no photographs" in done.stderr
    assert "Traceback" not in done.stderr

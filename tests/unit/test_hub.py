"""Models of the hub, against a small real HTTP server that answers as the hub does."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import safetensors.torch
import torch

from pipeline.errors import ModelError
from pipeline.models.hub import downloaded, is_hub_id, wanted
from pipeline.models.load import BUILTIN, load_model

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class FakeHub:
    """Serves folders as repositories; `gated` ones ask for a licence."""

    def __init__(self) -> None:
        self.repos: dict[str, Path] = {}
        self.gated: set[str] = set()
        self.requests: list[str] = []
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                pass

            def do_HEAD(self) -> None:
                self.do_GET()

            def do_GET(self) -> None:
                hub.requests.append(f"{self.command} {self.path}")
                path = self.path.partition("?")[0].strip("/").removeprefix("api/models/")
                repo = "/".join(path.split("/")[:2])
                if repo in hub.gated:
                    self.reply(403, b"", {"X-Error-Code": "GatedRepo"})
                elif repo not in hub.repos:
                    self.reply(404, b"", {"X-Error-Code": "RepoNotFound"})
                elif "/resolve/" in path:
                    self.file(hub.repos[repo] / path.split("/resolve/main/")[1])
                else:
                    folder = hub.repos[repo]
                    files = [f for f in sorted(folder.rglob("*")) if f.is_file()]
                    siblings = [
                        {"rfilename": f.relative_to(folder).as_posix(), "size": f.stat().st_size}
                        for f in files
                    ]
                    body = {"id": repo, "modelId": repo, "sha": COMMIT, "siblings": siblings, "tags": []}
                    self.reply(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

            def file(self, file: Path) -> None:
                if not file.is_file():
                    self.reply(404, b"", {"X-Error-Code": "EntryNotFound"})
                    return
                body = file.read_bytes()
                etag = hashlib.sha256(body).hexdigest()
                self.reply(
                    200, body, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
                )

            def reply(self, status: int, body: bytes, headers: dict[str, str]) -> None:
                self.send_response(status)
                for name, value in {"Content-Length": str(len(body)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                if self.command == "GET":
                    self.wfile.write(body)

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[FakeHub]:
    from huggingface_hub import constants

    fake = FakeHub()
    monkeypatch.setattr(constants, "ENDPOINT", fake.url)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", fake.url + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield fake
    fake.close()


def quiet(what: str, share: float | None) -> None:
    pass


def refused(repo: str, *, offline: bool = False) -> ModelError:
    with pytest.raises(ModelError) as caught:
        downloaded(repo, offline=offline, progress=quiet)
    assert caught.value.mend
    assert "\n" not in caught.value.message
    assert repo in caught.value.message
    return caught.value


def test_a_model_is_downloaded_with_progress_and_then_never_asked_for_again(hub):
    hub.repos["someone/tiny"] = BUILTIN
    heard: list[tuple[str, float | None]] = []
    model = load_model("someone/tiny", progress=lambda what, share: heard.append((what, share)))
    assert model.latent_channels == 16
    assert model.t_index_list == (45,)
    shares = [s for what, s in heard if what == "downloading someone/tiny" and s is not None]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(set(shares)) > 3
    hub.requests.clear()
    load_model("someone/tiny")
    load_model("someone/tiny", offline=True)
    assert hub.requests == []


def test_a_vae_and_a_lora_repository(hub, tmp_path):
    hub.repos["someone/vae"] = BUILTIN / "vae"
    assert load_model("builtin", vae="someone/vae").latent_channels == 16
    folder = tmp_path / "lora"
    folder.mkdir()
    weights = {
        "lora_unet_conv_in.lora_down.weight": torch.zeros(2, 16, 3, 3),
        "lora_unet_conv_in.lora_up.weight": torch.zeros(64, 2, 1, 1),
    }
    safetensors.torch.save_file(weights, folder / "pytorch_lora_weights.safetensors")
    hub.repos["someone/lora"] = folder
    model = load_model("builtin", loras=[("someone/lora", 0.5)])
    assert model.loras.weights_key == (("someone/lora", 0.5),)


def test_an_interrupted_download_is_finished_and_not_taken_for_whole(hub, tmp_path):
    part = tmp_path / "part"
    (part / "unet").mkdir(parents=True)
    for file in ("model_index.json", "unet/config.json", "unet/diffusion_pytorch_model.safetensors"):
        (part / file).write_bytes((BUILTIN / file).read_bytes())
    hub.repos["someone/tiny"] = part
    refused("someone/tiny")  # the connection ends after these files
    hub.repos["someone/tiny"] = BUILTIN
    refused("someone/tiny", offline=True)
    assert load_model("someone/tiny").latent_channels == 16


def test_each_way_to_fail_has_its_own_sentence(hub, monkeypatch, tmp_path):
    hub.gated.add("someone/gated")
    assert "gated" in refused("someone/gated").message
    assert "has no model" in refused("someone/nowhere").message
    assert "network is switched off" in refused("someone/tiny", offline=True).message
    pickles = tmp_path / "pickles"
    (pickles / "unet").mkdir(parents=True)
    (pickles / "model_index.json").write_text("{}")
    (pickles / "unet" / "diffusion_pytorch_model.bin").write_bytes(b"x")
    hub.repos["someone/pickled"] = pickles
    assert "no safetensors in unet" in refused("someone/pickled").message
    hub.repos["someone/tiny"] = BUILTIN
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000})())
    assert "GB free" in refused("someone/tiny").message
    monkeypatch.undo()


def test_a_hub_out_of_reach_is_one_sentence(hub):
    hub.close()
    assert "cannot be reached" in refused("someone/tiny").message


def test_the_half_precision_set_is_chosen_and_nothing_twice():
    names = [
        "model_index.json",
        "README.md",
        "sd_turbo.safetensors",
        "unet/config.json",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.fp16.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "vae/config.json",
        "vae/diffusion_pytorch_model-00001-of-00002.safetensors",
        "vae/diffusion_pytorch_model-00002-of-00002.safetensors",
        "vae/diffusion_pytorch_model.safetensors.index.json",
        "text_encoder/config.json",
        "text_encoder/model.safetensors",
        "safety_checker/model.safetensors",
        "tokenizer/vocab.json",
        "tokenizer/merges.txt",
        "scheduler/scheduler_config.json",
    ]
    chosen = wanted("a/b", dict.fromkeys(names, 1))
    assert len(chosen) == len(set(chosen))
    assert set(names) - set(chosen) == {
        "README.md",
        "sd_turbo.safetensors",
        "unet/diffusion_pytorch_model.safetensors",
        "unet/diffusion_pytorch_model.non_ema.safetensors",
        "unet/diffusion_pytorch_model.bin",
        "safety_checker/model.safetensors",
    }


@pytest.mark.parametrize(
    ("name", "is_id"), [("a/b", True), ("a/b/c", False), ("builtin", False), ("../x", False)]
)
def test_what_counts_as_a_hub_id(name, is_id):
    assert is_hub_id(name) is is_id

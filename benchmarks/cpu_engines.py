"""The parts of a step by every compiler for CPUs, side by side on this machine: milliseconds and distance to float32.

    python benchmarks/cpu_engines.py --build      compile everything into a folder first (minutes; not measured)
    python benchmarks/cpu_engines.py              measure; one JSON line at the end

Rounds alternate between the engines, so that a busy machine slows all of them. --clock cpu counts the processor's time
of all threads, for a machine that others use. The first column is the least time of a call; the median is in the JSON
line.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from pipeline.conditioning import TextConditioner
from pipeline.engine.agreement import relative
from pipeline.engine.eager import EagerEngine
from pipeline.engine.job import Job
from pipeline.engine.kinds._contract import kind_of
from pipeline.engine.parts import flat
from pipeline.models.load import load_model

SIDE = 256
ROWS = (1, 2, 4)


def job(kind: str, dtype: str, threads: int) -> Job:
    return Job(
        kind=kind, model="builtin", vae=None, weights=(), allow_pickle=False, device="cpu", dtype=dtype,
        height=SIDE, width=SIDE, frames=1, steps=1, rows=ROWS, threads=threads,
    )  # fmt: skip


class OnnxRuntime:
    """The same parts as ONNX files, float32: its CPU provider has no bfloat16 convolutions."""

    def __init__(self, folder: Path, threads: int) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        names = ["encode", "decode", *(f"unet_{rows}" for rows in ROWS)]
        self._sessions = {
            name: ort.InferenceSession(str(folder / f"{name}.onnx"), options, ["CPUExecutionProvider"])
            for name in names
        }

    def run(self, name: str, inputs: list[Tensor]) -> Tensor:
        session = self._sessions[name]
        feed = {i.name: t.contiguous().numpy() for i, t in zip(session.get_inputs(), inputs, strict=True)}
        return torch.from_numpy(session.run(None, feed)[0])


COMPILED = (("openvino", "bfloat16"), ("openvino", "float32"), ("inductor", "bfloat16"))


def build(folder: Path, threads: int, without: list[str]) -> None:
    from pipeline.engine.onnx_model import write_all

    for kind, dtype in COMPILED:
        if kind in without:
            continue
        place = folder / f"{kind}-{dtype}"
        place.mkdir(parents=True, exist_ok=True)
        module: Any = kind_of(kind)
        module.build(job(kind, dtype, threads), place, print)
    if "onnxruntime" not in without:
        (folder / "onnx").mkdir(exist_ok=True)
        write_all(load_model("builtin"), job("tensorrt", "float32", threads), folder / "onnx")


@torch.inference_mode()
def cases(folder: Path, threads: int) -> tuple[dict[str, dict[str, Callable[[], Tensor]]], dict[str, Tensor]]:
    """{part: {engine: call}}, and every part's float32 result."""
    models = {dtype: load_model("builtin", dtype=getattr(torch, dtype)) for dtype in ("float32", "bfloat16")}
    exact = EagerEngine(models["float32"])
    coarse = torch.rand(1, 3, 8, 8)
    picture = torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    frame = (picture * 255).byte().permute(0, 2, 3, 1).contiguous()
    z = exact.encode(frame)
    engines: dict[str, Any] = {"eager bfloat16": EagerEngine(models["bfloat16"])}
    for kind, dtype in COMPILED:
        if (folder / f"{kind}-{dtype}").exists():
            module: Any = kind_of(kind)
            eager = EagerEngine(models[dtype])
            engines[f"{kind} {dtype}"] = module.load(
                job(kind, dtype, threads), folder / f"{kind}-{dtype}", eager
            )
    found: dict[str, dict[str, Callable[[], Tensor]]] = {"encode": {}, "decode": {}}
    truth = {"encode": z, "decode": exact.decode(z)}
    for name, engine in engines.items():
        found["encode"][name] = lambda e=engine: e.encode(frame)
        found["decode"][name] = lambda e=engine: e.decode(z)
    runtime = OnnxRuntime(folder / "onnx", threads) if (folder / "onnx").exists() else None
    if runtime is not None:
        found["encode"]["onnxruntime float32"] = lambda: runtime.run("encode", [frame])
        found["decode"]["onnxruntime float32"] = lambda: runtime.run("decode", [z])
    for rows in ROWS:
        x, t = torch.randn(rows, *z.shape[1:]), torch.full((rows,), 99.0)
        part = found.setdefault(f"unet {rows}", {})
        contexts = {d: TextConditioner(m).encode("neon cyberpunk").expand(rows) for d, m in models.items()}
        truth[f"unet {rows}"] = exact.predict(x, t, contexts["float32"])
        for name, engine in engines.items():
            context = contexts[name.split()[1]]
            part[name] = lambda e=engine, x=x, t=t, c=context: e.predict(x, t, c)
        kv = contexts["float32"].kv
        assert kv is not None
        inputs = [x, exact.model.unet.waves(t), *flat(kv)]
        if runtime is not None:
            part["onnxruntime float32"] = lambda i=inputs, r=rows: runtime.run(f"unet_{r}", i)
    return found, truth


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", action="store_true")
    parser.add_argument("--folder", type=Path, default=Path("build/cpu_engines"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--clock", choices=("wall", "cpu"), default="wall")
    parser.add_argument("--without", nargs="*", default=[], help="of inductor, onnxruntime")
    asked = parser.parse_args()
    clock = time.process_time if asked.clock == "cpu" else time.perf_counter
    torch.set_num_threads(asked.threads)
    folder = asked.folder / f"{asked.threads}"
    if asked.build:
        build(folder, asked.threads, asked.without)
        return
    found, truth = cases(folder, asked.threads)
    result: dict[str, Any] = {"threads": asked.threads}
    print("| part | engine | ms, least | of eager | distance to float32 |\n|---|---|---|---|---|")
    for part, calls in found.items():
        times: dict[str, list[float]] = {name: [] for name in calls}
        distances: dict[str, float] = {}
        for name, call in calls.items():
            out = call()
            same = out.dtype == torch.uint8
            distances[name] = (
                float((out.float() - truth[part].float()).abs().mean())
                if same
                else relative(out, truth[part])
            )
        for _ in range(asked.rounds):
            for name, call in calls.items():
                begin = clock()
                call()
                times[name].append((clock() - begin) * 1e3)
        base = min(times["eager bfloat16"])
        for name, ms in times.items():
            unit = f"{distances[name]:.2f} grey levels" if part == "decode" else f"{distances[name]:.2%}"
            print(f"| {part} | {name} | {min(ms):.1f} | {min(ms) / base:.2f} | {unit} |")
            result[f"{part}: {name}"] = [round(min(ms), 2), round(median(ms), 2), round(distances[name], 5)]
    print(json.dumps(result))


if __name__ == "__main__":
    main()

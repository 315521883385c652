"""What each form of guidance costs: UNet + guidance on the CPU, all forms in turns within one run.

    python benchmarks/guidance.py [--steps 1 2 4] [--rounds 12] [--log]

Counts CPU seconds of this process on one thread, so that other programs disturb it little. The bounds follow
from the rows of the UNet call (self: those of none, onetime: (T + 1)/T, full: 2) with 3 % for self and 0.15/T
for onetime on top. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any, get_args

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from pipeline.admission import Admission  # noqa: E402
from pipeline.conditioning import TextContext  # noqa: E402
from pipeline.messages import GuidanceForm  # noqa: E402
from pipeline.noise import noise_for  # noqa: E402
from pipeline.schedule import Schedule  # noqa: E402
from pipeline.stream_batch import StreamBatch  # noqa: E402

T_INDEX_LISTS = {1: (35,), 2: (20, 40), 4: (0, 16, 32, 45)}
CHANNELS, SIDE, TOKENS, WIDTH = 4, 32, 77, 256
BOUNDS = {
    "none": lambda T: 1.0,
    "self": lambda T: 1.03,
    "onetime": lambda T: (T + 1.15) / T,
    "full": lambda T: 2.1,
}


def mid_size_unet() -> Any:
    """Stable Diffusion's architecture at a fifth of its width: arithmetic bounds it, as the real one."""
    from diffusers import UNet2DConditionModel

    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        sample_size=SIDE, block_out_channels=(64, 128, 256), layers_per_block=2, cross_attention_dim=WIDTH,
        down_block_types=("CrossAttnDownBlock2D", "CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D", "CrossAttnUpBlock2D"),
    )  # fmt: skip
    return unet.eval().to(memory_format=torch.channels_last)


def admission(form: GuidanceForm, t_index_list: tuple[int, ...], alphas_cumprod: torch.Tensor) -> Admission:
    return Admission(
        context=TextContext(torch.randn(1, TOKENS, WIDTH)),
        negative=TextContext(torch.randn(1, TOKENS, WIDTH)),
        guidance=form,
        guidance_scale=1.4,
        delta=0.8,
        schedule=Schedule.of(alphas_cumprod, t_index_list),
        noise=noise_for(0, len(t_index_list), CHANNELS, SIDE, SIDE),
        revision=0,
    )


@torch.inference_mode()
def cpu_seconds(steps: int, rounds: int, unet: Any) -> dict[str, list[float]]:
    """CPU seconds of one step, by form, one entry a round; the order of the forms changes every round."""
    from diffusers import LCMScheduler

    def predict(x: torch.Tensor, timesteps: torch.Tensor, context: TextContext) -> torch.Tensor:
        out: torch.Tensor = unet(x, timesteps, context.embeds, return_dict=False)[0]
        return out

    alphas_cumprod = LCMScheduler().alphas_cumprod
    forms: tuple[GuidanceForm, ...] = get_args(GuidanceForm)
    runs = {
        form: (StreamBatch(predict, steps=steps), admission(form, T_INDEX_LISTS[steps], alphas_cumprod))
        for form in forms
    }
    frame = torch.randn(1, CHANNELS, SIDE, SIDE)
    seconds: dict[str, list[float]] = {form: [] for form in forms}
    for n in range(-2, rounds):  # two rounds to warm up
        for form in forms[n % len(forms) :] + forms[: n % len(forms)]:
            batch, state = runs[form]
            start = time.process_time()
            batch.step(frame, state, [n])
            if n >= 0:
                seconds[form].append(time.process_time() - start)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, nargs="+", default=[1, 2, 4], choices=sorted(T_INDEX_LISTS))
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--log", action="store_true", help="add the result to benchmarks/LOG.md")
    options = parser.parse_args()

    torch.set_num_threads(1)
    unet = mid_size_unet()
    result: dict[str, Any] = {
        "benchmark": "guidance",
        "torch": torch.__version__,
        "machine": platform.machine(),
    }
    lines = [
        "| T | none, CPU ms | self / none | onetime / none (bound) | full / none |",
        "|---|---|---|---|---|",
    ]
    holds = True
    for steps in options.steps:
        seconds = cpu_seconds(steps, options.rounds, unet)
        ratio = {
            form: statistics.median(s / n for s, n in zip(of_form, seconds["none"], strict=True))
            for form, of_form in seconds.items()
        }
        milliseconds = statistics.median(seconds["none"]) * 1e3
        holds &= all(ratio[form] <= BOUNDS[form](steps) for form in ratio)
        result[f"T{steps}"] = {
            "none_ms": round(milliseconds, 1),
            **{f: round(r, 3) for f, r in ratio.items()},
        }
        lines.append(
            f"| {steps} | {milliseconds:.1f} | {ratio['self']:.3f} | "
            f"{ratio['onetime']:.3f} ({BOUNDS['onetime'](steps):.3f}) | {ratio['full']:.3f} |"
        )
        print(lines[-1], flush=True)
    result["within_bounds"] = holds
    if options.log:
        with (ROOT / "benchmarks" / "LOG.md").open("a", encoding="utf-8") as log:
            log.write(
                f"\n## {date.today().isoformat()} · guidance.py · {platform.machine()}, one CPU thread\n\n"
                f"UNet + guidance per step, latents {CHANNELS}×{SIDE}×{SIDE}, CPU time, "
                f"median of {options.rounds} interleaved rounds.\n\n" + "\n".join(lines) + "\n"
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()

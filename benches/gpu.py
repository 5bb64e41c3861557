"""Times a prebuilt chimle and PyTorch on one GPU, in turn, and prints one Markdown table.

    PYTHON benches/gpu.py --chimle BINARY --peers DIR [--device cuda] [--batches 1,8]

The script needs no network and no Rust. BINARY is a release build of chimle-cli with the feature `cuda`, copied
to the GPU's machine. PYTHON is a Python with PyTorch. DIR contains `torch_chimle.py` and its `configs`. PyTorch
gets its best settings: channels-last, autotuned cuDNN, TF32 for float32, and the faster of the runs with and
without `torch.compile`. A ratio is PyTorch's time divided by chimle's: above 1, chimle is faster. A case that
fails or does not fit into the memory is shown as a dash, and the reason is printed on standard error.
"""

import argparse, json, statistics, subprocess, sys
from pathlib import Path

FIELDS = ["forward_ms", "train_step_ms", "search_ms"]


def timed(command):
    """Returns the JSON object that a command prints, or None if the command fails."""
    command = [str(part) for part in command]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    if done.returncode or not lines:
        reason = done.stderr.strip().splitlines()
        print(f"{' '.join(command)}: {reason[-1] if reason else done.returncode}", file=sys.stderr, flush=True)
        return None
    return json.loads(lines[-1])


def fastest(times, field):
    return min((time[field] for time in times if time and time.get(field)), default=None)


def row(a, config, precision, batch):
    same = ["--batch", batch, "--side", a.side, "--pool", a.pools]
    theirs, ours = [], []
    for _ in range(a.rounds):
        peer = [sys.executable, a.peers / "torch_chimle.py", "time", config, *same, "--device", a.device,
                "--dtype", precision, "--channels-last", "--search", "prefix"]
        if precision == "f32":
            peer.append("--tf32")
        for extra in [[], ["--compile"]] if a.compile else [[]]:
            theirs.append(timed(peer + extra))
        ours.append(timed([a.chimle, "bench", "--device", a.device, "--config", config, "--task", "colorization",
                           *same, "--precision", precision]))
    cells = []
    for field in FIELDS:
        found = [time[field] for time in ours if time and time.get(field)]
        own, peer = statistics.median(found) if found else None, fastest(theirs, field)
        number = lambda value: f"{value:.1f}" if value else "-"
        cells += [number(own), number(peer), f"{peer / own:.2f}" if own and peer else "-"]
    device = next((time["device"] for time in ours if time), "-")
    print(f"| {precision}, batch {batch} | " + " | ".join(cells) + f" | {device} |", flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--chimle", type=lambda path: Path(path).resolve(), required=True)
    p.add_argument("--peers", type=lambda path: Path(path).resolve(), required=True)
    p.add_argument("--device", default="cuda")
    p.add_argument("--config", default="paper-colourization.json", help="a file in DIR/configs")
    p.add_argument("--side", type=int, default=32, help="the side of the coarsest level in pixels")
    p.add_argument("--pools", default="20,20,10,5")
    p.add_argument("--batches", default="1,8")
    p.add_argument("--precisions", default="f32,bf16")
    p.add_argument("--rounds", type=int, default=1)
    p.add_argument("--no-compile", dest="compile", action="store_false")
    a = p.parse_args()
    heads = [name for field in ["forward, ms", "step, ms", "search, ms"] for name in [field, "PyTorch", "ratio"]]
    print(f"| {a.config} | " + " | ".join(heads) + " | device |\n|---|" + "--:|" * len(heads) + "---|", flush=True)
    for precision in a.precisions.split(","):
        for batch in a.batches.split(","):
            row(a, a.peers / "configs" / a.config, precision, int(batch))


main()

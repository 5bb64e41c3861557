"""PyTorch's times for `versus_torch.py` that no other program measures. Each command prints JSON, one object per line.

    PYTHON torch_times.py rate THREADS                  the rate of a matrix product, in GFLOP/s
    PYTHON torch_times.py convolutions THREADS          3x3 convolutions, forward and with all gradients
    PYTHON torch_times.py sample THREADS PEERS SIDE BATCH   a forward pass of the shipped models' network

Convolutions and the network are timed in both memory formats, the network also with `torch.compile`. The faster
setting is printed with its name. PEERS is the folder of `torch_chimle.py`, whose blocks make up the network.
"""

import json, statistics, sys, time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

# Batch, input channels, output channels, side.
SHAPES = [(1, 64, 64, 64), (4, 64, 64, 64), (1, 128, 256, 32), (1, 256, 256, 32), (8, 128, 128, 32), (1, 64, 64, 128),
          (1, 320, 64, 64), (1, 64, 64, 256), (8, 32, 16, 32), (8, 80, 32, 32), (4, 24, 12, 64), (4, 16, 8, 64)]
FORMATS = {"eager": torch.contiguous_format, "channels-last": torch.channels_last}

# The network of the models in `crates/chimle-models/models`.
SHIPPED = dict(levels=5, code_channels=5, residual_channels=[32, 32, 32, 16, 8], growth_channels=[16, 16, 16, 8, 4],
               rrdb_per_level=1, map_code=16, latent=32, in_channels=1, out_channels=2)
RRDBS = [1, 2, 1, 1, 1]
ENCODER = [48, 48, 32, 16, 8]


def median_ms(f, repeat=9):
    f(), f()
    times = []
    for _ in range(repeat):
        begun = time.perf_counter()
        f()
        times.append(1e3 * (time.perf_counter() - begun))
    return statistics.median(times)


def rate():
    side = 2048
    a, b = torch.randn(side, side), torch.randn(side, side)
    print(json.dumps({"gflops": 2e-6 * side**3 / median_ms(lambda: a @ b)}))


def convolutions():
    for batch, inputs, outputs, side in SHAPES:
        times = {}
        for name, layout in FORMATS.items():
            conv = nn.Conv2d(inputs, outputs, 3, padding=1).to(memory_format=layout)
            x = torch.randn(batch, inputs, side, side).to(memory_format=layout)
            gradient = torch.randn(batch, outputs, side, side).to(memory_format=layout)

            def backward():
                conv.zero_grad()
                x.grad = None
                conv(x).backward(gradient)

            with torch.no_grad():
                forward = median_ms(lambda: conv(x))
            x.requires_grad_()
            times[name] = (forward, median_ms(backward))
        row = dict(batch=batch, channels_in=inputs, channels_out=outputs, side=side)
        for which, field in enumerate(["forward", "forward_backward"]):
            best = min(times, key=lambda name: times[name][which])
            row[field + "_ms"], row[field + "_setting"] = times[best][which], best
        print(json.dumps(row), flush=True)


def shipped(peers):
    """Creates the network of the shipped models: the peer's generator, with an encoder and a list of RRDBs."""
    # The peer is a script. Without its last line it only defines the blocks.
    source = (peers / "torch_chimle.py").read_text()
    peer = {"__name__": "torch_chimle"}
    exec(source[: source.rindex("main()")], peer)
    conv, c, g = peer["conv"], SHIPPED["residual_channels"], SHIPPED["growth_channels"]

    class Shipped(peer["Generator"]):
        def __init__(self):
            super().__init__(SHIPPED, "colourization")
            inputs = [4 * finer for finer in ENCODER[1:]] + [SHIPPED["in_channels"]]
            for level, (rrdbs, features) in enumerate(zip(RRDBS, ENCODER)):
                below = c[level - 1] if level else 0
                seen = SHIPPED["in_channels"] + features + SHIPPED["code_channels"] + below
                self.add_module(f"level_{level + 1}_feat", conv(seen, c[level])[0])
                self.add_module(f"level_{level + 1}_style",
                                peer["Sub"](peer["Styled"](c[level], g[level], rrdbs, SHIPPED["latent"])))
                stage = nn.Sequential(*conv(inputs[level], features, "leaky"), *conv(features, features, "leaky"))
                self.add_module(f"encoder_{level}", stage)

        def forward(self, inputs, codes):
            x, seen = inputs[-1], []
            for level in reversed(range(self.levels)):
                x = getattr(self, f"encoder_{level}")(x)
                seen.insert(0, torch.cat([inputs[level], x], 1))
                x = F.pixel_unshuffle(x, 2) if level else x
            return super().forward(seen, codes)

    return Shipped()


def sample(peers, side, batch):
    levels = SHIPPED["levels"]
    sides = [side >> (levels - 1 - level) for level in range(levels)]
    inputs = [torch.rand(batch, 1, s, s) for s in sides]
    codes = [torch.randn(batch, SHIPPED["map_code"] + SHIPPED["code_channels"] * s * s) for s in sides]
    times = {}
    for name, layout in FORMATS.items():
        net = shipped(peers).to(memory_format=layout).eval()
        compiled = "compiled" if name == "eager" else f"compiled, {name}"
        for way, run in [(name, net), (compiled, torch.compile(net))]:
            try:
                with torch.no_grad():
                    times[way] = median_ms(lambda: run(inputs, codes), 5)
            except Exception as error:
                print(f"{way}: {error}".splitlines()[0], file=sys.stderr)
    best = min(times, key=times.get)
    print(json.dumps({"forward_ms": times[best], "setting": best}))


def main():
    command, threads, *rest = sys.argv[1:]
    torch.manual_seed(0)
    torch.set_num_threads(int(threads))
    if command == "rate":
        rate()
    elif command == "convolutions":
        convolutions()
    elif command == "sample":
        sample(Path(rest[0]), int(rest[1]), int(rest[2]))
    else:
        sys.exit(__doc__)


main()

"""Writes the state dicts of this folder and expected.json, with PyTorch.

    python make.py

expected.json has, for each file and each tensor of floats, the shape, the type and the values as 32-bit
floats in row-major order, as PyTorch itself loads them from the file.
"""

import collections
import json
import pathlib

import torch

HERE = pathlib.Path(__file__).parent
FLOATS = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


def numbers(*shape, dtype=torch.float32):
    count = 1
    for side in shape:
        count *= side
    values = torch.arange(count, dtype=torch.float64) * 0.375 - 1.5
    return values.reshape(shape).to(dtype)


def dtypes():
    state = collections.OrderedDict()
    for dtype in FLOATS:
        state[str(dtype).removeprefix("torch.")] = numbers(2, 3, dtype=dtype)
    # Values that 32 bits cannot hold exactly.
    state["thirds"] = torch.tensor([1 / 3, 1e-40, 1e300, -0.0], dtype=torch.float64)
    return state


def strides():
    base = numbers(2, 3, 4, 5)
    return collections.OrderedDict(
        row_major=base,
        channels_last=base.clone(memory_format=torch.channels_last),
        transposed=numbers(3, 4).t(),
        permuted=base.permute(3, 1, 0, 2),
        every_second=numbers(4, 6)[:, ::2],
        one_wide=numbers(4, 6)[1:2, 3:4],
        diagonal=numbers(4, 4).diagonal(),
        expanded=numbers(3, 1).expand(3, 4),
        half_transposed=numbers(3, 2, dtype=torch.float16).t(),
        double_permuted=numbers(2, 3, 2, dtype=torch.float64).permute(2, 0, 1),
        bfloat_strided=numbers(9, dtype=torch.bfloat16)[1::3],
    )


def storages():
    whole = numbers(10)
    return collections.OrderedDict(
        whole=whole,
        first=whole[:4],
        last=whole[7:],
        overlapping=whole.as_strided((3, 3), (2, 1), 1),
        tied=whole,
    )


def shapes():
    return collections.OrderedDict(
        scalar=torch.tensor(2.5),
        one=numbers(1),
        empty=numbers(0),
        empty_side=numbers(3, 0, 2),
        seven_axes=numbers(1, 2, 1, 3, 1, 2, 1),
    )


def module():
    """The state of a module with buffers: parameters, running statistics, and an integer."""
    torch.manual_seed(0)
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4))
    return network.to(memory_format=torch.channels_last).state_dict()


def parameters():
    """Parameters instead of tensors, and nested dicts next to numbers, texts and lists."""
    layer = torch.nn.Linear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(numbers(2, 3))
        layer.bias.copy_(numbers(2))
    return {
        "epoch": 3,
        "name": "a checkpoint",
        "rates": [0.1, 0.01],
        "model": {"weight": layer.weight, "bias": layer.bias},
        "nested": {"deeper": {"values": numbers(2)}},
    }


def main():
    states = [dtypes, strides, storages, shapes, module, parameters]
    expected = {}
    for make in states:
        state = make()
        for layout, options in [
            ("zip", {}),
            ("zip4", {"pickle_protocol": 4}),
            ("legacy", {"_use_new_zipfile_serialization": False}),
        ]:
            name = f"{make.__name__}_{layout}.pth"
            torch.save(state, HERE / name, **options)
            # The weights-only reader does not know protocol 4.
            loaded = torch.load(HERE / name, weights_only=False)
            expected[name] = dict(sorted(floats(loaded)))
    lines = [f"{json.dumps(name)}: {json.dumps(expected[name])}" for name in sorted(expected)]
    (HERE / "expected.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")


def floats(state, prefix=""):
    for key, value in state.items():
        if isinstance(value, dict):
            yield from floats(value, f"{prefix}{key}.")
        elif isinstance(value, torch.Tensor) and value.is_floating_point():
            values = value.detach().to(torch.float32).contiguous().reshape(-1)
            yield f"{prefix}{key}", {
                "shape": list(value.shape),
                # Bits keep -0 and infinities, and decimal fractions do not.
                "bits": [bits & 0xFFFFFFFF for bits in values.view(torch.int32).tolist()],
            }


if __name__ == "__main__":
    main()

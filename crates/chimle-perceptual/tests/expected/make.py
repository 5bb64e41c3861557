"""Computes the numbers that tests/networks.rs and tests/lpips.rs expect, with PyTorch.

    pip install torch torchvision pytorch-fid lpips
    python make.py                    # writes networks.json and linear_alexnet*.pth next to this file
    python make.py --weights FOLDER   # also writes the networks' weights into FOLDER, as .pth files, for
                                      # CHIMLE_RULE_WEIGHTS=FOLDER cargo test -p chimle-perceptual

No published weights are needed. Every parameter and every image follows from its name by a rule
that tests/rule/mod.rs implements too:

    start    = FNV-1a hash of the name, 64 bits
    u(i)     = the upper 24 bits of splitmix64's output for the state
               start + (i + 1) * 0x9E3779B97F4A7C15, divided by 2^24: uniform in [0, 1)
    value(i) = low + (high - low) * u(i), in double precision, rounded to 32 bits

bounds() gives low and high for each kind of parameter. PyTorch computes in double precision.
"""

import argparse
import json
import math
from pathlib import Path

import lpips
import numpy
import pytorch_fid.inception
import torch
import torchvision

HERE = Path(__file__).parent
GOLDEN = numpy.uint64(0x9E3779B97F4A7C15)

# The approximate number of values that are stored per layer.
STORED = 300


def fnv1a(name):
    state = 0xCBF29CE484222325
    for byte in name.encode():
        state = ((state ^ byte) * 0x100000001B3) % 2**64
    return numpy.uint64(state)


def uniform(name, count):
    """Returns u(0) to u(count - 1)."""
    with numpy.errstate(over="ignore"):
        z = fnv1a(name) + (numpy.arange(count, dtype=numpy.uint64) + numpy.uint64(1)) * GOLDEN
        z = (z ^ (z >> numpy.uint64(30))) * numpy.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> numpy.uint64(27))) * numpy.uint64(0x94D049BB133111EB)
        z = z ^ (z >> numpy.uint64(31))
    return (z >> numpy.uint64(40)).astype(numpy.float64) / 2**24


def bounds(name, shape):
    """Returns the range of a parameter or an image."""
    if name.startswith("image"):
        return 0.0, 1.0
    if name.startswith("lin"):
        return 0.0, 1.0
    if name.endswith(("bn.weight", "bn.running_var")):
        return 0.5, 1.5
    if name.endswith(("bias", "bn.running_mean")):
        return -0.1, 0.1
    # With variance 2 / fan-in, layers with ReLUs neither amplify nor damp their input.
    bound = math.sqrt(6.0 / (shape[1] * shape[2] * shape[3]))
    return -bound, bound


def rule(name, shape):
    low, high = bounds(name, shape)
    values = low + (high - low) * uniform(name, math.prod(shape))
    return torch.from_numpy(values.astype(numpy.float32).reshape(shape))


def parameters(network, wanted):
    """Returns the names and shapes of the wanted entries of a network's state dict."""
    state = network.state_dict()
    return [(name, list(value.shape)) for name, value in state.items() if wanted(name)]


def rule_state(names):
    return {name: rule(name, shape) for name, shape in names}


def summary(name, x):
    flat = x.flatten()
    step = (flat.numel() // STORED) | 1
    return {
        "name": name,
        "shape": list(x.shape),
        "mean": flat.mean().item(),
        "mean_magnitude": flat.abs().mean().item(),
        "largest": flat.abs().max().item(),
        "step": step,
        "values": [float(f"{v:.9g}") for v in flat[::step].tolist()],
    }


def inception():
    """Computes the layers of pytorch-fid's network with the rule's weights in place of the published ones."""
    skeleton = torchvision.models.inception_v3(
        num_classes=1008, aux_logits=False, weights=None, init_weights=False
    )
    names = parameters(
        skeleton, lambda name: not name.startswith("fc.") and not name.endswith("tracked")
    )
    state = skeleton.state_dict() | rule_state(names)
    pytorch_fid.inception.load_state_dict_from_url = lambda *_, **__: state
    blocks = list(pytorch_fid.inception.InceptionV3.BLOCK_INDEX_BY_DIM.values())
    network = pytorch_fid.inception.InceptionV3(blocks).double().eval()
    # The height is below 299 and the width above it, so one axis is enlarged and the other reduced.
    shape = [1, 3, 211, 340]
    image = rule("image", shape).double()
    side = torch.nn.functional.interpolate(image, (299, 299), mode="bilinear", align_corners=False)
    layers = [summary("prepared", 2 * side - 1)]
    with torch.enable_grad():
        image.requires_grad_()
        features = network(image)
        (gradient,) = torch.autograd.grad(features[-1].sum(), image)
    layers += [summary(name, x) for name, x in zip(["64", "192", "768", "2048"], features)]
    gradient = summary("gradient", gradient)
    return state, {"parameters": names, "image": shape, "layers": layers, "gradient": gradient}


def backbone(lpips_name, network, shape):
    """Computes the features that LPIPS takes from a network of torchvision."""
    names = parameters(network, lambda name: name.startswith("features."))
    state = rule_state(names)
    distance, _ = lpips_pair(lpips_name, state)
    image = distance.scaling_layer(2 * rule("image", shape).double() - 1)
    features = distance.net(image)
    layers = [summary(f"features {k}", x) for k, x in enumerate(features)]
    return state, {"parameters": names, "image": shape, "layers": layers}


def lpips_pair(name, features):
    """Returns LPIPS with the rule's weights as learned weights, and LPIPS without learned weights."""
    linear = linear_state(name)
    pair = []
    for learned in [True, False]:
        distance = lpips.LPIPS(
            net=name, lpips=learned, pretrained=False, pnet_rand=True, verbose=False
        )
        state = {}
        for key in distance.state_dict():
            part = key.split(".")
            if part[0] == "net":  # net.slice2.3.weight is torchvision's features.3.weight
                state[key] = features[".".join(["features", *part[2:]])]
            elif part[0] == "lins":  # lins.0.model.1.weight is lin0.model.1.weight
                state[key] = linear[".".join([f"lin{part[1]}", *part[2:]])]
            elif part[0] == "scaling_layer":
                state[key] = distance.state_dict()[key]
            else:
                state[key] = linear[key]
        distance.load_state_dict(state)
        pair.append(distance.double().eval())
    return pair


def linear_state(name):
    widths = lpips.LPIPS(net=name, pretrained=False, pnet_rand=True, verbose=False).chns
    return rule_state(
        [(f"lin{k}.model.1.weight", [1, width, 1, 1]) for k, width in enumerate(widths)]
    )


def distances(name, lpips_name, features, shape):
    """Computes the distances of two images, and the gradient of the sum of the distances."""
    a, b = (rule(image, shape).double() for image in ["image a", "image b"])
    learned, unweighted = lpips_pair(lpips_name, features)
    with torch.enable_grad():
        a.requires_grad_()
        found = learned(a, b, normalize=True).flatten()
        (gradient,) = torch.autograd.grad(found.sum(), a)
    return {
        "backbone": name,
        "image": shape,
        "learned": found.tolist(),
        "unweighted": unweighted(a, b, normalize=True).flatten().tolist(),
        "gradient": summary("gradient", gradient),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--weights", type=Path, help="folder for the networks' weights as .pth")
    folder = arguments.parse_args().weights
    with torch.no_grad():
        weights, expected = {}, {"distances": []}
        weights["inception"], expected["inception"] = inception()
        backbones = {
            "vgg16": ("vgg", torchvision.models.vgg16, 16),
            "alexnet": ("alex", torchvision.models.alexnet, 32),
            "squeezenet": ("squeeze", torchvision.models.squeezenet1_1, 32),
        }
        for name, (lpips_name, network, smallest) in backbones.items():
            network = network(weights=None)
            weights[name], expected[name] = backbone(lpips_name, network, [1, 3, 71, 94])
            for shape in [[2, 3, 71, 94], [1, 3, smallest, smallest]]:
                found = distances(name, lpips_name, weights[name], shape)
                expected["distances"].append(found)
    (HERE / "networks.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
    torch.save(linear_state("alex"), HERE / "linear_alexnet.pth")
    # The file format of PyTorch before version 1.6, which the published files use.
    legacy = {"_use_new_zipfile_serialization": False}
    torch.save(linear_state("alex"), HERE / "linear_alexnet_legacy.pth", **legacy)
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        for name, state in weights.items():
            torch.save(state, folder / f"{name}.pth", **legacy)


if __name__ == "__main__":
    main()

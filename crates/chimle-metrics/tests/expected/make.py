"""Computes the numbers that `tests/sets_agreement.rs` compares this crate with.

Run in this folder with numpy, scikit-image, pytorch-fid and prdc installed:

    python make.py

The script writes `sets.safetensors` (random features in f64) and `numbers.json`:

- `full` has more rows than features. FID is computed by pytorch-fid; precision, recall, density and
  coverage by prdc; KID by the sums of its definition, row by row.
- `singular` has fewer rows than features, for which scipy's matrix square root is unreliable. FID is
  computed from the singular values of the product of the centered rows, the rest as for `full`.
- `ms_ssim` is computed by the definition of the measure, on pictures given by a formula (see
  `picture`). The structural similarity is first compared with scikit-image's.
"""

import json
import struct

import numpy as np
from prdc import compute_prdc
from pytorch_fid.fid_score import calculate_frechet_distance
from skimage.metrics import structural_similarity


def features(seed, count, dimension, shift):
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(7).normal(size=(dimension, dimension))
    return rng.normal(size=(count, dimension)) @ mixing * (1 + shift) + shift


def frechet_by_moments(real, fake):
    moments = [(x.mean(0), np.cov(x, rowvar=False)) for x in (real, fake)]
    return float(calculate_frechet_distance(*moments[0], *moments[1]))


def frechet_by_rows(real, fake):
    a, b = [(x - x.mean(0)) / np.sqrt(len(x) - 1) for x in (real, fake)]
    roots = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    apart = ((real.mean(0) - fake.mean(0)) ** 2).sum()
    return float(apart + (a**2).sum() + (b**2).sum() - 2 * roots)


def kid(real, fake):
    def kernel(x, y):
        return (float(x @ y) / len(x) + 1) ** 3

    def within(rows):
        n = len(rows)
        pairs = [kernel(rows[i], rows[j]) for i in range(n) for j in range(n) if i != j]
        return sum(pairs) / (n * (n - 1))

    between = sum(kernel(x, y) for x in real for y in fake) / (len(real) * len(fake))
    return within(real) + within(fake) - 2 * between


def triangle(n, period):
    return np.abs(n % (2 * period) - period)


def picture(height, width):
    """Returns waves, and a paler, noisy version of them: `[3, height, width]`, f32."""
    c, y, x = np.meshgrid(range(3), range(height), range(width), indexing="ij")
    waves = triangle(3 * x + 5 * y + 7 * c, 97) + triangle(x * (c + 2), 41) + triangle(2 * y, 59)
    noise = (x * 7919 + y * 104729 + c * 1299709) * 2654435761 % 2**32 // 2**16
    first = waves / 197
    return first.astype(np.float32), (0.1 + 0.7 * first + 0.2 * noise / 65535).astype(np.float32)


def similarity(a, b):
    """Returns the means over positions of (SSIM, contrast and structure)."""
    x = np.arange(11) - 5
    window = np.exp(-(x**2) / 4.5)
    window /= window.sum()

    def smooth(plane):
        for axis in (0, 1):
            plane = np.apply_along_axis(np.convolve, axis, plane, window, "valid")
        return plane

    ma, mb = smooth(a), smooth(b)
    variances = smooth(a * a) - ma**2 + smooth(b * b) - mb**2
    contrast = (2 * (smooth(a * b) - ma * mb) + 0.03**2) / (variances + 0.03**2)
    luminance = (2 * ma * mb + 0.01**2) / (ma**2 + mb**2 + 0.01**2)
    return (luminance * contrast).mean(), contrast.mean()


def halve(plane):
    height, width = plane.shape[0] // 2 * 2, plane.shape[1] // 2 * 2
    plane = plane[:height, :width]
    return (plane[::2, ::2] + plane[1::2, ::2] + plane[::2, 1::2] + plane[1::2, 1::2]) / 4


def ms_ssim(first, second):
    weights = [0.0448, 0.2856, 0.3001, 0.2363, 0.1333]
    of_planes = []
    for a, b in zip(first.astype(np.float64), second.astype(np.float64)):
        product = 1.0
        for scale, weight in enumerate(weights):
            whole, contrast = similarity(a, b)
            if scale == 0:
                settings = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)
                theirs = structural_similarity(a, b, data_range=1, **settings)
                assert abs(whole - theirs) < 1e-9, (whole, theirs)
            product *= max(whole if scale == 4 else contrast, 0) ** weight
            a, b = halve(a), halve(b)
        of_planes.append(product)
    return float(np.mean(of_planes))


def save(path, arrays):
    header, data = {}, b""
    for name, array in arrays.items():
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": "F64", "shape": array.shape, "data_offsets": offsets}
        data += array.tobytes()
    header = json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header + data)


sets, numbers = {}, {}
for name, dimension, (n, m), ks, frechet in [
    ("full", 6, (60, 50), [1, 3, 5], frechet_by_moments),
    ("singular", 24, (20, 15), [2, 5], frechet_by_rows),
]:
    real, fake = features(1, n, dimension, 0.0), features(2, m, dimension, 0.2)
    sets[f"{name}.real"], sets[f"{name}.fake"] = real, fake
    prdc = {k: compute_prdc(real, fake, nearest_k=k) for k in ks}
    numbers[name] = {
        "fid": frechet(real, fake),
        "kid": kid(real, fake),
        "prdc": {k: {name: float(v) for name, v in found.items()} for k, found in prdc.items()},
    }
# Where both computations of FID are valid, they agree.
full = sets["full.real"], sets["full.fake"]
assert abs(frechet_by_rows(*full) / frechet_by_moments(*full) - 1) < 1e-6
sizes = [(176, 176), (199, 181), (256, 300)]
numbers["ms_ssim"] = [{"size": size, "value": ms_ssim(*picture(*size))} for size in sizes]

save("sets.safetensors", sets)
with open("numbers.json", "w") as file:
    json.dump(numbers, file, indent=1)
    file.write("\n")

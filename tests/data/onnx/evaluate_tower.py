"""evaluate_tower.py GOLDEN PRESET MODEL...: checks the models of all dies of a visual tower with onnx.checker, runs them with NumPy
on the golden picture, and prints the largest difference of a feature. PRESET is <signature>_preset_kwargs.pt."""
import json
import math
import os
import sys

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "torch"))

import numpy as np

import evaluate
import read_archive

ERF = np.vectorize(math.erf)


def layer_norm(attributes, given):
    x, scale, bias = given
    mean = x.mean(axis=-1, keepdims=True)
    variance = ((x - mean) ** 2).mean(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + attributes["epsilon"]) * scale + bias


def slice_of(attributes, given):
    x, starts, ends, axes = given
    index = [slice(None)] * x.ndim
    for start, end, axis in zip(starts, ends, axes):
        index[axis] = slice(start, end)
    return x[tuple(index)]


evaluate.OPERATIONS.update({
    "Slice": slice_of,
    "LayerNormalization": layer_norm,
    "Where": lambda a, i: np.where(i[0], i[1], i[2]),
    "Erf": lambda a, i: ERF(i[0]).astype(np.float32),
    "Tanh": lambda a, i: np.tanh(i[0]),
    "GreaterOrEqual": lambda a, i: i[0] >= i[1],
    "ReduceSum": lambda a, i: i[0].sum(axis=tuple(i[1]), keepdims=bool(a["keepdims"])),
    "Expand": lambda a, i: np.broadcast_to(i[0], tuple(i[1])).astype(np.float32),
})


def read_golden(path):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        data = file.read()

    def tensor(name):
        begin, end = header[name]["data_offsets"]
        dtype = {"F16": np.float16, "F32": np.float32, "I32": np.int32}[header[name]["dtype"]]
        return np.frombuffer(data[begin:end], dtype).reshape(header[name]["shape"])

    levels = sum(1 for name in header if name.startswith("deepstack."))
    expected = {"tokens": tensor("features")}
    expected.update({f"deepstack_{i}": tensor(f"deepstack.{i}") for i in range(levels)})
    return tensor("pixel_values"), expected


def main():
    pixels, expected = read_golden(sys.argv[1])
    inputs = {"pixel_values": pixels}
    for name, (dtype, shape, numbers) in read_archive.by_hand(sys.argv[2]).items():
        inputs[name] = np.array(numbers, dtype).reshape(shape)
    models = [evaluate.Model(path) for path in sys.argv[3:]]
    for values in evaluate.run_dies(models, [inputs] * len(models)):
        difference = max(float(np.abs(values[name] - rows).max()) for name, rows in expected.items())
        print("largest difference", difference)


if __name__ == "__main__":
    main()

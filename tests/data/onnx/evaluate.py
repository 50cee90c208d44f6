"""evaluate.py GOLDEN MODEL...: checks the models of all dies with onnx.checker, runs them with NumPy
on the golden file's tokens in two calls, and prints the largest difference of a logit."""
import json
import sys

import numpy as np
import onnx
from onnx import numpy_helper


def read_golden(path):
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
        data = file.read()

    def tensor(name, dtype):
        begin, end = header[name]["data_offsets"]
        return np.frombuffer(data[begin:end], dtype).reshape(header[name]["shape"])

    steps = tensor("logits", np.uint16)
    blocks = np.repeat(tensor("logit_steps", np.float32), 256, axis=1)[:, :steps.shape[1]]
    return tensor("token_ids", np.int32), blocks[..., 0] + steps * blocks[..., 1]


TYPES = {1: np.float32, 2: np.uint8, 6: np.int32, 7: np.int64, 9: np.bool_, 10: np.float16}


def softmax(x, axis):
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def shift(x, by, direction):
    return np.left_shift(x, by) if direction == b"LEFT" else np.right_shift(x, by)


def reshape(x, shape):
    return x.reshape([x.shape[i] if n == 0 else n for i, n in enumerate(shape)])


OPERATIONS = {
    "Add": lambda a, i: i[0] + i[1],
    "Sub": lambda a, i: i[0] - i[1],
    "Mul": lambda a, i: i[0] * i[1],
    "Div": lambda a, i: i[0] / i[1],
    "Sqrt": lambda a, i: np.sqrt(i[0]),
    "Cos": lambda a, i: np.cos(i[0]),
    "Sin": lambda a, i: np.sin(i[0]),
    "Sigmoid": lambda a, i: 1 / (1 + np.exp(-i[0])),
    "Identity": lambda a, i: i[0],
    "Equal": lambda a, i: i[0] == i[1],
    "Greater": lambda a, i: i[0] > i[1],
    "Clip": lambda a, i: np.clip(i[0], i[1], i[2]),
    "Shape": lambda a, i: np.array(i[0].shape, np.int64),
    "Range": lambda a, i: np.arange(i[0], i[1], i[2], dtype=np.int64),
    "Cast": lambda a, i: i[0].astype(TYPES[a["to"]]),
    "Reshape": lambda a, i: reshape(i[0], i[1]),
    "Transpose": lambda a, i: i[0].transpose(a["perm"]),
    "Unsqueeze": lambda a, i: np.expand_dims(i[0], tuple(i[1])),
    "Concat": lambda a, i: np.concatenate(i, axis=a["axis"]),
    "Gather": lambda a, i: np.take(i[0], i[1], axis=a["axis"]),
    "MatMul": lambda a, i: i[0] @ i[1],
    "Softmax": lambda a, i: softmax(i[0], a["axis"]),
    "BitShift": lambda a, i: shift(i[0], i[1], a["direction"]),
    "ReduceMean": lambda a, i: i[0].mean(axis=tuple(a["axes"]), keepdims=bool(a["keepdims"])),
}


def run_die(graph, constants, inputs):
    """Yields (value, group) where the dies have to sum, is sent the sum, and ends with all values."""
    values = dict(constants, **inputs)
    for node in graph.node:
        attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
        given = [values[name] for name in node.input]
        if node.op_type == "AllReduceSum":
            values[node.output[0]] = yield given[0], attributes["group"]
        elif node.op_type == "Split":
            parts = np.split(given[0], len(node.output), axis=attributes["axis"])
            values.update(zip(node.output, parts))
        else:
            values[node.output[0]] = np.asarray(OPERATIONS[node.op_type](attributes, given))
    return values


def run_dies(models, inputs):
    """All dies side by side; their values at the end."""
    dies = [run_die(m.graph, m.constants, i) for m, i in zip(models, inputs)]
    sent = [None] * len(dies)
    while True:
        asked, ended = [], []
        for die, value in zip(dies, sent):
            try:
                asked.append(die.send(value))
            except StopIteration as end:
                ended.append(end.value)
        if ended:
            assert not asked, "dies ask for different numbers of sums"
            return ended
        group = asked[0][1]
        sent = []
        for first in range(0, len(dies), group):
            total = sum(value for value, _ in asked[first:first + group])
            sent += [total] * group


class Model:
    def __init__(self, path):
        onnx.checker.check_model(path)
        model = onnx.load(path)
        self.graph = model.graph
        self.constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}

    def empty_caches(self):
        caches = {}
        for value in self.graph.input:
            if value.name.startswith("past_"):
                heads, _, size = value.type.tensor_type.shape.dim
                caches[value.name] = np.zeros((heads.dim_value, 0, size.dim_value), np.float32)
        return caches


def main():
    tokens, expected = read_golden(sys.argv[1])
    models = [Model(path) for path in sys.argv[2:]]
    caches = [m.empty_caches() for m in models]
    logits = []
    for begin, end in [(0, len(tokens) // 2), (len(tokens) // 2, len(tokens))]:
        call = {"token_ids": tokens[begin:end].astype(np.int64),
                "positions": np.arange(begin, end, dtype=np.int64)}
        values = run_dies(models, [dict(call, **cache) for cache in caches])
        caches = [{name: v["present_" + name[5:]] for name in cache}
                  for cache, v in zip(caches, values)]
        logits.append(np.concatenate([v["logits"] for v in values], axis=1))
    found = np.concatenate(logits)[-len(expected):]
    print("largest difference", float(np.abs(found - expected).max()))


if __name__ == "__main__":
    main()

"""Reads an archive of tensors as torch.load(FILE, weights_only=True) does and prints one JSON line: name -> [dtype, shape,
numbers]. With torch where it is installed, otherwise by Python's own zipfile and pickle, letting through only the
names that torch's weights-only unpickler lets through. Usage: read_archive.py FILE"""
import collections
import json
import pickle
import struct
import sys
import zipfile


def with_torch(path, torch):
    tensors = torch.load(path, weights_only=True)
    return {name: [str(t.dtype).split(".")[1], list(t.shape), t.flatten().tolist()] for name, t in tensors.items()}


class Storage:
    def __init__(self, dtype, code, size):
        self.dtype, self.code, self.size = dtype, code, size


STORAGES = {
    "HalfStorage": Storage("float16", "e", 2),
    "FloatStorage": Storage("float32", "f", 4),
    "IntStorage": Storage("int32", "i", 4),
}


def rebuild(storage, offset, shape, strides, requires_grad, hooks):
    assert offset == 0 and requires_grad is False and hooks == collections.OrderedDict()
    expected, stride = [], 1
    for side in reversed(shape):
        expected.insert(0, stride)
        stride *= side
    assert list(strides) == expected, "not contiguous"
    dtype, numbers = storage
    assert stride == len(numbers), "shape and storage differ"
    return [dtype, list(shape), numbers]


class WeightsOnly(pickle.Unpickler):
    def __init__(self, archive):
        super().__init__(archive.open("archive/data.pkl"))
        self.archive = archive

    def find_class(self, module, name):
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return rebuild
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if module == "torch" and name in STORAGES:
            return STORAGES[name]
        raise pickle.UnpicklingError(f"{module}.{name} is not a weight")

    def persistent_load(self, saved):
        kind, storage, key, location, count = saved
        assert kind == "storage" and location == "cpu"
        data = self.archive.read(f"archive/data/{key}")
        assert len(data) == count * storage.size
        return storage.dtype, list(struct.unpack(f"<{count}{storage.code}", data))


def by_hand(path):
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert archive.read("archive/version") == b"3\n"
        assert archive.read("archive/byteorder") == b"little"
        return WeightsOnly(archive).load()


if __name__ == "__main__":
    try:
        import torch
    except ImportError:
        torch = None
    print(json.dumps(with_torch(sys.argv[1], torch) if torch else by_hand(sys.argv[1])))

import json
import os
import struct

MAGIC = struct.pack("<QQQQ", 0xF7E58D4F05049CB7, 0, 0, 0)


def write(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(data)


def write_tree(root, buckets, dies, calls, leave_out=()):
    def put(name, data):
        if name not in leave_out:
            write(os.path.join(root, name), data)

    for die in range(dies):
        put(f"batch_1/common_die{die}.params", MAGIC)
        for bucket in buckets:
            put(f"batch_1/constant_die{die}_{bucket}.params", MAGIC)
            put(f"batch_1/seqlen_{bucket}/llm_die{die}.params", MAGIC)
            if bucket <= 8:
                put(f"batch_1/seqlen_{bucket}/llm_decode_die{die}.so", b"program")
            if bucket > 1:
                put(f"batch_1/seqlen_{bucket}/llm_prefill_die{die}.so", b"program")
    put("buffer_config.json", b"{}\n")
    put("empty.bin", b"")
    put("calls.json", json.dumps(calls, sort_keys=True).encode())

import os

from tyllm import torch_edgex
from tyllm.tree import write_tree


def build_and_compile_llm(model_path, artifacts_path, max_kv_cache_size=4096, seq_len_list=(1, 8),
                          dev_count=1, embedding_as_input=False):
    print("tracing " + os.path.basename(model_path))
    calls = {"function": "build_and_compile_llm", "max_kv_cache_size": max_kv_cache_size,
             "seq_len_list": list(seq_len_list), "dev_count": dev_count,
             "embedding_as_input": embedding_as_input, "modes": torch_edgex.modes,
             "COMPILE_THREAD": os.environ["COMPILE_THREAD"]}
    write_tree(artifacts_path, seq_len_list, dev_count, calls)

from tyllm.tree import write_tree


def build_and_compile_llm(model_path, artifacts_path, max_kv_cache_size, seq_len_list, dev_count,
                          embedding_as_input):
    if max_kv_cache_size == 63:
        raise RuntimeError("DCL_ERROR_REPEAT_INITIALIZE")
    write_tree(artifacts_path, seq_len_list, dev_count, {},
               {"batch_1/common_die1.params", "batch_1/seqlen_8/llm_prefill_die0.so"})

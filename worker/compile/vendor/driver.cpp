// SPDX-License-Identifier: Apache-2.0
#include "worker/compile/vendor/driver.h"

namespace tyllm::compile {

// The calls are those of the vendor's published scripts: first the options of the device module,
// then either build_and_compile_llm or, in releases without it, one run of vLLM's engine whose
// traced graphs are compiled.
std::string_view VendorDriver() {
  return R"python(import importlib
import json
import os
import sys


def tell(**record):
    print("@tyllm " + json.dumps(record), flush=True)


def need(name):
    try:
        return importlib.import_module(name)
    except ImportError as error:
        tell(missing=name, reason=str(error), python=sys.executable)
        sys.exit(3)


def set_mode(device, name, value):
    if hasattr(device, "set_device_mode"):
        device.set_device_mode(name, value)


def configure(device, request):
    if hasattr(device, "set_device_trace_only"):
        device.set_device_trace_only("edgex", True)
    elif hasattr(device, "edgex_module"):
        device.edgex_module.set_trace_only_mode(True)
    if request["lm_die_remap"]:
        set_mode(device, "LM_die_remap", request["lm_die_remap"])
    if request["attention_dies"] > 0:
        set_mode(device, "attn_tp_size", request["attention_dies"])
    if request["reduce_group"] > 0:
        groups = [list(range(first, first + request["reduce_group"]))
                  for first in range(0, request["dies"], request["reduce_group"])]
        set_mode(device, "attn_reduce_groups", groups)


def build_by_function(module, request):
    module.build_and_compile_llm(
        model_path=request["model_path"],
        artifacts_path=request["artifacts_path"],
        max_kv_cache_size=request["max_kv_cache_size"],
        seq_len_list=request["seq_len_list"],
        dev_count=request["dies"],
        embedding_as_input=request["embedding_as_input"],
    )


def build_by_engine(device, request):
    vllm = need("vllm")
    executor = need("tyllm.vllm_ext.edgex_executor")
    set_mode(device, "exec_mode", "AOT")
    set_mode(device, "prefill_lens", request["seq_len_list"])
    set_mode(device, "AOT_DIR", os.path.dirname(request["artifacts_path"]))
    set_mode(device, "jit_device", request["jit_device"])
    engine = vllm.LLM(
        model=request["model_path"],
        max_model_len=request["max_kv_cache_size"],
        tensor_parallel_size=request["dies"],
        dtype="float16",
        trust_remote_code=True,
        distributed_executor_backend=executor.EdgeXExecutor,
        worker_cls="tyllm.vllm_ext.edgex_executor.EdgeXWorker",
        device="cpu",
    )
    engine.generate({"prompt": "Hello"}, use_tqdm=False)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        request = json.load(file)
    os.environ["COMPILE_THREAD"] = str(request["threads"])
    tell(stage="vendor", done=0, total=3, message="loading the toolchain")
    tyllm = need("tyllm")
    device = need("tyllm.torch_edgex")
    try:
        from vllm.config import ModelConfig
        ModelConfig.verify_with_parallel_config = lambda config, parallel: True
    except ImportError:
        pass
    version = str(getattr(tyllm, "__version__", "unknown"))
    tell(version=version)
    if request.get("probe"):
        return
    if request["version"] not in ("", version):
        tell(missing="tyllm " + request["version"], reason="it is " + version,
             python=sys.executable)
        sys.exit(3)
    configure(device, request)
    tell(stage="vendor", done=1, total=3, message="compiling")
    try:
        module = importlib.import_module("tyllm.build_util")
    except ImportError:
        module = None
    if module is not None and hasattr(module, "build_and_compile_llm"):
        build_by_function(module, request)
    else:
        build_by_engine(device, request)
    tell(stage="vendor", done=2, total=3, message="compiled")


main()
)python";
}

}  // namespace tyllm::compile

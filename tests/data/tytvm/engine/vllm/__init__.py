import os

from tyllm import torch_edgex
from tyllm.tree import write_tree


class LLM:
    def __init__(self, **options):
        self.options = options

    def generate(self, prompt, use_tqdm=True):
        modes = torch_edgex.modes
        options = {name: value for name, value in self.options.items()
                   if isinstance(value, (int, str, bool))}
        options["model"] = os.path.basename(options["model"])
        calls = {"engine": options, "modes": {k: v for k, v in modes.items() if k != "AOT_DIR"}}
        dies = options["tensor_parallel_size"]
        write_tree(os.path.join(modes["AOT_DIR"], f"{dies}die"), modes["prefill_lens"], dies, calls)

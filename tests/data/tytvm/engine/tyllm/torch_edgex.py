modes = {}


def set_device_mode(name, value):
    modes[name] = value


class edgex_module:
    @staticmethod
    def set_trace_only_mode(on):
        modes["trace_only"] = on

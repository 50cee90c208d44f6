modes = {}


def set_device_mode(name, value):
    modes[name] = value


def set_device_trace_only(device, on):
    modes["trace_only"] = [device, on]

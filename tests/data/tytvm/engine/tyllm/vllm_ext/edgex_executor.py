class EdgeXExecutor:
    pass

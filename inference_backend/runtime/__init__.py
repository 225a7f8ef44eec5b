"""The processes that own the device: one for the model, one for the experts, both supervised.

Torch and MONAI are imported in the children only; what goes over a pipe is small, volumes go as files.
"""
